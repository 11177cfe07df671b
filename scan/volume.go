package scan

import (
	"path"
	"slices"
	"strings"
	"time"
)

// AnonymousLabel is the label of volumes that nobody named (moby
// volume/service/service.go, 23.0 on).
const AnonymousLabel = "com.docker.volume.anonymous"

// LocalDriver is the volume driver whose volumes lie in the data root.
const LocalDriver = "local"

// A Volume is what records and the daemon tell of a volume of the local driver.
type Volume struct {
	Driver  string            `json:"driver,omitempty"`  // "" where nothing tells
	Scope   string            `json:"scope,omitempty"`   // as the daemon has it
	Options map[string]string `json:"options,omitempty"` // what it was created with
	// Listed says that the daemon lists it, Recorded that volumes/metadata.db
	// has a row of it. A daemon lists every directory that was there when it
	// started, and has rows of those that were made since 1.11.
	Listed   bool `json:"listed"`
	Recorded bool `json:"recorded"`
	// LastUse is what the daemon remembers of its last use; nil if nothing.
	LastUse *VolumeUse `json:"lastUse,omitempty"`
	// Mounts is what the daemon mounts over its data while a container uses
	// it: "nfs from nas:/export". "" if its data lies in its directory.
	Mounts string `json:"mounts,omitempty"`
}

// A VolumeUse is that a container began or ceased to use a volume (GET /events).
type VolumeUse struct {
	At        time.Time `json:"at"`
	Container string    `json:"container"`         // its name, or its id if the daemon remembers no more of it
	Service   string    `json:"service,omitempty"` // "project/service" of Docker Compose
}

// VolumeNode is the node of a volume of the local driver.
func VolumeNode(name string) Node { return Node{KindVolume, "volumes/" + name} }

// IsVolumeName reports whether the local driver makes volumes of such a name
// (moby volume/local/local.go, daemon/names).
func IsVolumeName(name string) bool {
	const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return len(name) > 1 && only(name[:1], alphanumeric) && only(name[1:], alphanumeric+"_.-")
}

// IsBuilderVolume reports whether the name is that of the volume in which a
// builder of buildx keeps its cache (buildx driver/docker-container).
func IsBuilderVolume(name string) bool {
	rest, ok := strings.CutPrefix(name, "buildx_buildkit_")
	return ok && strings.HasSuffix(rest, "_state") && len(rest) > len("_state")
}

// The labels that Docker Compose gives to volumes (compose pkg/api/labels.go).
const (
	composeProject = "com.docker.compose.project"
	composeVolume  = "com.docker.compose.volume"
)

// known is what a person would call a volume, by its labels, its name and
// names of files in it.
func (h *Host) known(o *Object, telling []string) string {
	var parts []string
	labels := o.Note().Labels.Values
	name := base(o.Name)
	switch project := labels[composeProject]; {
	case project != "" && labels[composeVolume] != "":
		parts = append(parts, "compose "+project+"/"+labels[composeVolume])
	case project != "":
		parts = append(parts, "compose "+project)
	case IsBuilderVolume(name):
		parts = append(parts, "cache of builder "+strings.TrimSuffix(strings.TrimPrefix(name, "buildx_buildkit_"), "_state"))
	case h.anonymous(o):
		parts = append(parts, "anonymous volume")
	}
	if v := o.Note().Volume; v != nil && v.LastUse != nil {
		parts = append(parts, "last used by "+Printable(v.LastUse.Container))
	}
	for _, file := range telling {
		if what := tells(base(file)); what != "" && !slices.Contains(parts, what) {
			parts = append(parts, what)
		}
	}
	return strings.Join(parts, ", ")
}

// tells guesses from the name of a telling file what lies there; see package
// usage.
func tells(file string) string {
	switch file {
	case "PG_VERSION":
		return "PostgreSQL"
	case "ibdata1":
		return "MySQL or MariaDB"
	case "dump.rdb":
		return "Redis"
	case ".git":
		return "a git repository"
	}
	switch path.Ext(file) {
	case ".sqlite", ".sqlite3", ".db-wal":
		return "SQLite"
	}
	return "keys or passwords"
}

// away says why a volume's data is not looked at: it is, or may be, another
// machine's, which may not answer. "" if it may be.
func (o *Object) away(v Verdict) string {
	volume := o.Note().Volume
	switch {
	case o.Kind != KindVolume:
		return ""
	case volume != nil && volume.Mounts != "":
		return o.Name + "/_data: is mounted: " + volume.Mounts
	case v == Held:
		return o.Name + ": is mounted or open"
	}
	return ""
}

// anonymous reports whether nobody gave a volume its name. What a daemon from
// 23.0 on makes so has a label that says it, and whatever has other labels was
// made by somebody.
func (h *Host) anonymous(o *Object) bool {
	if !IsID(base(o.Name)) {
		return false
	}
	labels := o.Note().Labels
	return !labels.Known || labels.Have(AnonymousLabel, nil) || len(labels.Values) == 0 && !h.Info.Since(23, 0)
}

// unlisted reports a volume that the running daemon does not know and never
// recorded.
func (h *Host) unlisted(o *Object) bool {
	v := o.Note().Volume
	return h.Online && v != nil && !v.Listed && !v.Recorded
}

// waits says why a volume cannot go now, by any means; "" if it can. What the
// daemon has recorded it must remove itself: its row would stay, and with it a
// volume that cannot be mounted (rule 7).
func (f *Finding) waits(h *Host) string {
	switch v := f.Parts[0].Note().Volume; {
	case v == nil:
		return "what the daemon knows of it is not known"
	case v.Listed && h.Online:
		return ""
	case v.Recorded && h.Online:
		return "the daemon has a record of it and does not list it: it goes after a restart of the daemon"
	case v.Recorded:
		return "the daemon has a record of it, and removes it itself: it goes while the daemon runs"
	case v.Mounts != "":
		return "its data is mounted: " + v.Mounts
	}
	return ""
}
