package mount

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// A path leads into the data root by links, by a bind mount of the root, of
// what is above it or of a part of it, and by all of these at once.
func TestResolve(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	root := top + "/disk/docker"
	for _, dir := range []string{root + "/volumes/a/_data", top + "/whole", top + "/part", top + "/nas/x", top + "/deep/er"} {
		assert.NilError(t, os.MkdirAll(dir, 0o700))
	}
	for name, target := range map[string]string{
		"/link": "disk/docker", "/absolute": root + "/volumes", "/chain": "link/volumes/a", "/up": "deep/er/../../disk",
		"/through": top + "/part/a", "/loop": "loop", "/out": "/etc", "/nas/link": root, root[len(top):] + "/inner": "volumes/a",
	} {
		assert.NilError(t, os.Symlink(target, top+name))
	}
	for from, to := range map[string]string{top + "/disk": top + "/whole", root + "/volumes": top + "/part"} {
		assert.NilError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
		t.Cleanup(func() { assert.Check(t, unix.Unmount(to, unix.MNT_DETACH)) })
	}
	r, err := NewResolver("/proc", root, 0)
	assert.NilError(t, err)
	r.silent[top+"/nas"] = true
	for name, want := range map[string]string{
		"/disk/docker/volumes/a":    "ROOT/volumes/a",
		"/link/volumes/a/_data":     "ROOT/volumes/a/_data",
		"/absolute/a/_data/deeper":  "ROOT/volumes/a/_data/deeper",
		"/chain/_data":              "ROOT/volumes/a/_data",
		"/up/docker/volumes/a":      "ROOT/volumes/a",
		"/whole/docker/volumes/a":   "ROOT/volumes/a",
		"/whole/docker/inner/_data": "ROOT/volumes/a/_data",
		"/part/a/_data":             "ROOT/volumes/a/_data",
		"/through/_data":            "ROOT/volumes/a/_data",
		"/part/gone/../a":           "ROOT/volumes/a",
		"/link/containers/gone/x":   "ROOT/containers/gone/x",
		"/link":                     "ROOT",
		"/whole":                    top + "/whole", // above the root: it names nothing in it
		"/loop/volumes":             top + "/loop/volumes",
		"/out/fstab":                "/etc/fstab",
		"/nas/link/volumes/a":       top + "/nas/link/volumes/a", // what may not answer is not asked
		"/nas/x/../docker":          top + "/nas/docker",
		"/disk/docker-old/volumes":  top + "/disk/docker-old/volumes",
		"/link/../docker/volumes/b": top + "/docker/volumes/b", // as docker cleans it
	} {
		got, err := r.Resolve(top + name)
		assert.NilError(t, err)
		assert.Equal(t, got, strings.Replace(want, "ROOT", root, 1), name)
	}
}

func TestResolveOfAnotherProcess(t *testing.T) {
	r, err := NewResolver("/proc", "/nowhere", os.Getppid())
	assert.NilError(t, err)
	got, err := r.Resolve("/proc/self/../x")
	assert.NilError(t, err)
	assert.Equal(t, got, "/proc/x")
	_, err = NewResolver(t.TempDir(), "/nowhere", 0)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A link of the process table that cannot be read leads nowhere: in a container's
// command it is one of the container's own. Any other is an error.
func TestResolveClosedLinks(t *testing.T) {
	r, err := NewResolver("/proc", "/nowhere", 0)
	assert.NilError(t, err)
	r.readlink = func(name string) (string, error) {
		if strings.HasSuffix(name, "/closed") {
			return "", unix.EACCES
		}
		return os.Readlink(name)
	}
	got, err := r.Resolve("/proc/self/fd/closed/below")
	assert.NilError(t, err)
	assert.Check(t, strings.HasSuffix(got, "/fd/closed/below"), got)
	_, err = r.Resolve("/tmp/closed")
	assert.ErrorIs(t, err, unix.EACCES)
}

// On a machine whose own root is a server's, links are followed as anywhere.
func TestResolveOnARemoteRoot(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	proc, root := top+"/proc", top+"/docker"
	for _, dir := range []string{proc + "/self", root} {
		assert.NilError(t, os.MkdirAll(dir, 0o700))
	}
	assert.NilError(t, os.WriteFile(proc+"/self/mountinfo", []byte("1 1 0:1 / / rw - nfs4 server:/ rw\n"), 0o600))
	assert.NilError(t, os.Symlink("/", proc+"/self/root"))
	assert.NilError(t, os.Symlink(root, top+"/link"))
	r, err := NewResolver(proc, root, 0)
	assert.NilError(t, err)
	got, err := r.Resolve(top + "/link/volumes")
	assert.NilError(t, err)
	assert.Equal(t, got, root+"/volumes")
}
