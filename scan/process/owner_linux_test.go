package process

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// Scripts that hold a lock. flock as a program of its own asks for it, ends,
// and leaves it to the shell.
const (
	holdsItself   = `echo ready; read line`
	holdsOutlived = `exec 9<>"$1"; flock 9; echo ready; read line`
)

func TestOwner(t *testing.T) {
	dir := t.TempDir()
	db, other := file(t, dir, "metadata.db"), file(t, dir, "snapshots.db")
	missing := filepath.Join(dir, "local-kv.db")

	owner, err := Owner("/proc", dir, db, missing)
	assert.NilError(t, err)
	assert.Assert(t, owner == nil, "nobody holds a lock")

	t.Run("open is not locked", func(t *testing.T) {
		shell(t, `exec 9<>"$1"; echo ready; read line`, db)
		owner, err := Owner("/proc", dir, db)
		assert.NilError(t, err)
		assert.Assert(t, owner == nil)
	})
	t.Run("one holder, and its child has its descriptors", func(t *testing.T) {
		before := time.Now()
		pid := child(t, nil, "flock", "--no-fork", db, "sh", "-c", holdsItself)
		owner, err := Owner("/proc", dir, missing, other, db)
		assert.NilError(t, err)
		assert.Equal(t, owner.PID, pid)
		assert.Equal(t, owner.Name, "sh")
		age := owner.Started.Sub(before)
		assert.Assert(t, age > -2*time.Second && age < 2*time.Second, "started %s after the test", age)
		assert.Assert(t, Exists("/proc", owner))
		owner.Started = owner.Started.Add(-3 * time.Second)
		assert.Assert(t, !Exists("/proc", owner))
	})
	t.Run("the one that locked has ended", func(t *testing.T) {
		pid := shell(t, holdsOutlived, db)
		owner, err := Owner("/proc", dir, db)
		assert.NilError(t, err)
		assert.Equal(t, owner.PID, pid)
	})
	t.Run("two holders", func(t *testing.T) {
		child(t, nil, "flock", "--no-fork", db, "sh", "-c", holdsItself)
		child(t, nil, "flock", "--no-fork", other, "sh", "-c", holdsItself)
		_, err := Owner("/proc", dir, db, other)
		assert.ErrorContains(t, err, dir+": two processes hold locks of it: ")
	})
	t.Run("the caller's own lock does not count", func(t *testing.T) {
		f, err := os.Open(db)
		assert.NilError(t, err)
		defer f.Close()
		assert.NilError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
		owner, err := Owner("/proc", dir, db)
		assert.NilError(t, err)
		assert.Assert(t, owner == nil)
	})
}

func TestOwnerParentAndChild(t *testing.T) {
	dir := t.TempDir()
	db := file(t, dir, "metadata.db")
	// Not told to spare its child, flock passes the descriptor on and waits.
	pid := child(t, func(cmd *exec.Cmd) { cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true} },
		"flock", db, "sh", "-c", holdsItself)
	t.Cleanup(func() { assert.Check(t, unix.Kill(-pid, unix.SIGKILL)) })
	owner, err := Owner("/proc", dir, db)
	assert.NilError(t, err)
	assert.Equal(t, owner.PID, pid)
}

// On btrfs a file's device is its subvolume's, and the table of locks has the
// file system's.
func TestOwnerOnBtrfs(t *testing.T) {
	root(t)
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skip("needs mkfs.btrfs")
	}
	dir := t.TempDir()
	image, mnt := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	assert.NilError(t, os.Mkdir(mnt, 0o755))
	assert.NilError(t, os.WriteFile(image, nil, 0o600))
	assert.NilError(t, os.Truncate(image, 200<<20))
	out, err := exec.Command("mkfs.btrfs", "-q", image).CombinedOutput()
	assert.NilError(t, err, "%s", out)
	if out, err := exec.Command("mount", "-o", "loop", image, mnt).CombinedOutput(); err != nil {
		t.Skipf("needs loop devices and btrfs: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.Check(t, unix.Unmount(mnt, 0)) })

	db := file(t, mnt, "metadata.db")
	pid := child(t, nil, "flock", "--no-fork", db, "sh", "-c", holdsItself)
	var st unix.Stat_t
	assert.NilError(t, unix.Stat(db, &st))
	locks, err := os.ReadFile("/proc/locks")
	assert.NilError(t, err)
	listed := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	assert.Assert(t, !strings.Contains(string(locks), " "+listed+" "), "the table has stat's device: this proves nothing")

	owner, err := Owner("/proc", mnt, db)
	assert.NilError(t, err)
	assert.Equal(t, owner.PID, pid)

	t.Run("two", func(t *testing.T) {
		other := file(t, mnt, "snapshots.db")
		child(t, nil, "flock", "--no-fork", other, "sh", "-c", holdsItself)
		_, err := Owner("/proc", mnt, db, other)
		assert.ErrorContains(t, err, "two processes hold locks")
	})
	killed(t, pid)
}

// killed ends a child before its time, so that a file system can be
// unmounted.
func killed(t *testing.T, pid int) {
	t.Helper()
	assert.NilError(t, unix.Kill(pid, unix.SIGKILL))
	var info unix.Siginfo
	assert.NilError(t, unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil))
}

// In tables made of files the lock can be under any number.
func TestOwnerTable(t *testing.T) {
	dir := t.TempDir()
	db := file(t, dir, "metadata.db")
	var st unix.Stat_t
	assert.NilError(t, unix.Stat(db, &st))
	key := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	lockOf := func(pid, key string) string { return "1: FLOCK  ADVISORY  WRITE " + pid + " " + key + " 0 EOF\n" }
	foreign := "00:27:" + strconv.FormatUint(st.Ino, 10)

	for name, tc := range map[string]struct {
		files map[string]string
		want  int
		err   string
	}{
		"listed and open": {map[string]string{"locks": lockOf("12", key), "12/fd/3": "-> " + db}, 12, ""},
		"listed, does not have it open: the number was given again": {
			map[string]string{"locks": lockOf("12", key), "12/fd/3": "-> /dev/null"}, 0, "",
		},
		"listed, descriptors refused": {map[string]string{"locks": lockOf("12", key), "12/fd": "no directory"}, 12, ""},
		"listed under a number that is gone, another has it": {
			map[string]string{"locks": lockOf("11", key), "12/fd/3": "-> " + db, "12/fdinfo/3": "pos:\t0\nlock:\t" + lockOf("11", key)}, 12, "",
		},
		"another has it, but it is the lister's lock": {
			map[string]string{
				"locks": lockOf("11", foreign), "11/fd/4": "-> " + db, "12/fd/3": "-> " + db,
				"12/fdinfo/3": "lock:\t" + lockOf("11", foreign), "11/fdinfo/4": "lock:\t" + lockOf("11", foreign),
			}, 11, "",
		},
		"listed with another device": {map[string]string{"locks": lockOf("12", foreign), "12/fd/3": "-> " + db}, 12, ""},
		"listed with another device, descriptors refused": {
			map[string]string{"locks": lockOf("12", foreign), "12/fd": "no directory"}, 0, "(pid 12) may hold the lock",
		},
		"refused, and no lock on such a file": {
			map[string]string{"locks": lockOf("12", "00:27:1"), "12/fd": "no directory"}, 0, "",
		},
		"waiting": {map[string]string{"locks": "1: -> FLOCK  ADVISORY  WRITE 12 " + key + " 0 EOF\n", "12/fd/3": "-> " + db}, 0, ""},
		"two": {
			map[string]string{"locks": lockOf("12", key) + lockOf("13", key), "12/fd/3": "-> " + db, "13/fd/3": "-> " + db}, 0, "two processes",
		},
		"ourselves":             {map[string]string{"locks": lockOf("12", key), "12/fd/3": "-> " + db, "self": "-> 12"}, 0, ""},
		"no table of locks":     {map[string]string{"12/fd/3": "-> " + db}, 0, "locks: no such file"},
		"locks not understood":  {map[string]string{"locks": "1: FLOCK\n"}, 0, "has 2 fields"},
		"processes are hidden":  {map[string]string{"locks": "", "1/comm": ""}, 0, "does not list process 1"},
		"same name, other file": {map[string]string{"locks": lockOf("12", foreign), "12/fd/3": "-> " + file(t, t.TempDir(), "metadata.db")}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"1/comm": "init", "stat": "btime 1\n", "12/stat": line("12", "dockerd", "0", "1")}
			if tc.want == 11 {
				files["11/stat"] = line("11", "dockerd", "0", "1")
			}
			maps.Copy(files, tc.files)
			if files["1/comm"] == "" {
				delete(files, "1/comm")
			}
			owner, err := Owner(table(t, files), dir, db)
			switch {
			case tc.err != "":
				assert.ErrorContains(t, err, tc.err)
			case tc.want == 0:
				assert.NilError(t, err)
				assert.Assert(t, owner == nil, "%v", owner)
			default:
				assert.NilError(t, err)
				assert.Equal(t, owner.PID, tc.want)
			}
		})
	}
}
