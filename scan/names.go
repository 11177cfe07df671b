package scan

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms of names that Docker gives. Anything else is unknown, and
// unknown is never removed (rule 3). They are asked for every name of a data
// root, hence no regular expressions.

// IsID reports whether the name is 64 hexadecimal digits (moby stringid).
func IsID(name string) bool { return len(name) == 64 && only(name, "0123456789abcdef") }

// IsInitID reports whether the name is that of a container's init layer.
func IsInitID(name string) bool {
	id, ok := strings.CutSuffix(name, "-init")
	return ok && IsID(id)
}

// IsBuildID reports whether the name is of BuildKit's making (identity.NewID).
func IsBuildID(name string) bool {
	return len(name) == 25 && only(name, "0123456789abcdefghijklmnopqrstuvwxyz")
}

// IsLayerID reports whether a graphdriver may have a layer of this name.
func IsLayerID(name string) bool { return IsID(name) || IsInitID(name) || IsBuildID(name) }

// IsLinkName reports whether the name is that of an overlay2 short link.
func IsLinkName(name string) bool {
	return len(name) == 26 && only(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
}

// IsRemoving reports whether a layerdb entry of this name is being released:
// "<chain>-<random>-removing".
func IsRemoving(name string) bool {
	rest, ok := strings.CutSuffix(name, "-removing")
	id, random, cut := strings.Cut(rest, "-")
	return ok && cut && IsID(id) && random != "" && only(random, "0123456789abcdefghijklmnopqrstuvwxyz")
}

// only reports whether a name has no other characters than these.
func only(name, characters string) bool {
	for i := range len(name) {
		if strings.IndexByte(characters, name[i]) < 0 {
			return false
		}
	}
	return true
}

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

// ImageNode is the node of an image id, which has its "sha256:" since 1.10.
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

// RemappedRoot returns the ids in the name of the data root that a daemon with
// userns-remap has within another: "<uid>.<gid>" of root in its containers (moby
// daemon/daemon_unix.go, setupDaemonRoot).
func RemappedRoot(name string) (uid, gid uint32, ok bool) {
	a, b, _ := strings.Cut(name, ".")
	u, errU := strconv.ParseUint(a, 10, 32)
	g, errG := strconv.ParseUint(b, 10, 32)
	return uint32(u), uint32(g), errU == nil && errG == nil
}
