package scan

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms of names that Docker gives. Anything else is unknown, and
// unknown is never removed (rule 3).
var (
	id64      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	idInit    = regexp.MustCompile(`^[0-9a-f]{64}-init$`)
	idBuild   = regexp.MustCompile(`^[0-9a-z]{25}$`)
	shortLink = regexp.MustCompile(`^[A-Z2-7]{26}$`)
	removing  = regexp.MustCompile(`^[0-9a-f]{64}-[0-9a-z]+-removing$`)
)

// IsID reports whether the name is 64 hexadecimal digits (moby stringid).
func IsID(name string) bool { return len(name) == 64 && id64.MatchString(name) }

// IsInitID reports whether the name is that of a container's init layer.
func IsInitID(name string) bool { return len(name) == 69 && idInit.MatchString(name) }

// IsBuildID reports whether the name is of BuildKit's making (identity.NewID).
func IsBuildID(name string) bool { return len(name) == 25 && idBuild.MatchString(name) }

// IsLayerID reports whether a graphdriver may have a layer of this name.
func IsLayerID(name string) bool { return IsID(name) || IsInitID(name) || IsBuildID(name) }

// IsLinkName reports whether the name is that of an overlay2 short link.
func IsLinkName(name string) bool { return len(name) == 26 && shortLink.MatchString(name) }

// IsRemoving reports whether a layerdb entry of this name is being released.
func IsRemoving(name string) bool { return removing.MatchString(name) }

// ChainNode is the node of a layerdb entry. The chain id may have its
// "sha256:" or not.
func ChainNode(driver, chain string) Node {
	return Node{KindChain, "image/" + driver + "/layerdb/sha256/" + strings.TrimPrefix(chain, "sha256:")}
}

// MountNode is the node of a mount record. The name may be nested, as those
// of image mounts are.
func MountNode(driver, name string) Node {
	return Node{KindMount, "image/" + driver + "/layerdb/mounts/" + name}
}

// ContainerNode is the node of a container's directory.
func ContainerNode(id string) Node { return Node{KindContainer, "containers/" + id} }

// ImageNode is the node of an image id, which has its "sha256:".
func ImageNode(id string) Node { return Node{KindImage, id} }

// Short cuts the long ids that Docker gives to 12 characters, with an -init
// or -removing kept, and returns any other name unchanged.
func Short(name string) string {
	name = base(strings.TrimPrefix(name, "sha256:"))
	hex, rest, _ := strings.Cut(name, "-")
	switch {
	case !IsID(hex):
		return name
	case rest == "":
		return hex[:12]
	case IsRemoving(name):
		return hex[:12] + "-removing"
	}
	return hex[:12] + "-" + rest
}

// Printable returns a name from the disk or the daemon as it may be shown on
// a terminal: control characters, escape codes and bytes that are not UTF-8
// are written as Go escapes.
func Printable(name string) string {
	if utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

func base(name string) string { return path.Base(name) }
