package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/rogpeppe/go-internal/txtar"
	"go.etcd.io/bbolt"
)

// A Case is a root file that was carried out.
type Case struct {
	*Root
	Host   scan.Host // the parts that the statements set
	Policy scan.Policy

	Mapper *Mapper // the kernel's device mapper

	others     map[string]*Root     // what other drivers have in the root
	subvolumes map[string]time.Time // by path: when each was made; zero: not told

	proc    string // the process table, made when first needed
	machine string // where the files of the machine are; "" if it has none
}

// Run carries out the statements of a root file in a new data root of a
// storage driver.
func Run(dir, driver, script string) (*Case, error) { return run(dir, driver, "", script) }

// RunApart is Run for a root that is scanned with the machine's own process
// table: its ids are no other root's, as real ones are. What a process has open
// is in use wherever its path has the id, and with the ids of Run the tests
// that run beside this one would hold its layers.
func RunApart(dir, driver, script string) (*Case, error) { return run(dir, driver, dir, script) }

// DrawnFor is a storage driver that a root file has a section for: overlay2 if
// it is one of them.
func DrawnFor(file *txtar.Archive) string {
	driver := ""
	for _, section := range file.Files {
		name, ok := strings.CutPrefix(section.Name, "want ")
		if ok && (driver == "" || name == "overlay2") {
			driver = name
		}
	}
	return driver
}

func run(dir, driver, salt, script string) (*Case, error) {
	lines := strings.Split(script, "\n")
	root, err := newRoot(dir, driver, salt)
	if err != nil {
		return nil, err
	}
	c := &Case{Root: root, Mapper: &Mapper{}, others: map[string]*Root{}, Policy: scan.Policy{Grace: scan.DefaultGrace}}
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := c.Statement(line); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
	}
	if c.Policy.Now.IsZero() { // once all is made, however long that took
		c.Policy.Now = time.Now().Add(time.Second)
	}
	return c, nil
}

// Statement carries out one statement of a root file.
func (c *Case) Statement(line string) error {
	if rest, ok := strings.CutPrefix(line, "with "); ok {
		other, statement, _ := strings.Cut(rest, " ")
		return c.with(other, statement)
	}
	line = strings.NewReplacer("DRIVER", c.Driver,
		"LAYERS/", c.layerDir("")+"/", "ROOT/", c.Dir+"/").Replace(line)
	word, rest, _ := strings.Cut(line, " ")
	rest, err := c.Expand(strings.TrimSpace(rest))
	if err != nil {
		return err
	}
	fields := strings.Fields(rest)
	switch word {
	case "before":
		return c.before110()
	case "forget":
		c.Daemon.Forget(fields[0])
		return nil
	case "image":
		name, layers, _ := strings.Cut(rest, ":")
		return c.Image(name, strings.Fields(layers)...)
	case "container":
		return c.Container(fields[0], fields[1])
	case "volume":
		name, row, quoted := strings.Cut(rest, " ")
		if quoted {
			if row, err = strconv.Unquote(strings.TrimSpace(row)); err != nil {
				return err
			}
		}
		return c.Volume(name, row)
	case "layer":
		return c.Layer(fields[0], c.id("layer "+fields[0]), on(fields)...)
	case "build":
		c.builds[fields[0]] = c.buildID("build " + fields[0])
		return c.layer(fields[0], c.buildID("build "+fields[0]), true, on(fields))
	case "buildkit":
		return c.buildKit(fields)
	case "active":
		return c.active(fields)
	case "no-dmsetup":
		c.Mapper.NoTool = true
		return nil
	case "machine":
		name, content, _ := strings.Cut(rest, " ")
		return c.machineFile(name, content)
	case "online", "now", "writing":
		return c.time(word, fields)
	case "subvolume":
		return c.subvolume(fields)
	}
	return c.file(word, rest)
}

// with carries out a statement as if the root's driver were another one: after
// a switch of drivers, what the old one had is still there. OTHER is one that
// the root's is not.
func (c *Case) with(other, statement string) error {
	if other == "OTHER" {
		other = c.Other()
	}
	if c.others[other] == nil {
		root, err := newRoot(c.Dir, other, c.salt+other)
		if err != nil {
			return err
		}
		root.symbols = c.symbols
		c.others[other] = root
	}
	old := &Case{Root: c.others[other]}
	return old.Statement(statement)
}

// With is [Root.Expand] with the things of another driver.
func (c *Case) With(other, text string) (string, error) { return c.others[other].Expand(text) }

// Other is a driver that the root's is not.
func (c *Case) Other() string {
	if c.Driver == "vfs" {
		return "overlay2"
	}
	return "vfs"
}

// subvolume has a directory look like the top of a subvolume.
func (c *Case) subvolume(fields []string) error {
	made := time.Time{}
	for _, f := range fields[1:] {
		offset, err := time.ParseDuration(strings.TrimPrefix(f, "made="))
		if err != nil {
			return err
		}
		made = time.Now().Add(offset)
	}
	if c.subvolumes == nil {
		c.subvolumes = map[string]time.Time{}
	}
	c.subvolumes[fields[0]] = made
	return nil
}

// on returns what follows "NAME on".
func on(fields []string) []string {
	if len(fields) > 2 && fields[1] == "on" {
		return fields[2:]
	}
	return nil
}

// machineFile makes a file of the machine, outside of the data root.
func (c *Case) machineFile(name, quoted string) error {
	content, err := strconv.Unquote(strings.TrimSpace(quoted))
	if err != nil {
		return err
	}
	c.machine = c.Dir + ".machine"
	return writeFile(filepath.Join(c.machine, name), content)
}

func (c *Case) file(word, rest string) error {
	name, more, _ := strings.Cut(rest, " ")
	name, err := unescape(name)
	if err != nil {
		return err
	}
	path := c.path(name)
	if word != "rm" {
		if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
			return err
		}
	}
	switch word {
	case "write":
		content, err := strconv.Unquote(strings.TrimSpace(more))
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(content), 0o600)
	case "link":
		return os.Symlink(strings.TrimSpace(strings.TrimPrefix(more, "->")), path)
	case "mkdir":
		return os.MkdirAll(path, 0o711)
	case "rm":
		if _, err := os.Lstat(path); err != nil {
			return err
		}
		return os.RemoveAll(path)
	case "mv":
		return os.Rename(path, c.path(strings.TrimSpace(more)))
	}
	return fmt.Errorf("no such statement")
}

// unescape turns a name with Go escapes into bytes: "a\nb", "\xff".
func unescape(name string) (string, error) {
	if !strings.Contains(name, `\`) {
		return name, nil
	}
	return strconv.Unquote(`"` + name + `"`)
}

func (c *Case) time(word string, fields []string) error {
	offset := time.Duration(0)
	for _, f := range fields {
		d, err := time.ParseDuration(strings.TrimPrefix(f, "started="))
		if err != nil {
			return err
		}
		offset = d
	}
	switch word {
	case "now":
		c.Policy.Now = time.Now().Add(offset)
	case "writing":
		c.Host.OldestWriteSet = time.Now()
	case "online":
		start := time.Now().Add(offset)
		c.Host.Online = true
		c.Host.Owner = &scan.Process{PID: 1, Name: "dockerd", Started: start}
		c.Host.TmpMade = start
		c.Daemon = c.newDaemon()
	}
	return nil
}

// buildKit makes the databases of BuildKit with one record a layer.
func (c *Case) buildKit(names []string) error {
	if err := os.MkdirAll(c.path("buildkit"), 0o711); err != nil {
		return err
	}
	buckets := map[string][][]string{"snapshots.db": {}, "metadata_v2.db": {{"_main"}}, "containerdmeta.db": {{"v1"}}}
	for _, name := range names {
		id := c.builds[name]
		if id == "" {
			return fmt.Errorf("%s: no such build layer", name)
		}
		buckets["snapshots.db"] = append(buckets["snapshots.db"], []string{id})
		buckets["metadata_v2.db"] = append(buckets["metadata_v2.db"], []string{"_main", id})
	}
	for file, paths := range buckets {
		if err := makeBolt(c.path("buildkit/"+file), paths, file == "snapshots.db"); err != nil {
			return err
		}
	}
	return nil
}

func makeBolt(path string, buckets [][]string, snapshots bool) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, names := range buckets {
			b, err := tx.CreateBucketIfNotExists([]byte(names[0]))
			for _, n := range names[1:] {
				if err == nil {
					b, err = b.CreateBucketIfNotExists([]byte(n))
				}
			}
			if err == nil && snapshots {
				err = b.Put([]byte("parent"), nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}
