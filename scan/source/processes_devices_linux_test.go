package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/process"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

func TestDevices(t *testing.T) {
	d := &devices{
		sites: map[uint64]site{0x801: inData, 0x21: elsewhere, 0x22: unknownOverlay}, supers: map[uint64]bool{0x2b: true},
		namespaces: map[string]bool{"mnt:[10]": true, "mnt:[11]": true, "mnt:[12]": true},
		remotes: map[string]map[string]bool{
			"/mnt/nfs": {"mnt:[10]": true, "mnt:[12]": true}, "/": {"mnt:[11]": true}, "/untold": {"": true},
		},
	}
	for name, tc := range map[string]struct {
		use    process.Use
		device uint64
		want   site
	}{
		"the data root's":                      {process.Open, 0x801, inData},
		"a mount's":                            {process.Open, 0x21, elsewhere},
		"known to be taken away":               {process.Open, 0x22, unknownOverlay},
		"a disk's that is not mounted":         {process.Open, 0x811, elsewhere},
		"a mapping, by the file system's":      {process.Mapping, 0x2b, inData},
		"a descriptor is not told by that one": {process.Open, 0x2b, elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			f := &process.File{Use: tc.use, Link: "/proc/self/exe"}
			f.Stamp.Device = tc.device
			assert.Equal(t, d.of(f), tc.want)
		})
	}
	proc := procOf(t, map[string]string{
		"20/ns/mnt": "-> mnt:[10]", "21/ns/mnt": "-> mnt:[11]", "22/ns/mnt": "-> mnt:[12]", "23/ns/mnt": "-> mnt:[13]",
	})
	for _, tc := range []struct {
		pid, path string
		want      bool
	}{
		{"20", "/mnt/nfs", true},
		{"20", "/mnt/nfs/a/b", true},
		{"20", "/mnt/nfs2", false},
		{"20", "/mnt", false},
		{"20", "/", false},
		{"20", "mnt", false},
		{"20", "", false},
		{"21", "/", true},
		{"21", "/x", true},
		{"21", "pipe:[12]", false},
		{"22", "/mnt/nfs/a", true},
		{"22", "/x", false},
		{"22", "/untold/x", true},
		{"23", "/x", true}, // a namespace that was not read
		{"24", "/x", true}, // ended
	} {
		assert.Equal(t, d.remote(proc+"/"+tc.pid, tc.path), tc.want, "%s of %s", tc.path, tc.pid)
	}
	assert.Assert(t, !(&devices{}).remote(proc+"/24", "/x"))
}

// An overlay that is in a mount table when all processes have been read was
// mounted meanwhile, and is no riddle.
func TestOverlayMountedMeanwhile(t *testing.T) {
	in, g := processRoot(t)
	const link = "/proc/self/root"
	info, err := process.Describe(link)
	assert.NilError(t, err)
	fake := procOf(t, map[string]string{"12/mountinfo": mountOf("/", "/", "overlay", "rw")})
	for proc, doubts := range map[string]int{"/proc": 0, fake: 1} {
		in.Proc, g.Doubts = proc, nil
		p := &processes{
			in: in, g: g, overlay: []sighting{{pid: 12, name: "sh", link: link}},
			devices: &devices{
				sites: map[uint64]site{info.Stamp.Device: unknownOverlay}, layered: map[uint64]bool{}, remotes: map[string]map[string]bool{}, remoteMounts: map[int]bool{},
			},
		}
		unseen, err := p.unseen(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, len(unseen), 0)
		p.judgeOverlays(t.Context())
		assert.Equal(t, len(g.Doubts), doubts, proc)
	}
}

func TestProcessesSwapBelowANameWithASpace(t *testing.T) {
	in, g := processRoot(t)
	in.Aliases = []string{"/a b"}
	_, err := collectProcesses(t, in, g, map[string]string{"swaps": "Filename\n/a\\040b/volumes/data/_data/swap file 1 0 -3\n"})
	assert.NilError(t, err)
	assert.DeepEqual(t, heldBy(g), []string{"volume volumes/data: swap space"})
}

// On btrfs each subvolume has a device of its own, mount tables have another,
// and so have the files of subvolumes that a container made in its layer. It
// may be a disk of its own.
func TestProcessesOnBtrfs(t *testing.T) {
	for name, disk := range map[string]string{"the data root": ".", "the driver's directory": "btrfs"} {
		t.Run(name, func(t *testing.T) { processesOnBtrfs(t, disk) })
	}
}

func processesOnBtrfs(t *testing.T, disk string) {
	root := t.TempDir()
	putDirs(t, root, disk)
	mounted := subvolume.Mount(t)
	assert.NilError(t, unix.Mount(mounted, filepath.Join(root, disk), "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.Check(t, unix.Unmount(filepath.Join(root, disk), unix.MNT_DETACH)) })
	putDirs(t, root, "btrfs/subvolumes")
	layer := "btrfs/subvolumes/" + hex1
	subvolume.Create(t, filepath.Join(root, layer))
	subvolume.Create(t, filepath.Join(root, layer, "nested"))
	putFile(t, root, layer+"/nested/file", "x")
	lib := library(t, filepath.Join(root, layer))
	in, g := inputOf(t, root)
	in.Proc, in.Backends = "/proc", []*scan.Backend{backend.Btrfs}
	info, err := in.Tree.Stat(layer)
	assert.NilError(t, err)
	g.Add(scan.Object{Node: scan.Node{Kind: scan.KindLayer, Name: layer}, Stamp: info.Stamp})

	pid := inNamespace(t, `mount --bind "$1" /mnt; exec 7</mnt/nested/file 9</mnt; umount -l /mnt
		LD_LIBRARY_PATH=/proc/self/fd/9 exec sh -c 'exec 9<&-; echo ready; read line'`, filepath.Join(root, layer))
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	assert.Equal(t, len(heldBy(g)), 0, "no path tells: %v", heldBy(g))
	for _, name := range []string{filepath.Join(root, layer, "nested/file"), lib} {
		info, err := process.Describe(name)
		assert.NilError(t, err)
		key := scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}
		found := slices.ContainsFunc(g.Host.Strays, func(s scan.OpenFile) bool { return s.FileKey == key })
		assert.Assert(t, found, "%s: not in %v", name, g.Host.Strays)
	}
}

// A path of another namespace is not looked up in our own root where something is
// mounted there that may not answer.
func TestProcessesOwnMounts(t *testing.T) {
	dir := t.TempDir()
	putFile(t, dir, "file", "x")
	info, err := process.Describe(dir + "/file")
	assert.NilError(t, err)
	own, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	for namespace, want := range map[string]scan.FileKey{
		"mnt:[1]": {Device: info.Stamp.Device, Inode: info.Stamp.Inode},
		own:       {},
	} {
		d := &devices{namespaces: map[string]bool{own: true}, remotes: map[string]map[string]bool{dir: {namespace: true}}}
		p := &processes{in: &scan.Input{Proc: "/proc"}, devices: d, paths: map[string]scan.FileKey{}}
		assert.Equal(t, p.ours(dir+"/file"), want)
	}
}

// A file system that was taken from its place and does not answer is waited for
// once, and not for long. What lies there is elsewhere, unless it may be one of
// the data root's subvolumes.
func TestProcessesFileSystemThatDoesNotAnswer(t *testing.T) {
	link := deadMount(t)
	for _, tc := range []struct {
		btrfs bool
		want  site
	}{{false, elsewhere}, {true, inData}} {
		d := &devices{sites: map[uint64]site{}, btrfs: tc.btrfs, patience: 10 * time.Millisecond}
		f := &process.File{Use: process.Open, Link: link}
		f.Stamp.Device = 0xfe
		assert.Equal(t, d.of(f), tc.want)
		f.Link = "/proc/self/exe"
		assert.Equal(t, d.of(f), tc.want)
		assert.Equal(t, d.silent, 1)
	}
}

// deadMount mounts a file system that never answers, takes it from its place, and
// returns the link of a descriptor of it.
func deadMount(t *testing.T) string {
	t.Helper()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("/dev/fuse:", err)
	}
	at := t.TempDir()
	err = unix.Mount("dead", at, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse))
	if err != nil {
		assert.NilError(t, unix.Close(fuse))
		t.Skip("fuse:", err)
	}
	dir, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.Check(t, err)
	assert.Check(t, unix.Unmount(at, unix.MNT_DETACH))
	t.Cleanup(func() { // whoever waits for an answer gets an error
		assert.Check(t, unix.Close(fuse))
		assert.Check(t, unix.Close(dir))
	})
	return fmt.Sprintf("/proc/self/fd/%d", dir)
}
