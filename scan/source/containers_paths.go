package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// alias learns by which path the daemon knew the data root, from the path of
// a file that it keeps in the container's directory: a root that was moved,
// copied or mounted elsewhere is still named by that path in every config.
func (c *containers) alias(node scan.Node, hosts string) {
	root, ok := strings.CutSuffix(hosts, "/"+node.Name+"/hosts")
	if ok && root != c.in.DataRoot && !slices.Contains(c.in.Aliases, root) {
		c.in.Aliases = append(c.in.Aliases, root)
	}
}

// paths adds a reference to each volume that a config names, and to whatever
// lies at a path below the data root: a bind mount into a volume or a layer.
func (c *containers) paths(node scan.Node, file string) { c.pathsFrom(node, node, file, node) }

// pathsFrom is paths, with the references from another node than the
// container's own, and none to what the container is a part of.
func (c *containers) pathsFrom(from, node scan.Node, file string, whole scan.Node) {
	name := node.Name + "/" + file
	data, err := c.in.Tree.ReadFile(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		if !c.in.Gone(node.Name) {
			doubtVolumes(c.g, name, "is missing")
		}
		return
	}
	var volumes []scan.Node
	if err == nil {
		volumes, err = volumesIn(data)
	}
	if err == nil {
		err = eachPath(c.in, data, func(to scan.Node) {
			if to != node && to != whole && (to.Kind != scan.KindLayer || isThere(c.in, c.g, to)) { // a path may name what was removed long ago
				c.g.Refer(from, to, scan.ByPath)
			}
		})
	}
	if err != nil {
		c.pathDoubt(name, err)
	}
	for _, to := range volumes {
		c.g.Refer(from, to, scan.ByVolume)
	}
}

func (c *containers) pathDoubt(name string, err error) {
	c.g.Doubt(scan.Doubt{
		Source: scan.SourceContainers, Where: name, Err: err.Error(),
		Hint: "which paths below the data root it uses is not known; they may lead anywhere",
	})
}

// lostPaths handles the paths of a container whose config.v2.json cannot be
// read. All that it was told to mount is in its hostconfig.json, but for what
// it took over from other containers.
func (c *containers) lostPaths(node scan.Node) {
	name := node.Name + "/hostconfig.json"
	var host struct{ VolumesFrom []string }
	data, err := c.in.Tree.ReadFile(name, maxConfig)
	if err == nil {
		err = json.Unmarshal(data, &host)
	}
	if err == nil && len(host.VolumesFrom) > 0 {
		err = fmt.Errorf("takes the volumes of %s", scan.Printable(host.VolumesFrom[0]))
	}
	if err != nil {
		c.pathDoubt(name, fmt.Errorf("%s, and its config.v2.json cannot be read", said(err, name)))
		return
	}
	c.paths(node, "hostconfig.json")
}
