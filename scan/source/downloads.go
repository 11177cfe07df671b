package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Downloads lists what operations of the daemon leave behind that were cut off:
// its temporary files, and what it unpacks a plugin into and removes one from.
// It empties tmp/ at each start since 17.05, by renaming it to tmp-old and
// deleting that (moby daemon.go, prepareTempDir). A crash can leave tmp-old
// behind; then it never goes again, even empty.
var Downloads = &scan.Source{
	ID:  scan.SourceDownloads,
	Doc: "tmp, tmp-old, plugins and beside records: what the daemon downloads, unpacks, removes and writes",
	Collect: func(_ context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		d := &downloads{in: in, g: g}
		if err := errors.Join(d.temporary("tmp"), d.old(), d.plugins(), d.halfWritten()); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d temporary files", d.count), nil
	},
}

// downloads is one reading of what was cut off.
type downloads struct {
	in    *scan.Input
	g     *scan.Graph
	count int
}

// list lists a directory that need not be there.
func (d *downloads) list(dir string) ([]scan.Entry, error) {
	entries, err := d.in.Tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

func (d *downloads) add(dir string, e scan.Entry, known bool, was string) {
	addDownload(d.in, d.g, "", dir, e, known, was)
	d.count++
}

// temporary adds the temporary files in a directory.
func (d *downloads) temporary(dir string) error {
	entries, err := d.list(dir)
	for _, e := range entries {
		was, known := temporary(e.Name)
		d.add(dir, e, known, was)
	}
	return err
}

// old adds tmp-old: all of it if the daemon has made all that is in it.
func (d *downloads) old() error {
	const dir = "tmp-old"
	entries, err := d.list(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e scan.Entry) bool { _, known := temporary(e.Name); return !known }) {
		return d.temporary(dir)
	}
	top, err := d.list(".")
	for _, e := range top {
		if e.Name == dir {
			d.add(".", e, e.Type.IsDir(), "temporary files of a daemon that has ended")
		}
	}
	return err
}

// plugins adds plugins whose removal was cut off, and what plugins were being
// unpacked into (moby plugin/backend_linux.go, atomicRemoveAll and
// CreateFromContext). The daemon tries to remove the former when it starts, and
// by a mistake never does.
func (d *downloads) plugins() error {
	entries, err := d.list(pluginsDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name, "-removing"); ok && scan.IsID(id) {
			d.removing(id, e)
		}
		if scan.IsID(e.Name) && e.Type.IsDir() {
			err = errors.Join(err, d.upgraded(pluginsDir+"/"+e.Name))
		}
	}
	if err != nil {
		return err
	}
	const tmp = pluginsDir + "/tmp"
	entries, err = d.list(tmp)
	for _, e := range entries {
		d.add(tmp, e, numbered(e.Name, ".rootfs"), "interrupted installation of a plugin")
	}
	return err
}

// upgraded adds what a plugin had for a root file system before it was upgraded
// (moby plugin/backend_linux.go, upgradePlugin). As long as the new one is not in
// its place, that is the plugin's.
func (d *downloads) upgraded(dir string) error {
	entries, err := d.list(dir)
	for _, e := range entries {
		if e.Name != "rootfs-old" {
			continue
		}
		d.add(dir, e, e.Type.IsDir(), "root file system of a plugin before its upgrade")
		if o := d.renamed(dir, e); o != nil && !slices.ContainsFunc(entries, func(e scan.Entry) bool { return e.Name == "rootfs" }) {
			o.Unrecognised = "the plugin has no other root file system"
		}
	}
	return err
}

// renamed is what was added of a directory that has its name since it was last
// changed at most, however old it is; nil if it is not recognised.
func (d *downloads) renamed(dir string, e scan.Entry) *scan.Object {
	o := d.g.Object(scan.Node{Kind: scan.KindDownload, Name: path.Join(dir, e.Name)})
	if o == nil || o.Unrecognised != "" {
		return nil
	}
	o.Renamed()
	return o
}

// removing adds a plugin that is being removed.
func (d *downloads) removing(id string, e scan.Entry) {
	d.add(pluginsDir, e, e.Type.IsDir(), "plugin whose removal was interrupted")
	o := d.renamed(pluginsDir, e)
	if o == nil {
		return
	}
	if _, err := d.in.Tree.Stat(pluginsDir + "/" + id); !errors.Is(err, fs.ErrNotExist) {
		o.Unrecognised = "the plugin itself is there too"
	}
}

// temporaries are the prefixes of the names that the daemon gives to its
// temporary files (1.6 to 29); a number follows.
var temporaries = []struct{ prefix, was string }{
	{"GetImageBlob", "interrupted pull"},
	{"GetV2ImageBlob", "interrupted pull"},
	{"docker-import-", "interrupted load"},
	{"docker-export-", "interrupted save"},
	{"docker-builder", "interrupted build"},
	{"docker-build", "interrupted build"},
	{"docker-build-git", "interrupted build"},
	{"docker-remote", "interrupted build"},
	{"docker-tarsplit", "interrupted build"},
	{"docker-aufs-base", "interrupted build"},
	{"docker-aufs-union", "interrupted build"},
}

// temporary says what a temporary file was for, if its name is one that the
// daemon gives.
func temporary(name string) (was string, known bool) {
	i := slices.IndexFunc(temporaries, func(t struct{ prefix, was string }) bool { return numbered(name, t.prefix) })
	if i < 0 {
		return "", false
	}
	return temporaries[i].was, true
}
