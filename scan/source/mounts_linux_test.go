package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// procOf makes a process table of files, and links where a content begins
// with "-> ". Process 1 is there and has nothing.
func procOf(t testing.TB, files map[string]string) string {
	t.Helper()
	proc := t.TempDir()
	putFile(t, proc, "1/comm", "init\n")
	putFile(t, proc, "1/mountinfo", "")
	for name, content := range files {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			putDirs(t, proc, filepath.Dir(name))
			assert.NilError(t, os.Symlink(target, filepath.Join(proc, name)))
			continue
		}
		putFile(t, proc, name, content)
	}
	return proc
}

// mountOf is a line of a mount table.
func mountOf(root, point, fstype, options string) string {
	return fmt.Sprintf("36 35 8:1 %s %s rw,noatime shared:7 - %s none rw,%s\n", root, point, fstype, options)
}

// heldBy lists the marks: node, what holds it.
func heldBy(g *scan.Graph) []string {
	var lines []string
	for _, m := range g.Marks {
		if m.Verdict == scan.Held {
			lines = append(lines, m.Node.String()+": "+m.What)
		}
	}
	slices.Sort(lines)
	return lines
}

// doubtsOf lists the doubts with their hints.
func doubtsOf(g *scan.Graph) []string {
	var lines []string
	for _, d := range g.Doubts {
		lines = append(lines, d.String()+" | "+d.Hint)
	}
	return lines
}

const shortName = "ABCDEFGHIJKLMNOPQRSTUVWX27"

// rootWithNodes is an empty data root, and a graph that names one of each
// kind of node.
func rootWithNodes(t testing.TB) (*scan.Input, *scan.Graph) {
	t.Helper()
	in, g := inputOf(t, t.TempDir())
	for _, n := range []scan.Node{
		{Kind: scan.KindLayer, Name: "overlay2/" + hex1},
		{Kind: scan.KindLink, Name: "overlay2/l/" + shortName},
		scan.MountNode("overlay2", hex2),
		scan.ContainerNode(hex2),
		scan.VolumeNode("data"),
	} {
		g.Title(n, "")
	}
	return in, g
}

// A mounted aufs tells its layers in a file each, as a machine with Docker
// 20.10 had them.
func TestAufsBranches(t *testing.T) {
	in, g := inputOf(t, t.TempDir())
	in.Proc, in.Machine = procOf(t, nil), t.TempDir()
	var ids []string
	for branch, permissions := range []string{"rw", "ro+wh"} {
		id := strings.Repeat(fmt.Sprint(branch), 64)
		ids = append(ids, id)
		g.Title(scan.Node{Kind: scan.KindLayer, Name: "aufs/diff/" + id}, "")
		file := fmt.Sprintf("sys/fs/aufs/si_6dbc355a69f9b460/br%d", branch)
		putFile(t, in.Machine, file, "/var/lib/docker/aufs/diff/"+id+"="+permissions+"\n")
	}
	g.Title(scan.Node{Kind: scan.KindLayer, Name: "aufs/diff/" + hex1}, "")
	_, err := collectMounts(t.Context(), in, g)
	assert.NilError(t, err)
	assert.DeepEqual(t, heldBy(g), []string{
		"layer aufs/diff/" + ids[0] + ": a branch of a mounted aufs",
		"layer aufs/diff/" + ids[1] + ": a branch of a mounted aufs",
	})

	bad := "sys/fs/aufs/si_6dbc355a69f9b460/br2"
	assert.NilError(t, os.Mkdir(filepath.Join(in.Machine, bad), 0o700))
	_, err = collectMounts(t.Context(), in, g)
	assert.ErrorContains(t, err, bad)
}

// What is mounted is held, in whatever namespace (rule 5).
func TestMounts(t *testing.T) {
	in, g := rootWithNodes(t)
	g.Title(scan.Node{Kind: scan.KindLayer, Name: "overlay2/mnt"}, "") // somebody's: no sign of use
	in.DataRoot, in.Aliases = "/srv/docker", []string{"/var/lib/docker"}
	in.Proc = procOf(t, map[string]string{
		"self/mountinfo": mountOf("/data", "/srv", "ext4", "rw"),
		"12/comm":        "runc\n",
		"12/ns/mnt":      "-> mnt:[12]",
		"12/root":        "-> /",
		"12/mountinfo": mountOf("/data/docker/overlay2/"+hex1+"/diff", `/a\012b`, "ext4", "rw") +
			mountOf("/", "/c", "overlay", "lowerdir=/x/l/"+shortName+":/y,upperdir=/z") +
			mountOf("/again", "/srv/docker/overlay2/"+hex1+"/merged", "overlay", "rw"),
		"13/comm":      "sh\n",
		"13/mountinfo": mountOf("/data/docker/volumes/data/_data", "/mnt", "ext4", "rw"),
	})
	note, err := Mounts.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, note, "1 namespaces, 4 mounts, 2 tables of namespaces that have no name")
	assert.DeepEqual(t, heldBy(g), []string{
		"layer overlay2/" + hex1 + `: mounted at /a\nb by runc (pid 12)`,
		"layer overlay2/mnt: mounted at /mnt by sh (pid 13)",
		"link overlay2/l/" + shortName + ": mounted at /c by runc (pid 12)",
		"volume volumes/data: mounted at /mnt by sh (pid 13)",
	})
	assert.Equal(t, g.Marks[0].Where, in.Proc+"/12/mountinfo")
	assert.Equal(t, len(g.Doubts), 0)
	assert.DeepEqual(t, g.Host.InUse, []string{`mounted at /a\nb by runc (pid 12)`, "mounted at /c by runc (pid 12)"})
}

// Of those who share a namespace the daemon is named.
func TestMountsOfTheDaemon(t *testing.T) {
	in, g := rootWithNodes(t)
	files := map[string]string{}
	for _, pid := range []string{"12", "13"} {
		files[pid+"/comm"], files[pid+"/ns/mnt"], files[pid+"/root"] = "p"+pid, "-> mnt:[12]", "-> /"
		files[pid+"/mountinfo"] = mountOf("/"+hex1, "/a", "ext4", "rw")
	}
	in.Proc = procOf(t, files)
	g.Host.Owner = &scan.Process{PID: 13}
	_, err := Mounts.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.DeepEqual(t, heldBy(g), []string{"layer overlay2/" + hex1 + ": mounted at /a by p13 (pid 13)"})
	assert.Equal(t, len(g.Host.InUse), 1, "its owner is not known to be who answers")
}

func TestMountsHoldVolumes(t *testing.T) {
	for name, tc := range map[string]struct {
		root, point string
		held        bool
	}{
		"its data, elsewhere":      {"/data/docker/volumes/data/_data", "/mnt", true},
		"something mounted on it":  {"/", "/srv/docker/volumes/data/_data", true},
		"by another path":          {"/", "/var/lib/docker/volumes/data/_data", true},
		"one of the same name":     {"/other/docker/volumes/data/_data", "/mnt/volumes/data/_data", false},
		"all volumes":              {"/data/docker/volumes", "/mnt", false},
		"the data root, on itself": {"/data/docker", "/srv/docker", false},
		"the data root's disk":     {"/", "/", false},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := rootWithNodes(t)
			in.DataRoot, in.Aliases = "/srv/docker", []string{"/var/lib/docker"}
			in.Proc = procOf(t, map[string]string{
				"self/mountinfo": mountOf("/data", "/srv", "ext4", "rw"),
				"12/mountinfo":   mountOf(tc.root, tc.point, "ext4", "rw"),
			})
			_, err := Mounts.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, len(g.Marks) == 1, tc.held, "%v", g.Marks)
		})
	}
}

func TestMountsInDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		err   string
		doubt string
	}{
		"a table that is not understood": {
			map[string]string{"12/comm": "odd\x1b\n", "12/mountinfo": "nonsense\n"},
			"1 mount tables could not be read",
			`PROC/12/mountinfo: what odd\x1b (pid 12) has mounted cannot be read: parsing 'nonsense' failed: not enough fields (1) | run as root on the machine itself, or end process 12`,
		},
		"a pinned namespace": {
			map[string]string{"12/comm": "sh\n", "12/mountinfo": "36 35 0:4 mnt:[7] /run/pin rw - nsfs nsfs rw\n"},
			"1 mount namespaces without a process could not be read",
			"PROC/12/mountinfo: a mount namespace without a process is pinned at /run/pin: its mounts cannot be seen | umount /run/pin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := rootWithNodes(t)
			in.Proc = procOf(t, tc.files)
			_, err := Mounts.Collect(t.Context(), in, g)
			assert.ErrorContains(t, err, tc.err)
			assert.DeepEqual(t, doubtsOf(g), []string{strings.ReplaceAll(tc.doubt, "PROC", in.Proc)})
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
			assert.Equal(t, g.Doubts[0].Source, scan.SourceMounts)
		})
	}

	t.Run("many", func(t *testing.T) {
		files := map[string]string{}
		for i := range 20 {
			files[fmt.Sprintf("%d/mountinfo", 100+i)] = fmt.Sprintf("nonsense %d\n", i)
		}
		in, g := rootWithNodes(t)
		in.Proc = procOf(t, files)
		_, err := Mounts.Collect(t.Context(), in, g)
		assert.ErrorContains(t, err, "20 mount tables")
		assert.Equal(t, len(g.Doubts), maxDoubts)
	})
	t.Run("no process table", func(t *testing.T) {
		in, g := rootWithNodes(t)
		in.Proc = t.TempDir()
		_, err := Mounts.Collect(t.Context(), in, g)
		assert.ErrorContains(t, err, "does not list process 1")
		_, err = Processes.Collect(t.Context(), in, g)
		assert.ErrorContains(t, err, "does not list process 1")
	})
}
