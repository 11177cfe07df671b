package source

import (
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// eachPath calls yield for every object that a path in a JSON text leads to,
// as often as it is named.
func eachPath(in *scan.Input, data []byte, yield func(to scan.Node)) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	var problems []error
	eachString(value, func(setting string) { problems = append(problems, eachPathIn(in, setting, yield)) })
	return errors.Join(problems...)
}

// eachPathIn calls yield for every object that a path in a setting leads to.
func eachPathIn(in *scan.Input, setting string, yield func(to scan.Node)) error {
	var problems []error
	for _, p := range pathsIn(setting) {
		to, ok, err := leadsTo(in, p)
		if err != nil {
			problems = append(problems, err)
		}
		if ok {
			yield(to)
		}
	}
	return errors.Join(problems...)
}

// leadsTo returns the object that an absolute path of the machine leads to or
// into: as it is written, or through symbolic links and mounts.
func leadsTo(in *scan.Input, abs string) (n scan.Node, ok bool, err error) {
	if n, ok = objectAt(in, abs); ok || in.Resolve == nil || !path.IsAbs(abs) {
		return n, ok, nil
	}
	resolved, err := in.Resolve(abs)
	if err != nil {
		return scan.Node{}, false, err
	}
	n, ok = objectAt(in, resolved)
	return n, ok, nil
}

// eachString calls yield for every string of a JSON value, in its order on
// every run.
func eachString(value any, yield func(string)) {
	switch value := value.(type) {
	case string:
		yield(value)
	case []any:
		for _, v := range value {
			eachString(v, yield)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(value)) {
			yield(k)
			eachString(value[k], yield)
		}
	}
}

// pathsIn lists the absolute paths in a setting: all of it, the parts of a list
// such as lowerdir=/a:/b,upperdir=/c, and those of a command line. Each comes
// once; a space may be part of a path, or not.
func pathsIn(setting string) []string {
	var paths []string
	add := func(p string) {
		if path.IsAbs(p) && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	for part := range strings.FieldsFuncSeq(setting, func(r rune) bool { return strings.ContainsRune("=,:;", r) }) {
		for word := range strings.FieldsSeq(part) {
			add(word)
		}
		add(part)
	}
	add(setting)
	return paths
}

// objectAt returns the object that an absolute path leads to or into, if the
// path is below the data root and names one. A path that has objects below
// it, such as the data root's own, names none of them.
func objectAt(in *scan.Input, abs string) (scan.Node, bool) {
	if !path.IsAbs(abs) {
		return scan.Node{}, false
	}
	abs = path.Clean(abs)
	for _, root := range append([]string{in.DataRoot}, in.Aliases...) {
		if root == "" {
			continue
		}
		if rel, ok := strings.CutPrefix(abs, strings.TrimSuffix(path.Clean(root), "/")+"/"); ok {
			return objectBelow(in, rel)
		}
	}
	return scan.Node{}, false
}

// objectBelow is objectAt for a path below the data root.
func objectBelow(in *scan.Input, rel string) (scan.Node, bool) {
	if n, ok := dormantAt(in, rel); ok {
		return n, true
	}
	if n, ok := rootAt(in, rel); ok {
		return n, true
	}
	for _, b := range in.Backends {
		for _, dir := range []string{b.Dir, b.Name} {
			if rest, ok := strings.CutPrefix(rel, dir+"/"); ok {
				if n, ok := layerIn(b, rest); ok {
					return n, true
				}
			}
		}
	}
	switch parts := strings.SplitN(rel, "/", 3); {
	case len(parts) > 1 && parts[0] == "containers" && scan.IsID(parts[1]):
		return scan.ContainerNode(parts[1]), true
	case len(parts) > 1 && parts[0] == volumesDir:
		return scan.VolumeNode(scan.Printable(parts[1])), true
	}
	return scan.Node{}, false
}

// layerIn finds the layer that a path within a backend's directory leads
// into: by its id, wherever the backend keeps that, or by its short link.
func layerIn(b *scan.Backend, rest string) (scan.Node, bool) {
	parts := strings.Split(rest, "/")
	if len(parts) > 1 && parts[0] == "l" && scan.IsLinkName(parts[1]) {
		return scan.Node{Kind: scan.KindLink, Name: b.Dir + "/l/" + parts[1]}, true
	}
	for _, part := range parts {
		if scan.IsLayerID(part) {
			return b.Layer(part), true
		}
	}
	return scan.Node{}, false
}
