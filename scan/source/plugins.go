package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Plugins reads what managed plugins use of the data root by path. Their root
// file systems are their own (plugins/<id>/rootfs), but a mount or a setting
// of a plugin may name a layer, a container's directory or a volume.
var Plugins = &scan.Source{
	ID:      scan.SourcePlugins,
	Doc:     "plugins/<id>/config.json: paths below the data root",
	Collect: collectPlugins,
}

const pluginsDir = "plugins"

func collectPlugins(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
	entries, err := in.Tree.ReadDir(pluginsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return "no plugins on this engine", nil // they came with 1.13
	}
	if err != nil {
		doubtPlugin(g, pluginsDir, err)
		return "", err
	}
	count := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !scan.IsID(e.Name) {
			continue // storage, tmp, what is left of a removal: nothing there is a plugin
		}
		name := pluginsDir + "/" + e.Name + "/config.json"
		if err := readPlugin(in, g, name); err != nil && !in.Gone(pluginsDir+"/"+e.Name) {
			doubtPlugin(g, name, err)
		}
		count++
	}
	return fmt.Sprintf("%d plugins", count), nil
}

// readPlugin makes live whatever a plugin's config names by its path.
func readPlugin(in *scan.Input, g *scan.Graph, name string) error {
	const maxPluginConfig = 16 << 20
	data, err := in.Tree.ReadFile(name, maxPluginConfig)
	if err != nil {
		return err
	}
	var known struct {
		Plugin struct{ Name string }
	}
	if err := json.Unmarshal(data, &known); err != nil {
		return err
	}
	seen := map[scan.Node]bool{}
	return eachPath(in, data, func(to scan.Node) {
		if !seen[to] {
			seen[to] = true
			g.Live(to, "plugin "+scan.Printable(known.Plugin.Name), name)
		}
	})
}

// doubtPlugin doubts everything: a path can name anything.
func doubtPlugin(g *scan.Graph, where string, err error) {
	g.Doubt(scan.Doubt{
		Source: scan.SourcePlugins, Where: where, Err: said(err, where),
		Hint: "what this plugin uses by path is not known; if `docker plugin ls` does not list it, its removal failed and its directory can go",
	})
}

// said is an error's text without the name that it is about, if it begins
// with that: a doubt has it already.
func said(err error, where string) string { return strings.TrimPrefix(err.Error(), where+": ") }

// eachPath calls yield for every object that a path in a JSON text leads to,
// as often as it is named.
func eachPath(in *scan.Input, data []byte, yield func(to scan.Node)) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	eachString(value, func(setting string) {
		for _, p := range pathsIn(setting) {
			if to, ok := objectAt(in, p); ok {
				yield(to)
			}
		}
	})
	return nil
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

// pathsIn lists the absolute paths in a setting: all of it, or the parts of a
// list such as lowerdir=/a:/b,upperdir=/c.
func pathsIn(setting string) []string {
	var paths []string
	parts := strings.FieldsFunc(setting, func(r rune) bool { return strings.ContainsRune(" \t\n=,:;", r) })
	for _, p := range append(parts, setting) {
		if path.IsAbs(p) {
			paths = append(paths, p)
		}
	}
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
		return scan.Node{Kind: scan.KindVolume, Name: scan.Printable(parts[1])}, true
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
