package whose

import (
	"fmt"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// listed is how many of a list a line shows.
const listed = 3

// longest is how much of a build step a line shows.
const longest = 60

// String is the answer in a line.
func (a *Answer) String() string {
	var parts []string
	if a.Finding != nil {
		parts = append(parts, a.what())
	}
	if a.Place != "" {
		parts = append(parts, a.Place)
	}
	if a.Record != "" {
		parts = append(parts, a.record())
	}
	if len(parts) == 0 && !a.Known() {
		return "unsure: nothing is known of it"
	}
	if !a.itself() {
		if len(a.Containers) > 0 {
			parts = append(parts, "needed by "+noun("container", a.Containers)+" "+list(a.Containers))
		}
		if len(a.Others) > 0 {
			parts = append(parts, "needed by "+list(a.Others))
		}
	}
	return scan.Printable(strings.Join(parts, "; "))
}

func noun(one string, of []string) string {
	if len(of) == 1 {
		return one
	}
	return one + "s"
}

// itself reports whether the only user is the container whose part it is.
func (a *Answer) itself() bool {
	if a.Finding == nil && len(a.Containers) == 1 && len(a.Others) == 0 {
		return strings.HasSuffix(a.Record, " layer of container "+a.Containers[0])
	}
	if a.Finding == nil || len(a.Containers) != 1 || len(a.Others) > 0 {
		return false
	}
	return a.Finding.Type == scan.TypeRWLayer || a.Finding.Type == scan.TypeContainer
}

// what says what the finding is.
func (a *Answer) what() string {
	f := a.Finding
	if f.Verdict != scan.Used {
		text := fmt.Sprintf("%s: %s: %s", f.Verdict, f.Type, f.Reason)
		if f.Was != "" {
			text += " (" + f.Was + ")"
		}
		return text
	}
	switch f.Type {
	case scan.TypeImageLayer:
		if len(a.Images) == 0 {
			return "image layer " + f.ShortID()
		}
		return a.images()
	case scan.TypeRWLayer:
		what := "writable layer"
		if scan.IsInitID(path.Base(a.Name)) {
			what = "init layer"
		}
		if len(a.Containers) == 1 {
			return what + " of container " + a.Containers[0]
		}
		return what + ", " + f.Reason
	case scan.TypeContainer:
		if len(a.Containers) == 1 {
			return "directory of container " + a.Containers[0]
		}
	case scan.TypeVolume, scan.TypeBuilder:
		if len(a.Containers)+len(a.Others) > 0 {
			return "volume " + f.ID
		}
		return "volume " + f.ID + ", " + f.Reason
	}
	if len(a.Containers)+len(a.Others) > 0 {
		return string(f.Type)
	}
	return string(f.Type) + ", " + f.Reason
}

// images says which layer of which images it is.
func (a *Answer) images() string {
	first := a.Images[0]
	text := fmt.Sprintf("layer %d of %d of image %s", first.Number, first.Of, first.Image)
	if step := first.CreatedBy; step != "" {
		if r := []rune(step); len(r) > longest {
			step = string(r[:longest-1]) + "…"
		}
		text += fmt.Sprintf(", created by %q", step)
	}
	var more []string
	for _, l := range a.Images[1:] {
		more = append(more, l.Image)
	}
	if len(more) > 0 {
		text += ", also of " + list(more)
	}
	return text
}

// list is the first of a list, and how many there are more.
func list(names []string) string {
	if n := len(names) - listed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:listed], ", "), n)
	}
	return strings.Join(names, ", ")
}
