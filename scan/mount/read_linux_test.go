package mount

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"gotest.tools/v3/assert"
)

// table makes a process table of files and links.
func table(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			assert.NilError(t, os.Symlink(target, path))
			continue
		}
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

// at is a line of a mount table.
func at(point string) string {
	return "36 35 8:1 /root " + point + " rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
}

// read lists what was passed on, each once: mount point, and by whom it is seen.
func read(t *testing.T, proc string) ([]string, *Survey) {
	t.Helper()
	var mounts []string
	survey, err := Read(t.Context(), proc, 0, func(v *View, m *mountinfo.Info) {
		file, err := filepath.Rel(proc, v.File)
		assert.NilError(t, err)
		line := fmt.Sprintf("%s %s (%d) %s", m.Mountpoint, v.Name, v.PID, file)
		if !slices.Contains(mounts, line) {
			mounts = append(mounts, line)
		}
	})
	assert.NilError(t, err)
	return mounts, survey
}

func TestRead(t *testing.T) {
	proc := table(t, map[string]string{
		"1/comm": "init\n", "1/mountinfo": at("/a") + at("/b"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		// The same namespace and root: not read again.
		"20/comm": "sh\n", "20/mountinfo": at("/never"), "20/ns/mnt": "-> mnt:[10]", "20/root": "-> /",
		// The same namespace, another root.
		"30/comm": "jail\n", "30/mountinfo": at("/c"), "30/ns/mnt": "-> mnt:[10]", "30/root": "-> /jail",
		// A thread with a namespace of its own.
		"40/comm": "docker\x1bd\n", "40/mountinfo": at("/never"), "40/ns/mnt": "-> mnt:[10]", "40/root": "-> /",
		"40/task/40/mountinfo": "not read: it is the process itself", "40/task/40/ns/mnt": "-> mnt:[11]",
		"40/task/41/mountinfo": at(`/d\040e`), "40/task/41/ns/mnt": "-> mnt:[12]", "40/task/41/root": "-> /",
		"40/task/42/mountinfo": at("/never"), "40/task/42/ns/mnt": "-> mnt:[10]", "40/task/42/root": "-> /",
		// Two whose namespace cannot be read, with the same mounts, and one with others.
		"50/comm": "x\n", "50/mountinfo": at("/f"),
		"51/comm": "y\n", "51/mountinfo": at("/f"),
		"52/comm": "z\n", "52/mountinfo": at("/g"), "52/ns/mnt": "-> mnt:[13]",
		// The first thread of a view has ended, the second tells.
		"60/comm": "w\n", "60/ns/mnt": "-> mnt:[14]", "60/root": "-> /",
		"61/comm": "w\n", "61/ns/mnt": "-> mnt:[14]", "61/root": "-> /", "61/mountinfo": at("/h"),
	})
	mounts, survey := read(t, proc)
	assert.DeepEqual(t, mounts, []string{
		"/a init (1) 1/mountinfo", "/b init (1) 1/mountinfo", "/c jail (30) 30/mountinfo",
		`/d e docker\x1bd (40) 40/task/41/mountinfo`,
		"/f x (50) 50/mountinfo", "/g z (52) 52/mountinfo", "/h w (61) 61/mountinfo",
	})
	assert.Equal(t, survey.Mounts, 7)
	assert.Equal(t, survey.Unnamed, 1)
	assert.DeepEqual(t, survey.Namespaces, map[string]bool{"mnt:[10]": true, "mnt:[12]": true, "mnt:[13]": true, "mnt:[14]": true})
	assert.Equal(t, len(survey.Problems), 0)
}

// The daemon is named rather than who happens to share its namespace.
func TestReadFirst(t *testing.T) {
	files := map[string]string{}
	for _, pid := range []string{"1", "20", "30"} {
		files[pid+"/mountinfo"], files[pid+"/ns/mnt"], files[pid+"/root"] = at("/a"), "-> mnt:[10]", "-> /"
	}
	for first, want := range map[int]int{0: 1, 20: 20, 30: 30, 99: 1} {
		var pids []int
		_, err := Read(t.Context(), table(t, files), first, func(v *View, _ *mountinfo.Info) { pids = append(pids, v.PID) })
		assert.NilError(t, err)
		assert.DeepEqual(t, pids, []int{want})
	}
}

func TestReadProblems(t *testing.T) {
	proc := table(t, map[string]string{
		"1/mountinfo": at("/a"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		"2/comm": "odd\n", "2/mountinfo": "nonsense\n", "2/ns/mnt": "-> mnt:[11]", "2/root": "-> /",
		"3/mountinfo": "nonsense\n", "3/ns/mnt": "-> mnt:[11]", "3/root": "-> /",
		"4/mountinfo/is": "a directory", "4/ns/mnt": "-> mnt:[12]", "4/root": "-> /",
		"5/mountinfo": at("/b"), "5/ns/mnt": "-> mnt:[13]", "5/root": "-> /", "5/task": "no directory",
	})
	mounts, survey := read(t, proc)
	assert.Equal(t, len(mounts), 2)
	assert.Equal(t, len(survey.Problems), 3, "%v: one for each view", survey.Problems)
	assert.Equal(t, survey.Problems[0].View, View{PID: 2, Name: "odd", File: proc + "/2/mountinfo", Namespace: "mnt:[11]"})
	assert.ErrorContains(t, survey.Problems[0].Err, "not enough fields")
	assert.ErrorContains(t, survey.Problems[1].Err, "is a directory")
	assert.ErrorContains(t, survey.Problems[2].Err, "5/task")
	assert.Assert(t, !survey.Namespaces["mnt:[11]"] && !survey.Namespaces["mnt:[12]"])
}

// What could not be read because a process was about to end or to start is no
// problem once it has.
func TestReadAgain(t *testing.T) {
	for name, gap := range map[string]string{
		"a table":        "nonsense\n",
		"a namespace":    "36 35 0:4 mnt:[99] /pin rw - nsfs nsfs rw\n",
		"a table, twice": "nonsense\n",
	} {
		t.Run(name, func(t *testing.T) {
			proc := table(t, map[string]string{
				"1/mountinfo": at("/a"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
				"2/mountinfo": gap, "2/ns/mnt": "-> mnt:[11]", "2/root": "-> /",
			})
			readings, wanted, after := 0, 2, false
			if strings.HasSuffix(name, "twice") {
				wanted = 3
			}
			survey, err := Read(t.Context(), proc, 0, func(_ *View, m *mountinfo.Info) {
				switch m.Mountpoint {
				case "/a":
					if readings++; readings == wanted {
						assert.NilError(t, os.WriteFile(filepath.Join(proc, "2/mountinfo"), []byte(at("/b")), 0o644))
					}
				case "/b":
					after = true
				}
			})
			assert.NilError(t, err)
			assert.Equal(t, len(survey.Problems)+len(survey.Unseen()), 0)
			assert.Equal(t, readings, wanted)
			assert.Assert(t, after)
		})
	}
}

// A process that changed its root sees only a part.
func TestReadJails(t *testing.T) {
	proc := table(t, map[string]string{
		"1/mountinfo": at("/"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		"2/mountinfo": at("/"), "2/ns/mnt": "-> mnt:[10]", "2/root": "-> /jail",
		"3/comm": "vpn\n", "3/mountinfo": at("/"), "3/ns/mnt": "-> mnt:[11]", "3/root": "-> /jail",
		"4/mountinfo": at("/"), "4/ns/mnt": "-> mnt:[11]", "4/root": "-> /jail/in/jail",
		"5/mountinfo": at("/"), "5/ns/mnt": "-> mnt:[12]", "5/root": "-> /jail",
		"6/mountinfo": at("/"), "6/ns/mnt": "-> mnt:[12]", "6/root": "-> /",
		"7/mountinfo": at("/"), "7/ns/mnt": "-> mnt:[13]",
	})
	mounts, survey := read(t, proc)
	assert.Equal(t, len(mounts), 7)
	assert.Equal(t, len(survey.Problems), 1, "%v", survey.Problems)
	assert.Equal(t, survey.Problems[0].View, View{PID: 3, Name: "vpn", File: proc + "/3/mountinfo", Namespace: "mnt:[11]"})
	assert.ErrorIs(t, survey.Problems[0].Err, errJail)
}

func TestReadNothing(t *testing.T) {
	none := func(*View, *mountinfo.Info) { t.Error("there is no mount") }
	_, err := Read(t.Context(), table(t, nil), 0, none)
	assert.ErrorContains(t, err, "does not list process 1")
	_, err = Read(t.Context(), table(t, map[string]string{"1/comm": "x"}), 0, none)
	assert.ErrorContains(t, err, "no process has a mount table")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Read(ctx, table(t, map[string]string{"1/mountinfo": at("/a")}), 0, none)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestReadPins(t *testing.T) {
	pin := func(ns, point string) string {
		return "36 35 0:4 " + ns + " " + point + " rw shared:1 - nsfs nsfs rw\n"
	}
	proc := table(t, map[string]string{
		"1/comm": "init\n", "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		"1/mountinfo": at("/a") + pin("net:[9]", "/run/netns/a") + pin("mnt:[11]", "/run/ns/a") + pin("mnt:[12]", "/run/ns/b"),
		"2/mountinfo": at("/a"), "2/ns/mnt": "-> mnt:[12]", "2/root": "-> /",
	})
	_, survey := read(t, proc)
	unseen := survey.Unseen()
	assert.Equal(t, len(unseen), 1)
	assert.Equal(t, unseen[0].Namespace, "mnt:[11]")
	assert.Equal(t, unseen[0].Path, "/run/ns/a")
	assert.Equal(t, unseen[0].View.PID, 1)
	assert.NilError(t, unseen[0].Err, "a table of files leads nowhere")
}

// To open what lies on a file system that does not answer is to hang.
func TestReadPinsOnARemote(t *testing.T) {
	pin := func(point string) string {
		return "36 35 0:4 mnt:[" + point[1:] + "] " + point + " rw - nsfs nsfs rw\n"
	}
	remote := "36 35 0:9 / /b rw - fuse.sshfs x rw\n"
	_, survey := read(t, table(t, map[string]string{
		"1/mountinfo": pin("/b/pin") + pin("/a") + remote,
		"2/mountinfo": pin("/b2") + pin("/b/other"),
	}))
	for i, want := range []error{errRemote, nil, nil, nil} {
		assert.ErrorIs(t, survey.Pins[i].Err, want, survey.Pins[i].Path)
	}
}

// A table that changes while it is read is read again, and what was seen
// before counts as well.
func TestReadUntilItAgrees(t *testing.T) {
	for name, tc := range map[string]struct {
		readings []string
		want     []string
		err      string
	}{
		"agrees":           {[]string{at("/a"), at("/b"), at("/b")}, []string{"/a", "/b"}, ""},
		"never":            {strings.SplitAfter(strings.Repeat(at("/a")+at("/b"), 6), "\n")[:11], nil, "changed 10 times"},
		"becomes nonsense": {[]string{at("/a"), "nonsense"}, nil, "not enough fields"},
	} {
		t.Run(name, func(t *testing.T) {
			var mounts []string
			r := &reader{
				survey: &Survey{}, each: func(_ *View, m *mountinfo.Info) { mounts = append(mounts, m.Mountpoint) },
				file: func(string) ([]byte, error) {
					next := tc.readings[0]
					tc.readings = tc.readings[1:]
					return []byte(next), nil
				},
			}
			first, err := r.file("")
			assert.NilError(t, err)
			err = r.read(&View{}, first)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, mounts, tc.want)
			assert.Equal(t, r.survey.Mounts, 1)
		})
	}
}

func TestPlacesOf(t *testing.T) {
	proc := table(t, map[string]string{"self/mountinfo": at("/") + at("/srv/docker")})
	got, err := PlacesOf(proc, "/srv/docker")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, Places{{8, 1, "/root", "."}})
	got, err = PlacesOf(t.TempDir(), "/srv/docker")
	assert.NilError(t, err)
	assert.Assert(t, got == nil, "not listed")
	_, err = PlacesOf(table(t, map[string]string{"self/mountinfo": "nonsense"}), "/srv/docker")
	assert.ErrorContains(t, err, "not enough fields")
}
