//go:build e2e && linux

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// quickly are options with which a run is over as soon as it can be.
var quickly = slices.Concat(shortGrace, []string{"--allow-quick-looks"})

// until runs a command of the program until it exits so: what rests for less
// than the short grace is young.
func (h *host) until(t *testing.T, code int, said string, args ...string) engine.Output {
	t.Helper()
	var out engine.Output
	for range patience {
		out = h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, quickly, args)...)
		if out.Code == code && strings.Contains(out.Stdout+out.Stderr, said) {
			return out
		}
	}
	assert.Assert(t, false, "%s: exit status %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	return out
}

// contents describes all that is in a volume: bytes, owners, modes, times,
// attributes, and which names are one file.
func (h *host) contents(t *testing.T, volume string) map[string]string {
	t.Helper()
	root, out, names := h.Path("volumes/"+volume+"/_data"), map[string]string{}, map[uint64]string{}
	assert.NilError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		what := fmt.Sprint(st.Uid, " ", st.Gid, " ", st.Mode, " ", st.Mtim, " ", st.Rdev)
		if !e.IsDir() {
			what += fmt.Sprint(" ", st.Size, " ", st.Nlink)
			if first, ok := names[st.Ino]; ok {
				what += " is " + first
			}
			names[st.Ino] = name
		}
		switch {
		case e.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(data))
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + target
		}
		var list, value [4096]byte
		n, err := unix.Llistxattr(path, list[:])
		if err != nil {
			return err
		}
		attributes := strings.Split(string(list[:n]), "\x00")
		slices.Sort(attributes)
		for _, a := range attributes {
			if a != "" {
				n, err := unix.Lgetxattr(path, a, value[:])
				if err != nil {
					return err
				}
				what += fmt.Sprintf(" %s=%x", a, value[:n])
			}
		}
		out[name] = what
		return nil
	}))
	return out
}

// fill has a container fill a volume, and adds what only the host can.
func (h *host) fill(t *testing.T, volume string, options ...string) {
	t.Helper()
	if !h.Has("volumes/" + volume) {
		h.Docker(t, slices.Concat([]string{"volume", "create"}, options, []string{volume})...)
	}
	h.Docker(t, "run", "--rm", "--volume="+volume+":/v", "base:1", "sh", "-c",
		"cd /v; mkdir -p deep/er; echo one >deep/er/one; ln deep/er/one two; ln -s /etc to; mkfifo pipe; echo s >suid; chown 12:34 suid; chmod 6751 suid; chown 999:998 .; chmod 2750 .")
	data := h.Path("volumes/" + volume + "/_data")
	assert.NilError(t, unix.Setxattr(data, "trusted.ours", []byte("1"), 0))
	assert.NilError(t, unix.Setxattr(data+"/suid", "user.ours", []byte("2"), 0))
	assert.NilError(t, os.Truncate(data+"/deep/er/one", 1<<20))
}

// prunes prunes until all of these volumes are gone: one may still be too young,
// or in doubt, when another goes.
func (h *host) prunes(t *testing.T, volumes []string, command ...string) {
	t.Helper()
	for range patience {
		h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, quickly, command)...)
		if !slices.ContainsFunc(volumes, func(v string) bool { return h.Has("volumes/" + v) }) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	assert.Assert(t, false, "%v are still there", volumes)
}

// TestVolumesComeBack prunes volumes of each sort with data in them, brings them
// back, and has containers use them again.
func TestVolumesComeBack(t *testing.T) { at(t, engines, "volumes come back", volumesComeBack) }

func volumesComeBack(t *testing.T, h *host) {
	left := h.Create(t, "--volume=/v", "base:1", "true")
	anonymous := h.Docker(t, "inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", left)
	h.Docker(t, "rm", left)
	const builder = "buildx_buildkit_b0_state"
	for _, volume := range []string{anonymous, "labelled", builder, "data"} {
		h.fill(t, volume, "--label=env=prod", "--label=protected")
	}
	assert.NilError(t, os.WriteFile(h.Path("volumes/data/_data/PG_VERSION"), []byte("15"), 0o600))
	assert.NilError(t, os.MkdirAll(h.Path("volumes/unlisted/_data"), 0o700))
	assert.NilError(t, os.WriteFile(h.Path("volumes/unlisted/_data/x"), []byte("x"), 0o600))
	inspect := func(volume string) string {
		return h.Docker(t, "volume", "inspect", "--format", "{{.Name}} {{.Driver}} {{.Labels}} {{.Options}} {{.Mountpoint}}", volume)
	}
	listed := []string{anonymous, "labelled", builder}
	was, told := map[string]map[string]string{}, map[string]string{}
	for _, volume := range append(slices.Clone(listed), "unlisted", "data") {
		was[volume] = h.contents(t, volume)
	}
	for _, volume := range listed {
		told[volume] = inspect(volume)
	}
	before := engine.Snapshot(t, h.Daemon)

	h.prunes(t, []string{anonymous, "unlisted"}, "prune", "--force")
	assert.Check(t, h.Has("volumes/labelled") && h.Has("volumes/"+builder) && h.Has("volumes/data"), "went though it was not told to")
	h.command(t, 0, "restore", anonymous, "unlisted")
	h.command(t, 0, slices.Concat(quickly, []string{"prune", "--force"})...)
	assert.Check(t, h.Has("volumes/"+anonymous) && h.Has("volumes/unlisted"), "was restored, and is gone again")

	// What is protected stays, whatever else goes.
	h.command(t, 0, slices.Concat(quickly, []string{"prune", "--force", "--all-volumes", "--filter", "label!=protected"})...)
	assert.Check(t, h.Has("volumes/labelled"))
	h.prunes(t, []string{"labelled", builder}, "prune", "--force", "--all-volumes")
	assert.Check(t, h.Has("volumes/data"), "a database went")
	h.command(t, 1, slices.Concat(quickly, []string{"prune", "--force", "--all-volumes", "--include-precious"})...)
	h.command(t, 1, slices.Concat(quickly, []string{"rm", "--force", "volume:data"})...)
	assert.Check(t, h.Has("volumes/data"), "a database went by force")

	h.command(t, 0, "restore", "labelled", builder)
	for _, volume := range append(slices.Clone(listed), "unlisted", "data") {
		assert.DeepEqual(t, h.contents(t, volume), was[volume])
	}
	for _, volume := range listed {
		assert.Equal(t, inspect(volume), told[volume])
		assert.Equal(t, h.Docker(t, "run", "--rm", "--volume="+volume+":/v", "base:1", "sh", "-c", "head -c 3 /v/two; stat -c '%u:%g %a' /v"), "one999:998 2750")
	}
	engine.Check(t, h.Daemon, before)
	h.again(t)
	inspect("unlisted") // the daemon knows it from now on
	for _, volume := range append(listed, "unlisted") {
		assert.DeepEqual(t, h.contents(t, volume), was[volume])
	}

	// A name that was taken meanwhile stays with who has it.
	h.until(t, 0, "Quarantined", "rm", "--force", "volume:labelled")
	h.Docker(t, "run", "--rm", "--volume=labelled:/v", "base:1", "sh", "-c", "echo new >/v/new")
	out := h.command(t, 1, "restore", "--last")
	assert.Check(t, strings.Contains(out.Stderr, "restore --as NAME"), out.Stderr)
	assert.Equal(t, h.Docker(t, "run", "--rm", "--volume=labelled:/v", "base:1", "sh", "-c", "echo /v/*"), "/v/new")
	run := regexp.MustCompile(`(?m)^\d{8}T\d{6}-[0-9a-f]{6}`).FindString(h.command(t, 0, "runs").Stdout)
	h.command(t, 0, "restore", "--as", "other", run)
	assert.DeepEqual(t, h.contents(t, "other"), was["labelled"])
	assert.Equal(t, h.Docker(t, "volume", "inspect", "--format", "{{.Labels}}", "other"), "map[env:prod protected:]")
}

// TestVolumesStay has something in each volume's way: a mount in it, of another
// machine as it were, a container that is made while prune waits, or an inode
// that cannot be linked. All stay, to the last file (rule 6).
func TestVolumesStay(t *testing.T) { at(t, engines, "volumes stay", volumesStay) }

func volumesStay(t *testing.T, h *host) {
	for _, volume := range []string{"over", "below", "taken", "fixed"} {
		h.fill(t, volume)
	}
	share := filepath.Join(h.Dir, "share")
	assert.NilError(t, os.Mkdir(share, 0o755))
	assert.NilError(t, os.WriteFile(share+"/precious", []byte("theirs"), 0o600))
	for _, at := range []string{"volumes/over/_data", "volumes/below/_data/deep"} {
		point := h.Path(at)
		assert.NilError(t, unix.Mount(share, point, "", unix.MS_BIND, ""))
		t.Cleanup(func() { assert.NilError(t, unix.Unmount(point, unix.MNT_DETACH)) })
	}
	fixed := h.Path("volumes/fixed/_data/suid")
	setImmutable(t, fixed, true)
	t.Cleanup(func() { setImmutable(t, fixed, false) })
	taken, below := h.contents(t, "taken"), h.contents(t, "below")

	plan := filepath.Join(h.Dir, "plan")
	h.until(t, 0, "fixed", "prune", "--all-volumes", "--save-plan", plan)
	user := h.Create(t, "--volume=taken:/v", "base:1", "true")
	out := h.command(t, 4, slices.Concat(quickly, []string{"prune", "--force", "--plan", plan})...)
	assert.Check(t, strings.Contains(out.Stderr, "volume taken: it is used now"), out.Stderr)
	assert.Check(t, strings.Contains(out.Stderr, "could not be undone"), out.Stderr)
	assert.Check(t, !strings.Contains(out.Stdout, "Quarantined"), out.Stdout)
	for _, purge := range [][]string{nil, {"--purge"}} {
		h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, quickly, []string{"prune", "--force", "--all-volumes"}, purge)...)
		data, err := os.ReadFile(share + "/precious")
		assert.NilError(t, err)
		assert.Equal(t, string(data), "theirs")
		assert.DeepEqual(t, h.contents(t, "taken"), taken)
		assert.DeepEqual(t, h.contents(t, "below"), below)
		if purge == nil {
			assert.Check(t, h.Has("volumes/fixed/_data/suid"))
			setImmutable(t, fixed, false)
		}
	}
	assert.Equal(t, h.Docker(t, "volume", "inspect", "--format", "{{.Name}}", "over", "below", "taken"), "over\nbelow\ntaken")
	h.Docker(t, "rm", user)
}
