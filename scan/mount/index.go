package mount

import (
	"iter"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/lookup"
)

// An Index finds the nodes that a text names: a field of a mount table, a
// path, a command line.
//
// A node is named wherever its id, or for a short link its 26 characters,
// stands between separators; what stands around it does not count. The same
// layer is .../overlay2/<id>/merged on the host, /<id>/diff where the driver's
// directory is a disk of its own, l/<short> in the options of an overlay whose
// list of layers was too long for absolute paths, and <id>//deleted once its
// directory is gone. To demand a path is to miss some of these. It also finds
// an id that stands somewhere by chance, but ids are random: chance has
// nothing to do with it, and a node found too much is kept, not lost.
//
// Volumes have names that people give and are found by path alone; see At.
type Index struct {
	nodes  []scan.Node
	ends   keys                   // by the end of their name
	names  keys                   // by their whole name
	others map[string][]scan.Node // by some other text
}

// NewIndex indexes the nodes that can be mounted or open. The list must not
// change.
func NewIndex(nodes []scan.Node) *Index {
	x := &Index{nodes: nodes, others: map[string][]scan.Node{}}
	for i, n := range nodes {
		switch n.Kind {
		case scan.KindLayer, scan.KindLink, scan.KindPart, scan.KindContainer, scan.KindDownload, scan.KindRemoving, scan.KindMountPoint:
			x.ends.add(int32(i), x.end)
		case scan.KindMount:
			x.addMount(n)
		case scan.KindChain, scan.KindBackend, scan.KindRoot, scan.KindCache, scan.KindRecord, scan.KindVolume:
			x.names.add(int32(i), x.name)
		}
	}
	return x
}

func (x *Index) end(node int32) string { return path.Base(x.nodes[node].Name) }

func (x *Index) name(node int32) string { return x.nodes[node].Name }

// addMount indexes a mount record: by its name, and by the ids in the names
// of image mounts, "<container>-<reference>", which are nested where the
// reference has slashes. The other elements are words.
func (x *Index) addMount(n scan.Node) {
	_, name, _ := strings.Cut(n.Name, "/layerdb/mounts/")
	for element := range strings.SplitSeq(name, "/") {
		id, _, _ := strings.Cut(element, "-")
		switch {
		case scan.IsID(id):
			x.Add(id, n)
			if element != id {
				x.Add(element, n)
			}
		case scan.IsBuildID(element):
			x.Add(element, n)
		}
	}
}

// Add indexes a node by some other text: an id, or a path below the data root.
func (x *Index) Add(text string, n scan.Node) { x.others[text] = append(x.others[text], n) }

// Named calls hit for every node that the text names.
func (x *Index) Named(text string, hit func(scan.Node)) {
	for token := range tokens(text) {
		x.find(&x.ends, x.end, token, hit)
	}
}

// At calls hit for the layerdb entry, the volume, the whole backend, the build
// cache or the other data root that a path below the data root leads to or through: nodes whose
// names are no random ids.
func (x *Index) At(name string, hit func(scan.Node)) {
	for i := range len(name) + 1 {
		if i == len(name) || name[i] == '/' {
			x.find(&x.names, x.name, name[:i], hit)
		}
	}
}

func (x *Index) find(k *keys, keyOf func(node int32) string, key string, hit func(scan.Node)) {
	for i := range k.table.Find(key) {
		if keyOf(k.nodes[i]) == key {
			hit(x.nodes[k.nodes[i]])
		}
	}
	for _, n := range x.others[key] {
		hit(n)
	}
}

// keys are nodes by a part of their name; several may have the same.
type keys struct {
	table lookup.Table
	nodes []int32
}

func (k *keys) add(node int32, keyOf func(node int32) string) {
	k.nodes = append(k.nodes, node)
	k.table.Add(int32(len(k.nodes)-1), func(i int32) string { return keyOf(k.nodes[i]) })
}

// tokens splits a text at the separators of paths and of mount options. It
// undoes the kernel's escapes and overlay's backslashes before; that a
// separator was escaped does not keep it from separating, as no id has any. Of
// the name of a thin device, which is what a layer of devicemapper is mounted
// from, the id is a part of its own.
func tokens(text string) iter.Seq[string] {
	text = strings.ReplaceAll(Unescape(text), `\`, "")
	return func(yield func(string) bool) {
		start := 0
		for i := range len(text) + 1 {
			if i < len(text) && !separates(text[i]) {
				continue
			}
			if i > start && !yield(text[start:i]) {
				return
			}
			if id, ok := dm.LayerID(text[start:i]); ok && !yield(id) {
				return
			}
			start = i + 1
		}
	}
}

func separates(c byte) bool {
	switch c {
	case '/', ':', ',', '=', ' ', 0:
		return true
	}
	return false
}

// Unescape undoes the escapes of the kernel's tables: a backslash and three
// octal digits for a space, a line's end, a backslash (linux seq_path,
// seq_escape).
func Unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c, ok := octal(text[i:])
		if !ok {
			out = append(out, text[i])
			continue
		}
		out = append(out, c)
		i += 3
	}
	return string(out)
}

// octal returns the byte that an escape at the start of the text stands for.
func octal(text string) (byte, bool) {
	if len(text) < 4 || text[0] != '\\' || text[1] > '3' {
		return 0, false
	}
	var code byte
	for _, c := range []byte(text[1:4]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		code = code<<3 | (c - '0')
	}
	return code, true
}
