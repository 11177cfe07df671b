package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
