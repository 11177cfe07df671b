package source

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// halfWritten adds what was being written when the daemon was killed. It writes
// ".tmp-<name><number>" beside a record and renames that over it (moby
// ioutils.AtomicWriteFile; until 1.11 "<name>.tmp"), makes the scripts of its
// runtimes in gen-runtimes<number>, and never removes what is left of either.
// What lies in a volume, or with a container whose config cannot be read, goes
// with that.
func (d *downloads) halfWritten() error {
	top, err := d.list(".")
	for _, e := range top {
		if numbered(e.Name, "gen-runtimes") {
			d.add(".", e, e.Type.IsDir(), "interrupted start of the daemon")
		}
	}
	problems := []error{err, d.beside(".", "engine-id")}
	for _, b := range d.in.Backends {
		dir := "image/" + b.Name
		problems = append(problems,
			d.beside(dir, "repositories.json"),
			d.beside(dir+"/imagedb/content/sha256"),
			d.beside(dir+"/distribution/diffid-by-digest/sha256"),
			d.beside(dir+"/distribution/v2metadata-by-diffid/sha256"),
			d.beneath(dir+"/imagedb/metadata/sha256", "parent", "lastUpdated", "builtLocally"),
		)
	}
	return errors.Join(append(problems, d.beneath(pluginsDir, "config.json"))...)
}

// beneath is beside in each directory of a directory that has an id.
func (d *downloads) beneath(dir string, records ...string) error {
	entries, err := d.list(dir)
	problems := []error{err}
	for _, e := range entries {
		if scan.IsID(e.Name) && e.Type.IsDir() {
			problems = append(problems, d.beside(path.Join(dir, e.Name), records...))
		}
	}
	return errors.Join(problems...)
}

// beside adds what is half written in a directory.
func (d *downloads) beside(dir string, records ...string) error {
	n, err := addHalfWritten(d.in, d.g, dir, records...)
	d.count += n
	return err
}

// addHalfWritten adds what is half written of the records named in a directory;
// if none is named, of all that have an id for a name. One that is named must be
// there: what was to become it may be all that is left of it.
func addHalfWritten(in *scan.Input, g *scan.Graph, dir string, records ...string) (count int, err error) {
	entries, err := in.Tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	there := func(name string) bool {
		return slices.ContainsFunc(entries, func(e scan.Entry) bool { return e.Name == name })
	}
	for _, e := range entries {
		name := writtenTo(e.Name)
		if slices.Contains(records, name) && there(name) || len(records) == 0 && scan.IsID(name) {
			addDownload(in, g, "", dir, e, e.Type.IsRegular(), "half-written record")
			count++
		}
	}
	return count, err
}

// writtenTo is the name of the record that a temporary file was to become: an
// id, which may end in digits itself, or a name that does not; "" if its name
// is no such file's.
func writtenTo(name string) string {
	rest, ok := strings.CutPrefix(name, ".tmp-")
	if !ok {
		if was, old := strings.CutSuffix(name, ".tmp"); old {
			return was
		}
		return ""
	}
	was := strings.TrimRight(rest, "0123456789")
	if len(rest) > 64 && scan.IsID(rest[:64]) {
		was = rest[:64]
	}
	if !numbered(rest, was) {
		return ""
	}
	return was
}
