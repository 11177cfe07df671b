package unlink

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// TestMount removes trees that something is mounted in, though nobody said so.
// What is mounted stays as it is, and what covers it, and the directories
// above; all else goes (rules 6 and 9).
func TestMount(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		name       string
		from, over string // none: a tmpfs
		stays      []string
		because    error
	}{
		{"a directory of the same file system", "u", "t/b", []string{"t", "t/b"}, ErrMount},
		{"deeper", "u", "t/a/b/c", []string{"t", "t/a", "t/a/b", "t/a/b/c"}, ErrMount},
		{"a tree into itself", "t/a", "t/b", []string{"t", "t/b"}, ErrMount},
		{"onto itself", "t/b", "t/b", []string{"t", "t/b"}, ErrMount},
		{"another file system", "", "t/b", []string{"t", "t/b"}, ErrMount},
		{"a file", "u/f", "t/a/f", []string{"t", "t/a", "t/a/f"}, unix.EBUSY},
		{"a device over a file", "/dev/null", "t/a/f", []string{"t", "t/a", "t/a/f"}, unix.EBUSY},
		{"over the tree", "u", "t", []string{"t", "t/a", "t/a/b", "t/a/b/c", "t/a/b/f", "t/a/f", "t/b", "t/f"}, ErrMount},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, root string, crew *Crew) {
				plant(t, root, "t/f", "t/a/f", "t/a/b/f", "t/a/b/c/", "t/b/", "u/f", "u/g/f")
				outside := manifest(t, filepath.Join(root, "u"))
				args := []string{"-t", "tmpfs", "none"}
				if c.from != "" {
					args = []string{"--bind", filepath.Join(root, c.from)}
				}
				if filepath.IsAbs(c.from) {
					args[1] = c.from
				}
				over := filepath.Join(root, c.over)
				run(t, "mount", append(args, over)...)
				if c.from == "" {
					plant(t, over, "f")
				}
				mounted := left(t, over)
				r, err := remove(t, crew, root, Options{ClearFlags: true, Trash: open(t, root)})
				if c.name != "a tree into itself" { // its source goes: nothing is mounted on that
					assert.DeepEqual(t, left(t, over), mounted)
				}
				run(t, "umount", over)

				assert.ErrorIs(t, err, c.because)
				if c.over != "t" {
					assert.Equal(t, r.Stay, int64(1))
					assert.Equal(t, r.Left[0].Path, c.over)
				}
				assert.DeepEqual(t, manifest(t, filepath.Join(root, "u")), outside)
				assert.NilError(t, os.RemoveAll(filepath.Join(root, "u")))
				assert.DeepEqual(t, left(t, root), c.stays)
			})
		})
	}
}

// A swap is something that another process does to a tree while it goes, and
// takes back.
type swap struct {
	name     string
	do, undo func() error
}

// swaps are what can stand in the place of root/t/a/b from one moment to the
// next.
func swaps(root string) []swap {
	at, aside, outside := filepath.Join(root, "t/a/b"), filepath.Join(root, "aside"), filepath.Join(root, "outside")
	above := filepath.Dir(at)
	link := func(at string) swap {
		return swap{"link at " + filepath.Base(at), func() error {
			_ = os.Rename(at, aside)                           // it may be gone
			up, err := filepath.Rel(filepath.Dir(at), outside) // an absolute one is easier to catch
			if err != nil {
				return err
			}
			return os.Symlink(up, at)
		}, func() error { return os.Remove(at) }}
	}
	bind := func(from, at string) swap {
		return swap{
			"mount at " + filepath.Base(at),
			func() error { return unix.Mount(from, at, "", unix.MS_BIND, "") },
			func() error { return unix.Unmount(at, unix.MNT_DETACH) },
		}
	}
	return []swap{link(at), link(above), bind(outside, at), bind(outside, above), bind(outside+"/f", at+"/f")}
}

// TestSwap swaps part of a tree at every moment of its removal. Nothing outside
// may change.
func TestSwap(t *testing.T) {
	needRoot(t)
	for _, m := range modes {
		root := t.TempDir()
		plant(t, root, "outside/f", "outside/g/f", "outside/b/f")
		outside := manifest(t, filepath.Join(root, "outside"))
		dir := open(t, root)
		for _, s := range swaps(root) {
			t.Run(m.name+"/"+s.name, func(t *testing.T) {
				done := 0
				for at, over := 1, false; !over; at++ {
					plant(t, root, "t/f", "t/a/f", "t/a/b/f", "t/a/b/g/f")
					swapped := false
					before := openFiles(t)
					h := &hook{Context: context.Background(), at: at, do: func() { swapped = s.do() == nil }}
					r, err := crew(m.calls, 1).Remove(h, dir, "t", Options{Mounted: nothing, ClearFlags: true, Trash: dir})
					assert.Equal(t, openFiles(t), before)
					assert.DeepEqual(t, manifest(t, filepath.Join(root, "outside")), outside)
					assert.Equal(t, err == nil, r.Stay == 0)
					over = h.calls < at
					if swapped {
						done++
						_ = s.undo() // the link may be gone
					}
					for _, name := range []string{"t", "aside"} {
						assert.NilError(t, os.RemoveAll(filepath.Join(root, name)))
					}
				}
				assert.Check(t, done >= 3, "swapped %d times", done)
			})
		}
	}
}

// TestRace swaps as fast as it can while trees go, for each mode. Nothing outside
// may change.
func TestRace(t *testing.T) {
	needRoot(t)
	for _, m := range modes {
		root := t.TempDir()
		plant(t, root, "outside/f", "outside/g/f", "outside/b/f")
		outside := manifest(t, filepath.Join(root, "outside"))
		dir := open(t, root)
		for _, s := range swaps(root) {
			t.Run(m.name+"/"+s.name, func(t *testing.T) {
				for range 20 {
					plant(t, root, "t/f", "t/a/f", "t/a/b/f", "t/a/b/g/f", "t/a/c/f", "t/d/f")
					stop, stopped := make(chan struct{}), make(chan struct{})
					go func() {
						defer close(stopped)
						for {
							if s.do() == nil {
								_ = s.undo() // the link may be gone
								_ = os.Rename(filepath.Join(root, "aside"), filepath.Join(root, "t/a/b"))
							}
							select {
							case <-stop:
								return
							default:
							}
						}
					}()
					_, _ = crew(m.calls, 3).Remove(context.Background(), dir, "t", Options{Mounted: nothing, ClearFlags: true, Trash: dir}) // something may stay
					close(stop)
					<-stopped
					assert.DeepEqual(t, manifest(t, filepath.Join(root, "outside")), outside)
					for _, name := range []string{"t", "aside"} {
						assert.NilError(t, os.RemoveAll(filepath.Join(root, name)))
					}
				}
			})
		}
	}
}
