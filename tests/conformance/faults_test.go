package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// needsDoubt reports whether the failure of a read must show. Not where what
// it tells can only make more free to go, or is about nothing that is judged.
func needsDoubt(c *testkit.Case, r testkit.Read) bool {
	info, err := os.Lstat(filepath.Join(c.Dir, r.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist), r.Op == "ReadLink" && info.Mode()&fs.ModeSymlink == 0:
		return false // what is not there cannot be missed
	case strings.HasPrefix(r.String(), "ReadDir image/"+c.Driver+"/layerdb/sha256/"):
		return false // asked only of an entry that is in doubt already, and empty perhaps
	case strings.HasPrefix(r.Name, "repositories-"):
		return !takenOver(c) // there it tells of a layer that it is no volume's data
	case r.Op == "Stat":
		return false // what it cannot tell counts as being there
	case r.Op == "ReadFile" && strings.HasSuffix(r.Name, "/lower"):
		return scan.IsLayerID(path.Base(path.Dir(r.Name)))
	case strings.HasPrefix(r.Name, "volumes/") && strings.HasSuffix(r.Name, "/config.json"), r.String() == "ReadDir .", r.String() == "ReadDir init":
		return c.Driver == "vfs" // volumes of Docker before 1.9 have their data among its layers
	}
	// Which registry has a layer: without it prune leaves the layer to rm.
	return !strings.HasPrefix(r.Name, "image/"+c.Driver+"/distribution/")
}

// takenOver reports whether Docker since 1.10 has used the root.
func takenOver(c *testkit.Case) bool {
	for _, trace := range []string{"image", ".migration-v1-images.json"} {
		if _, err := os.Lstat(filepath.Join(c.Dir, trace)); err == nil {
			return true
		}
	}
	return false
}

// An outcome is what a scan said.
type outcome struct {
	verdicts map[scan.Node]scan.Verdict
	takes    map[scan.Node]bool // what prune takes by itself
	said     string             // doubts, and what was found out about sources and things
	breaks   map[scan.Node]bool // what is told to be damaged
}

func judge(t *testing.T, in *scan.Input, p scan.Policy) outcome {
	t.Helper()
	g, findings := testkit.JudgeInput(t, in, p)
	o := outcome{verdicts: map[scan.Node]scan.Verdict{}, takes: map[scan.Node]bool{}, breaks: map[scan.Node]bool{}}
	for _, b := range scan.Breaks(g) {
		o.breaks[b.Node] = true
	}
	for _, d := range g.Doubts {
		o.said += d.String() + "\n"
	}
	for _, f := range findings {
		for _, part := range f.Parts {
			o.verdicts[part.Node], o.takes[part.Node] = f.Verdict, f.Default
			o.said += part.Unrecognised + "\n"
			if part.Usage != nil {
				o.said += part.Usage.Problem + "\n"
			}
			if contents := part.Note().Contents; contents != nil {
				o.said += fmt.Sprintf("%+v %t\n", *contents, part.Note().Labels.Known)
			}
		}
	}
	return o
}

// check asserts that nothing is free to go that was not before, that nothing
// is told to be damaged that was not, and that the failure shows.
func (o outcome) check(t *testing.T, c *testkit.Case, before outcome, failed string, shows bool) {
	t.Helper()
	for n, v := range o.verdicts {
		was, known := before.verdicts[n]
		switch {
		case v == scan.Orphan && (!known || was != scan.Orphan):
			t.Errorf("%s: %s was %s (listed: %t) and is an orphan", c.Symbols(failed), c.Symbols(n.String()), was, known)
		case o.takes[n] && !before.takes[n]:
			t.Errorf("%s: prune did not take %s by itself and does now", c.Symbols(failed), c.Symbols(n.String()))
		}
	}
	for n := range o.breaks {
		if !before.breaks[n] {
			t.Errorf("%s: %s is told to be damaged", c.Symbols(failed), c.Symbols(n.String()))
		}
	}
	if shows && o.said == before.said {
		t.Errorf("%s: no doubt says so", c.Symbols(failed))
	}
}

// reads lists every read that a scan of a root makes.
func reads(t *testing.T, c *testkit.Case) (all []testkit.Read, before outcome) {
	t.Helper()
	in := testkit.Tapped(t, c, func(r testkit.Read) error {
		all = append(all, r)
		return nil
	})
	before = judge(t, in, c.Policy)
	return all, before
}

// maxFaults bounds the scans of one root: of a larger one, reads are picked at
// equal distances.
const maxFaults = 150

// Reads fail: each alone on a rich root, and on every root all that ask the
// same of the same.
func TestFailedReadsMakeDoubtsAndNoOrphans(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		all, before := reads(t, c)
		for n := range all {
			failNth(t, c, before, n)
		}
	})
	everyRoot(t, func(t *testing.T, c *testkit.Case) {
		if c.Driver == "fuse-overlayfs" {
			return // reads as overlay2 does, and had its share above
		}
		all, before := reads(t, c)
		all = distinct(all)
		step := max(1, len(all)/maxFaults)
		for n := 0; n < len(all); n += step {
			failEach(t, c, before, all[n])
		}
	})
}

func distinct(all []testkit.Read) []testkit.Read {
	seen := map[testkit.Read]bool{}
	return slices.DeleteFunc(slices.Clone(all), func(r testkit.Read) bool {
		was := seen[r]
		seen[r] = true
		return was
	})
}

// failNth fails the nth read, with the error of a bad disk. A second read of
// the same may still tell what the first did not, so nothing must show.
func failNth(t *testing.T, c *testkit.Case, before outcome, n int) {
	t.Helper()
	count, failed := 0, ""
	in := testkit.Tapped(t, c, func(r testkit.Read) error {
		count++
		if count-1 == n {
			failed = fmt.Sprintf("read %d, %s", n, r)
			return syscall.EIO
		}
		return nil
	})
	judge(t, in, c.Policy).check(t, c, before, failed, false)
}

// failEach fails every read of a path, with the error of a confined reader.
func failEach(t *testing.T, c *testkit.Case, before outcome, what testkit.Read) {
	t.Helper()
	in := testkit.Tapped(t, c, func(r testkit.Read) error {
		if r == what {
			return syscall.EACCES
		}
		return nil
	})
	judge(t, in, c.Policy).check(t, c, before, what.String(), needsDoubt(c, what))
}

// Every question to the daemon, a manager of a swarm, fails once.
func TestDaemonThatFails(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		if c.Daemon == nil {
			return
		}
		_, before := reads(t, c)
		for _, question := range []string{"Images", "Containers", "Volumes", "BuildCache", "Services"} {
			c.Daemon.Err = map[string]error{question: fmt.Errorf("daemon: %w", syscall.EACCES)}
			in := testkit.Input(t, c)
			in.Info.Manager = true
			o := judge(t, in, c.Policy)
			o.check(t, c, before, question, true)
			for n, v := range o.verdicts {
				assert.Assert(t, v != scan.Orphan || n.Kind == scan.KindLink, "%s: %s is an orphan", question, n)
			}
		}
	})
}

// The datasets cannot be listed: there may be any.
func TestPoolsThatFail(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		if c.Driver != "zfs" {
			return
		}
		_, before := reads(t, c)
		c.Pools.Err = fmt.Errorf("zfs list: %w", syscall.EACCES)
		o := judge(t, testkit.Input(t, c), c.Policy)
		o.check(t, c, before, "zfs", true)
		for n, v := range o.verdicts {
			apart := slices.Contains([]scan.Kind{scan.KindContainer, scan.KindDownload, scan.KindMountPoint, scan.KindVolume}, n.Kind)
			assert.Assert(t, v != scan.Orphan || apart, "%s is an orphan", n)
		}
	})
}

// The device mapper cannot be asked: any thin device may be open.
func TestMapperThatFails(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		if c.Driver != "devicemapper" {
			return
		}
		_, before := reads(t, c)
		c.Mapper.Err = fmt.Errorf("dmsetup info: %w", syscall.EACCES)
		o := judge(t, testkit.Input(t, c), c.Policy)
		o.check(t, c, before, "dmsetup", true)
		for n, v := range o.verdicts {
			assert.Assert(t, v != scan.Orphan || n.Kind != scan.KindLayer, "%s is an orphan", n)
		}
	})
}
