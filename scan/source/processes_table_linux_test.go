package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// processRoot is a data root with two layers, a container, a write-set and a
// download, and the graph that names them.
func processRoot(t testing.TB) (*scan.Input, *scan.Graph) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	putDirs(t, root, "overlay2/"+hex1+"/diff/lib", "overlay2/"+hex2+"/diff", "containers/"+hex3,
		"image/overlay2/layerdb/tmp/write-set-7", "volumes/data/_data", "tmp")
	putFile(t, root, "overlay2/"+hex1+"/diff/lib/file", "x")
	putFile(t, root, "image/overlay2/layerdb/tmp/write-set-7/tar-split.json.gz", "x")
	putFile(t, root, "tmp/GetImageBlob1", "x")
	putFile(t, root, "volumes/data/_data/swap file", "x")
	in, g := inputOf(t, root)
	for name, kind := range map[string]scan.Kind{
		"overlay2/" + hex1: scan.KindLayer, "overlay2/" + hex2: scan.KindLayer, "containers/" + hex3: scan.KindContainer,
		"image/overlay2/layerdb/tmp/write-set-7": scan.KindDownload, "tmp/GetImageBlob1": scan.KindDownload,
	} {
		info, err := in.Tree.Stat(name)
		assert.NilError(t, err)
		g.Add(scan.Object{Node: scan.Node{Kind: kind, Name: name}, Stamp: info.Stamp})
	}
	g.Title(scan.MountNode("overlay2", hex3), "")
	g.Title(scan.VolumeNode("data"), "")
	return in, g
}

// collectProcesses reads a table of files.
func collectProcesses(t testing.TB, in *scan.Input, g *scan.Graph, files map[string]string) (note string, err error) {
	t.Helper()
	for name, content := range files {
		files[name] = strings.ReplaceAll(content, "ROOT", in.DataRoot)
	}
	in.Proc = procOf(t, files)
	note, err = Processes.Collect(t.Context(), in, g)
	return note, err
}

// What is open is held, by whatever path (rule 5).
func TestProcesses(t *testing.T) {
	layer1, layer2 := "layer overlay2/"+hex1, "layer overlay2/"+hex2
	for name, tc := range map[string]struct {
		files  map[string]string
		held   []string
		strays int
	}{
		"open": {
			map[string]string{"12/fd/3": "-> ROOT/overlay2/" + hex1 + "/diff/lib/file"},
			[]string{layer1 + ": open in sh (pid 12)"},
			0,
		},
		"open, removed since": {
			map[string]string{"12/fd/3": "-> ROOT/overlay2/" + hex1 + "/diff/lib/closed"}, nil, 0,
		},
		"working directory": {
			map[string]string{"12/cwd": "-> ROOT/overlay2/" + hex1 + "/diff"},
			[]string{layer1 + ": working directory of sh (pid 12)"},
			0,
		},
		"working directory of a thread": {
			map[string]string{"12/task/14/cwd": "-> ROOT/overlay2/" + hex2 + "/diff"},
			[]string{layer2 + ": working directory of sh (pid 12)"},
			0,
		},
		"root": {
			map[string]string{"12/root": "-> ROOT/overlay2/" + hex1 + "/diff"},
			[]string{layer1 + ": root directory of sh (pid 12)"},
			0,
		},
		"program": {
			map[string]string{"12/exe": "-> ROOT/overlay2/" + hex1 + "/diff/lib/file"},
			[]string{layer1 + ": run by sh (pid 12)"},
			0,
		},
		"mapping": {
			map[string]string{"12/maps": "7f00-7f01 r-xp 00000000 08:77 4242 ROOT/overlay2/" + hex1 + "/diff/lib/file (deleted)\n"},
			[]string{layer1 + ": mapped by sh (pid 12)"},
			0,
		},
		"each node once, by who comes first": {
			map[string]string{"12/cwd": "-> ROOT/overlay2/" + hex1, "13/cwd": "-> ROOT/overlay2/" + hex1},
			[]string{layer1 + ": working directory of sh (pid 12)"},
			0,
		},
		"download":      {map[string]string{"12/fd/9": "-> ROOT/tmp/GetImageBlob1"}, []string{"download tmp/GetImageBlob1: open in sh (pid 12)"}, 0},
		"volume":        {map[string]string{"12/cwd": "-> ROOT/volumes/data/_data"}, []string{"volume volumes/data: working directory of sh (pid 12)"}, 0},
		"the data root": {map[string]string{"12/cwd": "-> ROOT", "12/fd/3": "-> ROOT/volumes"}, nil, 0},
		"a socket":      {map[string]string{"12/fd/3": "-> socket:[" + hex1 + "]"}, nil, 0},
		"ourselves":     {map[string]string{"12/fd/3": "-> ROOT/overlay2/" + hex1, "self": "-> 12"}, nil, 0},
		"shim": {
			map[string]string{"12/comm": "containerd-shim\n", "12/cmdline": "containerd-shim-runc-v2\x00-namespace\x00moby\x00-id\x00" + hex3 + "\x00/" + hex1},
			[]string{"container containers/" + hex3 + ": run by containerd-shim (pid 12)", "mount image/overlay2/layerdb/mounts/" + hex3 + ": run by containerd-shim (pid 12)"},
			0,
		},
		"shim of before 18.09": {
			map[string]string{"12/comm": "docker-containe\n", "12/cmdline": "docker-containerd-shim\x00" + hex3 + "\x00/var/run/docker/libcontainerd/" + hex3},
			[]string{"container containers/" + hex3 + ": run by docker-containe (pid 12)", "mount image/overlay2/layerdb/mounts/" + hex3 + ": run by docker-containe (pid 12)"},
			0,
		},
		"other command lines are words": {map[string]string{"12/cmdline": "rm\x00-rf\x00/x/" + hex3}, nil, 0},
		"swap": {
			map[string]string{"swaps": "Filename Type Size Used Priority\n/dev/vdb partition 1 0 -2\nROOT/volumes/data/_data/swap\\040file file 1 0 -3\n"},
			[]string{"volume volumes/data: swap space"},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			for _, pid := range []string{"12", "13"} {
				if _, ok := tc.files[pid+"/comm"]; !ok {
					tc.files[pid+"/comm"] = "sh\n"
				}
			}
			note, err := collectProcesses(t, in, g, tc.files)
			assert.NilError(t, err)
			assert.Assert(t, strings.HasPrefix(note, "3 processes, "), note)
			assert.DeepEqual(t, heldBy(g), tc.held)
			assert.Equal(t, len(g.Host.Strays), tc.strays, "%v", g.Host.Strays)
			assert.Assert(t, g.Host.OldestWriteSet.IsZero())
			assert.Equal(t, len(g.Doubts), 0)
		})
	}
}

// A path of another root leads nowhere in ours; the inode is what counts.
func TestProcessesByInode(t *testing.T) {
	outside := t.TempDir()
	link := func(t *testing.T, target string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "elsewhere")
		assert.NilError(t, os.Link(target, name))
		return name
	}
	t.Run("a layer's own directory", func(t *testing.T) {
		in, g := processRoot(t)
		alias := filepath.Join(outside, "layer")
		assert.NilError(t, os.Symlink(filepath.Join(in.DataRoot, "overlay2", hex1), alias))
		_, err := collectProcesses(t, in, g, map[string]string{"12/comm": "sh\n", "12/cwd": "-> " + alias, "12/root": "-> /"})
		assert.NilError(t, err)
		assert.DeepEqual(t, heldBy(g), []string{"layer overlay2/" + hex1 + ": working directory of sh (pid 12)"})
		assert.Equal(t, len(g.Host.Strays), 1, "its path is a link, so it does not lead to it")
	})
	t.Run("a layer's content", func(t *testing.T) {
		for _, dir := range []string{"diff", "root", "upper"} { // of overlay2, and of a whole and a written layer of overlay
			in, g := processRoot(t)
			putDirs(t, in.DataRoot, "overlay2/"+hex2+"/"+dir)
			alias := filepath.Join(outside, dir)
			assert.NilError(t, os.Symlink(filepath.Join(in.DataRoot, "overlay2", hex2, dir), alias))
			_, err := collectProcesses(t, in, g, map[string]string{"12/comm": "sh\n", "12/task/15/cwd": "-> " + alias})
			assert.NilError(t, err)
			assert.DeepEqual(t, heldBy(g), []string{"layer overlay2/" + hex2 + ": working directory of sh (pid 12)"})
		}
	})
	t.Run("a file below", func(t *testing.T) {
		in, g := processRoot(t)
		alias := link(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff/lib/file"))
		assert.NilError(t, os.Symlink(alias, alias+".link")) // no name that leads to it: a link does not count
		_, err := collectProcesses(t, in, g, map[string]string{"12/comm": "sh\n", "12/fd/3": "-> " + alias + ".link"})
		assert.NilError(t, err)
		assert.Equal(t, len(heldBy(g)), 0)
		info, err := in.Tree.Stat("overlay2/" + hex1 + "/diff/lib/file")
		assert.NilError(t, err)
		key := scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}
		assert.DeepEqual(t, g.Host.Strays, []scan.OpenFile{{FileKey: key, By: "sh (pid 12)"}})
	})
}

func TestProcessesWriteSets(t *testing.T) {
	in, g := processRoot(t)
	info, err := in.Tree.Stat("image/overlay2/layerdb/tmp/write-set-7")
	assert.NilError(t, err)
	_, err = collectProcesses(t, in, g, map[string]string{"12/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/write-set-7/tar-split.json.gz", "12/root": "-> /"})
	assert.NilError(t, err)
	assert.Equal(t, g.Host.OldestWriteSet, info.Stamp.Made())
	assert.Assert(t, time.Since(g.Host.OldestWriteSet) < time.Minute)
	assert.Equal(t, len(heldBy(g)), 1)

	t.Run("made after everything was listed", func(t *testing.T) {
		in, _ := processRoot(t)
		g := scan.NewGraph()
		_, err := collectProcesses(t, in, g, map[string]string{"12/cwd": "-> ROOT/image/overlay2/layerdb/tmp/write-set-7"})
		assert.NilError(t, err)
		assert.Assert(t, !g.Host.OldestWriteSet.IsZero())
		assert.Equal(t, len(g.Marks), 0)
	})
	t.Run("the oldest counts", func(t *testing.T) {
		in, g := processRoot(t)
		time.Sleep(20 * time.Millisecond) // a file system's clock is coarse
		putFile(t, in.DataRoot, "image/overlay2/layerdb/tmp/layer-9/tar-split.json.gz", "x")
		old, err := in.Tree.Stat("image/overlay2/layerdb/tmp/write-set-7")
		assert.NilError(t, err)
		_, err = collectProcesses(t, in, g, map[string]string{
			"12/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/layer-9/tar-split.json.gz",
			"13/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/write-set-7/tar-split.json.gz",
			"14/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/layer-9/tar-split.json.gz",
		})
		assert.NilError(t, err)
		assert.Equal(t, g.Host.OldestWriteSet, old.Stamp.Made())
	})
	t.Run("a file system that tells no births", func(t *testing.T) {
		in, g := processRoot(t)
		in.Tree = birthless{in.Tree}
		_, err := collectProcesses(t, in, g, map[string]string{"12/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/write-set-7"})
		assert.NilError(t, err)
		assert.Equal(t, g.Host.OldestWriteSet, scan.Unborn)
	})
	t.Run("other files in layerdb are none", func(t *testing.T) {
		in, g := processRoot(t)
		putFile(t, in.DataRoot, "image/overlay2/layerdb/tmp/other/x", "x")
		_, err := collectProcesses(t, in, g, map[string]string{"12/fd/7": "-> ROOT/image/overlay2/layerdb/tmp/other/x", "12/cwd": "-> ROOT/image/overlay2/layerdb/tmp"})
		assert.NilError(t, err)
		assert.Assert(t, g.Host.OldestWriteSet.IsZero())
	})
}

// statOf is a stat file's line.
func statOf(pid, parent int, flags uint64) string {
	return fmt.Sprintf("%d (x) S %d 0 0 0 -1 %d 1 2 3 4 5 6 7 8 20 0 1 0 99 1 2", pid, parent, flags)
}

func TestProcessesRefused(t *testing.T) {
	const refuse = "no directory" // in place of fd/
	const kthread = 0x00200000
	self := mountOf("/", "/", "ext4", "rw")
	elsewhere := strings.ReplaceAll(self, "8:1", "9:1")
	doubt := "PROC/PID/fd: open files of x (pid PID) cannot be read: not a directory | run as root with the right to trace other processes (CAP_SYS_PTRACE), or end process PID"
	for name, tc := range map[string]struct {
		files  map[string]string
		doubts []string // of these processes
	}{
		"one":                       {map[string]string{"12/fd": refuse, "12/stat": statOf(12, 1, 0), "12/mountinfo": self}, []string{"12"}},
		"a thread of the kernel":    {map[string]string{"12/fd": refuse, "12/stat": statOf(12, 2, kthread), "12/mountinfo": self}, nil},
		"has ended":                 {map[string]string{"12/fd": refuse}, nil},
		"sees nothing of the root":  {map[string]string{"12/fd": refuse, "12/stat": statOf(12, 1, 0), "12/mountinfo": elsewhere}, nil},
		"its mounts cannot be read": {map[string]string{"12/fd": refuse, "12/stat": statOf(12, 1, 0), "12/mountinfo": "nonsense"}, []string{"12"}},
		"init alone":                {map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "locks": ""}, nil},
		"init and another": {
			map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "12/fd": refuse, "12/stat": statOf(12, 1, 0), "12/mountinfo": self, "locks": ""},
			[]string{"1", "12"},
		},
		"init and a thread of the kernel": {
			map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "12/fd": refuse, "12/stat": statOf(12, 2, kthread), "locks": ""}, nil,
		},
		"init holds a lock on the data root's disk": {
			map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "locks": "1: FLOCK  ADVISORY  WRITE 1 08:01:77 0 EOF\n"}, []string{"1"},
		},
		"init holds a lock elsewhere": {
			map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "locks": "1: FLOCK  ADVISORY  WRITE 1 08:02:77 0 EOF\n"}, nil,
		},
		"nobody's child, but not init": {
			map[string]string{"12/fd": refuse, "12/stat": statOf(12, 0, 0), "12/mountinfo": self, "locks": ""}, []string{"12"},
		},
		"init, locks unknown": {map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0)}, []string{"1"}},
		"init has a parent":   {map[string]string{"1/fd": refuse, "1/stat": statOf(1, 7, 0), "locks": ""}, []string{"1"}},
		"init is the daemon":  {map[string]string{"1/fd": refuse, "1/stat": statOf(1, 0, 0), "locks": ""}, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			if name == "init is the daemon" {
				g.Host.Owner = &scan.Process{PID: 1}
			}
			files := map[string]string{"self/mountinfo": self, "1/mountinfo": self, "1/comm": "x\n", "12/comm": "x\n"}
			for file, content := range tc.files {
				files[file] = content
			}
			note, err := collectProcesses(t, in, g, files)
			var want []string
			for _, pid := range tc.doubts {
				want = append(want, strings.NewReplacer("PROC", in.Proc, "PID", pid).Replace(doubt))
			}
			assert.DeepEqual(t, doubtsOf(g), want)
			if len(want) > 0 {
				assert.ErrorContains(t, err, fmt.Sprintf("open files of %d processes could not be read", len(want)))
				assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
			} else {
				assert.NilError(t, err)
			}
			closed := strings.HasPrefix(name, "init") && len(want) == 0
			assert.Equal(t, strings.Contains(note, "; x (pid 1) is closed to everybody"), closed, note)
		})
	}
}

func TestProcessesPinAndNamespace(t *testing.T) {
	in, g := processRoot(t)
	_, err := collectProcesses(t, in, g, map[string]string{
		"12/comm": "agent\n", "12/fd/3": "-> mnt:[7]", "12/fd/4": "-> mnt:[8]", "12/ns/mnt": "-> mnt:[8]", "12/root": "-> /", "12/mountinfo": "",
	})
	assert.ErrorContains(t, err, "1 mount namespaces without a process")
	assert.DeepEqual(t, doubtsOf(g), []string{
		in.Proc + "/12/fd/3: a mount namespace without a process is kept by a descriptor of agent (pid 12): its mounts cannot be seen | end process 12",
	})
}
