package scan

import (
	"strings"
	"time"
)

// A Finding is one thing that a user can see, keep or remove: a record
// together with the data that it describes, its verdict and the evidence.
type Finding struct {
	ID       string    `json:"id"` // stable across scans; see [Finding.ShortID]
	Type     Type      `json:"type"`
	Backend  string    `json:"backend,omitempty"`
	Verdict  Verdict   `json:"verdict"`
	Default  bool      `json:"default"`  // prune takes it without being told
	Precious bool      `json:"precious"` // it holds data that nobody can make again
	Parts    []*Object `json:"parts"`    // the record first
	Reason   string    `json:"reason"`   // the verdict in a few words
	Was      string    `json:"was,omitempty"`
	Origin   string    `json:"origin,omitempty"`
	Labels   Labels    `json:"labels,omitzero"`

	Age     string  `json:"age,omitempty"`     // why age rules out work in flight, or does not
	NotMine string  `json:"notMine,omitempty"` // why prune leaves an orphan to rm: the exception of its type's default set
	Doubts  []Doubt `json:"doubts,omitempty"`  // what keeps it from being judged

	// Unwalked says that the verdict can only get better once the parts
	// have been walked: their newest change is not known yet.
	Unwalked bool `json:"unwalked,omitempty"`
}

// Paths lists every path of the finding below the data root, main one first.
func (f *Finding) Paths() []string {
	var paths []string
	for _, o := range f.Parts {
		paths = append(paths, o.Paths()...)
	}
	return paths
}

// DataPath is the path that holds the finding's bytes: that of its layer, or
// of its record if it has none.
func (f *Finding) DataPath() string {
	for _, o := range f.Parts {
		if o.Kind == KindLayer {
			return o.Path()
		}
	}
	return f.Parts[0].Path()
}

// Size adds up what was walked. Complete is false if any part was not walked
// or could not be read to the end.
func (f *Finding) Size() Usage {
	sum := Usage{Complete: true}
	for _, o := range f.Parts {
		u := o.Usage
		if u == nil {
			sum.Complete = false
			continue
		}
		sum.Bytes += u.Bytes
		sum.Inodes += u.Inodes
		sum.Telling = append(sum.Telling, u.Telling...)
		sum.Complete = sum.Complete && u.Complete
		sum.AtMost = sum.AtMost || u.AtMost
		if sum.Problem == "" {
			sum.Problem = u.Problem
		}
		if u.Newest.After(sum.Newest) {
			sum.Newest = u.Newest
		}
	}
	return sum
}

// Changed is the newest change that is known of any part.
func (f *Finding) Changed() time.Time {
	var newest time.Time
	for _, o := range f.Parts {
		t := o.Stamp.Change
		if o.Usage != nil && o.Usage.Newest.After(t) {
			t = o.Usage.Newest
		}
		if t.After(newest) {
			newest = t
		}
	}
	return newest
}

// MayBeContainers reports whether the finding may be the data of a container:
// a layer that has or is an -init.
func (f *Finding) MayBeContainers() bool { return hasInit(f.Parts) }

func hasInit(objects []*Object) bool {
	for _, o := range objects {
		if (o.Kind == KindLayer || o.Kind == KindPart) && IsInitID(base(o.Name)) {
			return true
		}
	}
	return false
}

// OfPlugin reports whether the finding is what is left of a plugin, or of what it
// was before an upgrade: data may be in it.
func (f *Finding) OfPlugin() bool {
	name := f.Parts[0].Name
	return f.Type == TypeDownload && strings.HasPrefix(name, "plugins/") &&
		(strings.HasSuffix(name, "-removing") || base(name) == "rootfs-old")
}

// ShortID is the id as tables show it: 12 characters of a long id, else the
// whole name.
func (f *Finding) ShortID() string {
	if f.Type == TypeRoot { // a path, of which the last part tells nothing
		return f.ID
	}
	return Short(f.ID)
}
