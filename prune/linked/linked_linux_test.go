package linked

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// modes are the kernels that a copy must be made on.
var modes = []struct {
	name  string
	calls beneath.Calls
}{
	{"5.8", beneath.Calls{Openat2: true, Statx: true, MountID: true, Handles: true}},
	{"5.6", beneath.Calls{Openat2: true, Statx: true, Handles: true}},
	{"3.10", beneath.Calls{}},
}

// open opens a directory until the test ends.
func openDir(t testing.TB, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	assert.NilError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// volume makes a directory "tree" in a new one, and "aside" for copies.
func volume(t testing.TB, root string) (tree string, from, to *os.File) {
	t.Helper()
	tree = filepath.Join(root, "tree")
	for _, dir := range []string{tree, filepath.Join(root, "aside")} {
		assert.NilError(t, os.Mkdir(dir, 0o755))
	}
	return tree, openDir(t, root), openDir(t, filepath.Join(root, "aside"))
}

func write(t testing.TB, name, text string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(text), 0o644))
}

// acl is an access control list as the kernel has it: user 1234 may do all.
func acl() []byte {
	out := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{0x01, 7, 0xffffffff}, {0x02, 7, 1234}, {0x04, 5, 0xffffffff}, {0x10, 7, 0xffffffff}, {0x20, 0, 0xffffffff}} {
		out = binary.LittleEndian.AppendUint16(out, uint16(e[0]))
		out = binary.LittleEndian.AppendUint16(out, uint16(e[1]))
		out = binary.LittleEndian.AppendUint32(out, e[2])
	}
	return out
}

// furnish fills a tree with one of everything.
func furnish(t testing.TB, tree string) {
	t.Helper()
	write(t, tree+"/pg/PG_VERSION", "15")
	write(t, tree+"/suid", "x")
	assert.NilError(t, os.Chown(tree+"/suid", 12, 34))
	assert.NilError(t, os.Chmod(tree+"/suid", fs.ModeSetuid|fs.ModeSetgid|0o751))
	assert.NilError(t, unix.Setxattr(tree+"/suid", "user.colour", []byte("blue"), 0))
	assert.NilError(t, os.Link(tree+"/suid", tree+"/pg/again"))
	for i, name := range []string{"line\nbreak", "\xff\xfe", "-rf", " ", "\x1b[2J", strings.Repeat("n", 255), "…"} {
		write(t, filepath.Join(tree, "names", name), strconv.Itoa(i))
		write(t, filepath.Join(tree, "dirs", name, "in"), strconv.Itoa(i))
	}
	for _, link := range []string{"/etc", "nowhere", "..", "pg/PG_VERSION"} {
		assert.NilError(t, os.Symlink(link, filepath.Join(tree, "to"+strconv.Itoa(len(link)))))
	}
	f, err := os.Create(tree + "/sparse")
	assert.NilError(t, err)
	assert.NilError(t, f.Truncate(1<<32))
	assert.NilError(t, f.Close())
	assert.NilError(t, unix.Mkfifo(tree+"/fifo", 0o600))
	assert.NilError(t, unix.Mknod(tree+"/device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tree + "/pg/s", Net: "unix"})
	assert.NilError(t, err)
	l.SetUnlinkOnClose(false)
	assert.NilError(t, l.Close())
	for i := range 3000 {
		write(t, fmt.Sprintf("%s/many/%d", tree, i), "")
	}
	deep := tree
	for range 300 {
		deep += "/d"
	}
	write(t, deep+"/bottom", "b")
	assert.NilError(t, os.MkdirAll(tree+"/empty/sticky", 0o755))
	assert.NilError(t, os.Chmod(tree+"/empty/sticky", fs.ModeSticky|0o777))
	assert.NilError(t, unix.Setxattr(tree+"/pg", "system.posix_acl_default", acl(), 0))
	assert.NilError(t, unix.Setxattr(tree+"/pg", "system.posix_acl_access", acl(), 0))
	assert.NilError(t, unix.Setxattr(tree+"/pg", "trusted.overlay.opaque", []byte("y"), 0))
	assert.NilError(t, unix.Setxattr(tree+"/pg", "security.ours", []byte("label"), 0))
	assert.NilError(t, os.Chown(tree, 999, 998))
	assert.NilError(t, os.Chmod(tree, fs.ModeSetgid|0o700))
	assert.NilError(t, os.Chtimes(tree, time.Unix(1000, 1), time.Unix(2000, 2)))
}

// describe lists all that is in a tree: inodes of files, all else of directories.
func describe(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	assert.NilError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if !e.IsDir() {
			out[name] = strconv.FormatUint(st.Ino, 10)
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		names, err := attributes(int(f.Fd()))
		if err != nil {
			return err
		}
		slices.Sort(names)
		for i, n := range names {
			value, err := attribute(int(f.Fd()), n)
			if err != nil {
				return err
			}
			names[i] += fmt.Sprintf("=%x", value)
		}
		out[name] = fmt.Sprint(st.Uid, st.Gid, st.Mode, st.Mtim, names)
		return nil
	}))
	return out
}

func TestCopy(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			root := t.TempDir()
			tree, from, to := volume(t, root)
			furnish(t, tree)
			before := describe(t, tree)
			sum, err := copyTree(t.Context(), m.calls, from, "tree", to, "copy")
			assert.NilError(t, err)
			assert.Equal(t, sum.Entries, int64(len(before)))
			assert.DeepEqual(t, describe(t, root+"/aside/copy"), before)
			assert.DeepEqual(t, describe(t, tree), before)
			again, err := compare(t.Context(), m.calls, from, "tree", to, "copy")
			assert.NilError(t, err)
			assert.Assert(t, again.Same(sum))

			_, err = Copy(t.Context(), from, "tree", to, "copy")
			assert.ErrorIs(t, err, fs.ErrExist, "over another")
			assert.DeepEqual(t, describe(t, root+"/aside/copy"), before)
		})
	}
}

// Whatever happens to a tree after it was linked is noticed: what the copy has
// not is an error, what both have changed a sum.
// What is made in a directory inherits some of its flags, so a copy has them.
func TestFlags(t *testing.T) {
	for name, c := range map[string]struct {
		root string
		flag int
	}{
		"not dumped":   {t.TempDir(), 0x40},
		"not copied":   {subvolume.Mount(t), 0x800000}, // what a database on btrfs has
		"not squeezed": {subvolume.Mount(t), 0x400},
	} {
		t.Run(name, func(t *testing.T) {
			tree, from, to := volume(t, c.root)
			write(t, tree+"/plain/file", "x")
			write(t, tree+"/flagged/below/file", "x")
			dir := openDir(t, tree+"/flagged")
			assert.NilError(t, unix.IoctlSetPointerInt(int(dir.Fd()), unix.FS_IOC_SETFLAGS, c.flag))
			_, err := Copy(t.Context(), from, "tree", to, "copy")
			assert.NilError(t, err)
			for _, name := range []string{"", "/plain", "/flagged", "/flagged/below"} {
				copied := openDir(t, filepath.Join(c.root, "aside/copy"+name))
				flags, err := unix.IoctlGetInt(int(copied.Fd()), unix.FS_IOC_GETFLAGS)
				assert.NilError(t, err)
				assert.Equal(t, flags&c.flag != 0, name == "/flagged", name)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(tree, copy string) error
		differs bool
	}{
		"nothing":        {func(string, string) error { return nil }, false},
		"written to":     {func(tree, _ string) error { return os.WriteFile(tree+"/a/f", []byte("new"), 0o644) }, false},
		"mode of a file": {func(tree, _ string) error { return os.Chmod(tree+"/a/f", 0o600) }, false},
		"new file":       {func(tree, _ string) error { return os.WriteFile(tree+"/a/new", nil, 0o644) }, true},
		"new directory":  {func(tree, _ string) error { return os.Mkdir(tree+"/a/new", 0o755) }, true},
		"file gone":      {func(tree, _ string) error { return os.Remove(tree + "/a/f") }, true},
		"directory gone": {func(tree, _ string) error { return os.RemoveAll(tree + "/a/b") }, true},
		"another file": {func(tree, _ string) error {
			return errors.Join(os.Remove(tree+"/a/f"), os.WriteFile(tree+"/a/f", []byte("f"), 0o644))
		}, true},
		"file for directory": {func(tree, _ string) error {
			return errors.Join(os.RemoveAll(tree+"/a/b"), os.WriteFile(tree+"/a/b", nil, 0o644))
		}, true},
		"renamed":             {func(tree, _ string) error { return os.Rename(tree+"/a/f", tree+"/a/g") }, true},
		"directory moved":     {func(tree, _ string) error { return os.Rename(tree+"/a/b", tree+"/b") }, true},
		"mode of a directory": {func(tree, _ string) error { return os.Chmod(tree+"/a/b", 0o711) }, true},
		"owner":               {func(tree, _ string) error { return os.Chown(tree+"/a/b", 5, 0) }, true},
		"more in the copy":    {func(_, copy string) error { return os.WriteFile(copy+"/a/b/new", nil, 0o644) }, true},
		"less in the copy":    {func(_, copy string) error { return os.Remove(copy + "/a/f") }, true},
		"no directory":        {func(_, copy string) error { return os.RemoveAll(copy + "/a/b") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			tree, from, to := volume(t, root)
			write(t, tree+"/a/f", "f")
			write(t, tree+"/a/b/g", "g")
			sum, err := Copy(t.Context(), from, "tree", to, "copy")
			assert.NilError(t, err)
			time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
			assert.NilError(t, c.change(tree, root+"/aside/copy"))
			now, err := Compare(t.Context(), from, "tree", to, "copy")
			assert.Equal(t, errors.Is(err, ErrDiffers), c.differs, "%v", err)
			if !c.differs {
				assert.NilError(t, err)
				assert.Equal(t, now.Same(sum), name == "nothing")
			}
		})
	}
}

// What cannot be linked is left, and says so.
func TestImpossible(t *testing.T) {
	flags := func(path string, flag int) func(*testing.T) {
		return func(t *testing.T) {
			f, err := os.Open(path)
			assert.NilError(t, err)
			defer f.Close()
			was, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
			assert.NilError(t, err)
			assert.NilError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, was|flag))
			t.Cleanup(func() {
				g, err := os.Open(path)
				assert.NilError(t, err)
				defer g.Close()
				assert.NilError(t, unix.IoctlSetPointerInt(int(g.Fd()), unix.FS_IOC_SETFLAGS, was))
			})
		}
	}
	const immutableFlag, appendFlag = 0x10, 0x20 // FS_IMMUTABLE_FL, FS_APPEND_FL
	for name, c := range map[string]struct {
		hurt func(t *testing.T, tree string)
		want error
		text string
	}{
		"immutable file":        {func(t *testing.T, tree string) { flags(tree+"/a/f", immutableFlag)(t) }, ErrImpossible, "tree/a/f: operation not permitted"},
		"append-only file":      {func(t *testing.T, tree string) { flags(tree+"/a/f", appendFlag)(t) }, ErrImpossible, "tree/a/f: "},
		"immutable directory":   {func(t *testing.T, tree string) { flags(tree+"/a", immutableFlag)(t) }, ErrImpossible, "tree/a: is immutable"},
		"append-only directory": {func(t *testing.T, tree string) { flags(tree, appendFlag)(t) }, ErrImpossible, "tree: is immutable or append-only"},
		"too many links": {func(t *testing.T, tree string) {
			assert.NilError(t, os.Mkdir(tree+"/a/more", 0o755))
			for i := 0; ; i++ {
				err := os.Link(tree+"/a/f", fmt.Sprintf("%s/a/more/%d", tree, i))
				if errors.Is(err, unix.EMLINK) {
					return
				}
				assert.NilError(t, err)
				assert.Assert(t, i < 1<<17, "the file system has no limit")
			}
		}, ErrImpossible, "too many links"},
		"mounted directory": {func(t *testing.T, tree string) { bind(t, t.TempDir(), tree+"/a") }, ErrMounted, "tree/a: "},
		"mounted on itself": {func(t *testing.T, tree string) { bind(t, tree+"/a", tree+"/a") }, ErrMounted, "tree/a: "},
		"mounted file":      {func(t *testing.T, tree string) { bind(t, "/etc/hostname", tree+"/a/f") }, ErrMounted, "tree/a/f: "},
		"is mounted":        {func(t *testing.T, tree string) { bind(t, tree, tree) }, ErrMounted, "tree: "},
		"a link": {func(t *testing.T, tree string) {
			assert.NilError(t, errors.Join(os.Rename(tree, tree+"2"), os.Symlink("tree2", tree)))
		}, unix.ELOOP, "tree: "},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			tree, from, to := volume(t, root)
			write(t, tree+"/a/f", "f")
			c.hurt(t, tree)
			before := describe(t, tree)
			_, err := Copy(t.Context(), from, "tree", to, "copy")
			assert.ErrorIs(t, err, c.want)
			assert.ErrorContains(t, err, c.text)
			assert.DeepEqual(t, describe(t, tree), before)
		})
	}
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	assert.NilError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.NilError(t, unix.Unmount(to, unix.MNT_DETACH)) })
}

// Nothing is linked to another file system, nor from a subvolume to another.
func TestOtherFileSystem(t *testing.T) {
	root := t.TempDir()
	tree, from, _ := volume(t, root)
	write(t, tree+"/f", "f")
	other := filepath.Join(root, "other")
	assert.NilError(t, os.Mkdir(other, 0o755))
	assert.NilError(t, unix.Mount("tmpfs", other, "tmpfs", 0, ""))
	t.Cleanup(func() { assert.NilError(t, unix.Unmount(other, unix.MNT_DETACH)) })
	_, err := Copy(t.Context(), from, "tree", openDir(t, other), "copy")
	assert.ErrorIs(t, err, ErrImpossible)

	dir := subvolume.Mount(t)
	subvolume.Create(t, filepath.Join(dir, "tree"))
	assert.NilError(t, os.Mkdir(filepath.Join(dir, "plain"), 0o755))
	subvolume.Create(t, filepath.Join(dir, "plain", "sub"))
	for _, name := range []string{"tree", "plain"} {
		_, err := Copy(t.Context(), openDir(t, dir), name, openDir(t, dir), name+"-copy")
		assert.ErrorIs(t, err, ErrImpossible)
		assert.ErrorContains(t, err, "is a subvolume")
	}
}

// A directory that is moved away while it is gone through does not lead out of
// the tree (rule 9).
func TestMovedMeanwhile(t *testing.T) {
	root := t.TempDir()
	tree, from, _ := volume(t, root)
	assert.NilError(t, os.MkdirAll(tree+"/a/b", 0o755))
	s, err := open(beneath.Probe(int(from.Fd())), from, "tree")
	assert.NilError(t, err)
	defer s.close()
	assert.NilError(t, s.enter("a"))
	assert.NilError(t, s.enter("b"))
	assert.NilError(t, os.Rename(tree+"/a/b", root+"/b"))
	assert.ErrorIs(t, s.leave(), ErrDiffers)
}

func TestCancelled(t *testing.T) {
	tree, from, to := volume(t, t.TempDir())
	write(t, tree+"/f", "f")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Copy(ctx, from, "tree", to, "copy")
	assert.ErrorIs(t, err, context.Canceled)
}

// What a directory has of its own that the other has not goes, such as an access
// control list that it inherited.
func TestLike(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	for _, dir := range []string{a, b} {
		assert.NilError(t, os.Mkdir(dir, 0o755))
	}
	assert.NilError(t, unix.Setxattr(b, "system.posix_acl_default", acl(), 0))
	assert.NilError(t, unix.Setxattr(b, "user.own", []byte("1"), 0))
	assert.NilError(t, unix.Setxattr(a, "user.other", []byte("2"), 0))
	assert.NilError(t, os.Chown(a, 999, 998))
	assert.NilError(t, os.Chmod(a, fs.ModeSticky|fs.ModeSetgid|0o730))
	assert.NilError(t, os.Chtimes(a, time.Unix(1000, 1), time.Unix(2000, 2)))
	assert.NilError(t, Like(openDir(t, a), openDir(t, b)))
	assert.DeepEqual(t, describe(t, b), describe(t, a))
}
