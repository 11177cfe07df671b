//go:build linux

package engine

import (
	"os/exec"
	"path/filepath"
	"strings"
)

// pool is the pool of a daemon on zfs.
func (d *Daemon) pool() string { return filepath.Base(d.Dir) }

// Dataset is the one of a daemon on zfs: its data root, and the parent of its
// layers.
func (d *Daemon) Dataset() string { return d.pool() + "/docker" }

// datasets lists the layers of a daemon on zfs, as findings name them.
func (d *Daemon) datasets() []string {
	out, err := exec.Command("zfs", "list", "-H", "-o", "name", "-r", "-d", "1", d.Dataset()).Output()
	must(err)
	var all []string
	for name := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(name), d.Dataset()+"/"); ok {
			all = append(all, d.LayerDir()+"/"+id)
		}
	}
	return all
}
