package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// read archives a directory as a driver's layer and lists the archive: a line
// a file.
func read(t *testing.T, dir, driver string) (lines, left []string) {
	t.Helper()
	data, left, err := archived(t, dir, forms[driver])
	assert.NilError(t, err)
	for in := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return lines, left
		}
		assert.NilError(t, err)
		content, err := io.ReadAll(in)
		assert.NilError(t, err)
		line := fmt.Sprintf("%c %q %o", h.Typeflag, h.Name, h.Mode)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if len(content) > 0 {
			line += fmt.Sprintf(" %.20q", content)
		}
		for k, v := range h.PAXRecords {
			if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				line += fmt.Sprintf(" %s=%q", name, v)
			}
		}
		lines = append(lines, line)
	}
}

func archived(t *testing.T, dir string, f form) ([]byte, []string, error) {
	t.Helper()
	c, err := openWritten(Root{Dir: filepath.Dir(dir)}, filepath.Base(dir), f)
	assert.NilError(t, err)
	defer c.Close()
	var out bytes.Buffer
	_, size, left, err := c.read(t.Context(), &out)
	if err == nil {
		assert.Equal(t, size, int64(out.Len()))
	}
	return out.Bytes(), left, err
}

// make makes a file of a word and a name: "dir a", "file a/b", "link a -> b".
func grow(t *testing.T, dir string, statements ...string) {
	t.Helper()
	for _, s := range statements {
		f := strings.Fields(s)
		name := filepath.Join(dir, f[1])
		var err error
		switch f[0] {
		case "dir":
			err = os.Mkdir(name, 0o755)
		case "file":
			err = os.WriteFile(name, []byte(strings.Join(f[2:], " ")), 0o644)
		case "symlink":
			err = os.Symlink(f[2], name)
		case "hard":
			err = os.Link(filepath.Join(dir, f[2]), name)
		case "removed":
			err = unix.Mknod(name, unix.S_IFCHR, 0)
		case "null":
			err = unix.Mknod(name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
		case "fifo":
			err = unix.Mkfifo(name, 0o600)
		case "socket":
			err = unix.Mknod(name, unix.S_IFSOCK|0o600, 0)
		case "attr":
			err = unix.Setxattr(name, f[2], []byte(f[3]), 0)
		}
		assert.NilError(t, err, s)
	}
}

func TestArchive(t *testing.T) {
	for _, test := range []struct {
		name, driver string
		tree         []string
		want, left   []string
	}{
		{
			name: "every sort of file", driver: "overlay2",
			tree: []string{
				"dir d", "file d/f one two", "hard h d/f", "symlink s ../../etc/shadow", "symlink e .", "hard s2 s", "null n", "fifo p",
				"attr d user.a b", "attr d/f user.c d", "attr d/f trusted.secret x",
			},
			want: []string{
				`5 "./" 755`, `2 "e" 777 -> .`, `0 "h" 644 "one two" user.c="d"`, `3 "n" 644`, `6 "p" 600`,
				`2 "s" 777 -> ../../etc/shadow`, `1 "s2" 777 -> s`, `5 "d/" 755 user.a="b"`, `1 "d/f" 644 -> h`,
			},
			left: []string{"h: its attribute trusted.secret"},
		},
		{
			name: "what programs set in a container", driver: "overlay2",
			tree: []string{
				"dir o", "attr o user.overlay.opaque y", "dir r", "attr r user.overlay.redirect /x", "file w", "attr w user.overlay.whiteout y",
				"file c", "attr c user.containers.override_stat 1:2:3", "dir q", "attr q user.fuseoverlayfs.opaque y", "file s", "attr s security.mine z",
				"attr s security.selinux system_u:object_r:x_t",
			},
			want: []string{
				`5 "./" 755`, `0 "c" 644 user.containers.override_stat="1:2:3"`, `0 "s" 644`, `0 "w" 644 user.overlay.whiteout="y"`,
				`5 "o/" 755 user.overlay.opaque="y"`, `5 "q/" 755 user.fuseoverlayfs.opaque="y"`, `5 "r/" 755 user.overlay.redirect="/x"`,
			},
			left: []string{"s: its attribute security.mine"},
		},
		{
			name: "what overlay removed", driver: "overlay2",
			tree: []string{
				"removed gone", "dir o", "file o/new x", "attr o trusted.overlay.opaque y", "dir x", "attr x trusted.overlay.opaque x",
				"dir i", "attr i trusted.overlay.impure y", "attr i trusted.overlay.origin z",
			},
			want: []string{
				`5 "./" 755`, `0 ".wh.gone" 600`, `5 "i/" 755`, `5 "o/" 755`, `0 "o/.wh..wh..opq" 600`, `0 "o/new" 644 "x"`, `5 "x/" 755`,
			},
		},
		{
			name: "what cannot be in an image", driver: "overlay2",
			tree: []string{"file .wh.mine x", "dir .wh.dir", "file .wh.dir/f", "file .wh..wh..opq", "socket sock", "file f x"},
			want: []string{`5 "./" 755`, `0 "f" 644 "x"`},
			left: []string{
				".wh..wh..opq: its name means a removal in an image", ".wh.dir: its name means a removal in an image",
				".wh.mine: its name means a removal in an image", "sock: a socket",
			},
		},
		{
			name: "what fuse-overlayfs removed", driver: "fuse-overlayfs",
			tree: []string{
				"file .wh.gone", "removed gone2", "dir o", "file o/.wh..wh..opq", "dir p", "removed p/.wh..opq", "dir q", "attr q user.fuseoverlayfs.opaque y",
				"dir .wh.dir",
			},
			want: []string{
				`5 "./" 755`, `0 ".wh.gone" 600`, `0 ".wh.gone2" 600`, `5 "o/" 755`, `0 "o/.wh..wh..opq" 600`,
				`5 "p/" 755`, `0 "p/.wh..wh..opq" 600`, `5 "q/" 755`, `0 "q/.wh..wh..opq" 600`,
			},
			left: []string{".wh.dir: its name means a removal in an image"},
		},
		{
			name: "what aufs removed", driver: "aufs",
			tree: []string{
				"file .wh..wh.aufs", "dir .wh..wh.plnk", "file .wh..wh.plnk/12.3 x", "hard linked .wh..wh.plnk/12.3", "dir .wh..wh.orph",
				"file .wh.gone", "dir d", "file d/.wh.one", "dir o", "file o/.wh..wh..opq", "file o/new x", "dir d/.wh..wh.x", "removed dev",
				"attr d user.overlay.redirect y",
			},
			want: []string{
				`5 "./" 755`, `0 ".wh.gone" 600`, `3 "dev" 0`, `0 "linked" 644 "x"`, `5 "d/" 755 user.overlay.redirect="y"`, `0 "d/.wh.one" 600`,
				`5 "o/" 755`, `0 "o/.wh..wh..opq" 600`, `0 "o/new" 644 "x"`,
			},
			left: []string{"d/.wh..wh.x: its name means a removal in an image"},
		},
		{
			name: "a whole copy", driver: "vfs",
			tree: []string{"removed dev", "dir o", "attr o user.overlay.opaque y", "file .wh.x y", "file o/.wh..wh..opq"},
			want: []string{`5 "./" 755`, `3 "dev" 0`, `5 "o/" 755 user.overlay.opaque="y"`},
			left: []string{".wh.x: its name means a removal in an image", "o/.wh..wh..opq: its name means a removal in an image"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := workDir(t)
			grow(t, dir, test.tree...)
			lines, left := read(t, dir, test.driver)
			assert.DeepEqual(t, lines, test.want)
			assert.DeepEqual(t, left, test.left)
		})
	}
}

// workDir is a directory on a file system that takes attributes, without the
// umask's hand in it.
func workDir(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("needs root: it makes device nodes and trusted attributes")
	}
	dir, err := os.MkdirTemp("/var/tmp", "archive")
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, os.RemoveAll(dir)) })
	assert.NilError(t, os.Mkdir(filepath.Join(dir, "layer"), 0o755))
	return filepath.Join(dir, "layer")
}

// A directory that was renamed, or a file whose content is below: the layer
// alone does not say what a container saw.
func TestArchiveElsewhere(t *testing.T) {
	for _, attr := range []string{
		"trusted.overlay.redirect", "trusted.overlay.metacopy", "user.overlay.redirect", "user.fuseoverlayfs.override_stat", "user.containers.override_stat",
	} {
		dir := workDir(t)
		grow(t, dir, "dir d", "attr d "+attr+" x")
		_, _, err := archived(t, dir, forms["fuse-overlayfs"])
		assert.ErrorContains(t, err, "layer/d: has "+attr)
	}
}

// In a user namespace the kernel's overlay marks its files by other names, and
// those that it has elsewhere mean nothing.
func TestOverlayMarks(t *testing.T) {
	for name, want := range map[string][2]attribute{
		"trusted.overlay.opaque": {isOpaque, anyones}, "trusted.overlay.impure": {ignored, anyones},
		"user.overlay.opaque": {anyones, isOpaque}, "user.overlay.impure": {anyones, ignored}, "user.fuseoverlayfs.opaque": {anyones, anyones},
	} {
		for i, within := range []bool{false, true} {
			is, err := kernelsOwn(within)(name)
			assert.NilError(t, err)
			assert.Equal(t, is, want[i], "%s %v", name, within)
		}
	}
	_, err := kernelsOwn(true)("user.overlay.redirect")
	assert.ErrorContains(t, err, "has user.overlay.redirect")
}

// However many files are left out, it is told how many.
func TestArchiveLeavesOutMany(t *testing.T) {
	dir := workDir(t)
	for i := range maxLeftOut + 3 {
		grow(t, dir, fmt.Sprintf("socket s%04d", i))
	}
	_, left := read(t, dir, "overlay2")
	assert.Equal(t, len(left), maxLeftOut+1)
	assert.Equal(t, left[maxLeftOut], "and 3 more")
}

// Nothing of another mount is read, be it a directory or a file.
func TestArchiveMounts(t *testing.T) {
	for _, on := range []string{"d", "f"} {
		dir := workDir(t)
		grow(t, dir, "dir d", "file f x")
		other := filepath.Join(filepath.Dir(dir), "other")
		grow(t, filepath.Dir(dir), "dir other", "file other/f secret", "dir other/empty")
		from := map[string]string{"d": other + "/empty", "f": other + "/f"}[on]
		target := filepath.Join(dir, on)
		assert.NilError(t, unix.Mount(from, target, "", unix.MS_BIND, ""))
		data, _, err := archived(t, dir, forms["overlay2"])
		assert.Check(t, unix.Unmount(target, 0))
		assert.ErrorIs(t, err, unix.EXDEV)
		assert.Check(t, !bytes.Contains(data, []byte("secret")))
	}
}

// Names of any bytes, times and owners go through; the same content is the same archive.
func TestArchiveExact(t *testing.T) {
	dir := workDir(t)
	names := []string{"a\nb", "\xff\xfe", strings.Repeat("n", 255), "\x1b[2J", "-rf", "ü"}
	when := time.Unix(981173106, 123456789)
	for _, n := range names {
		p := filepath.Join(dir, n)
		assert.NilError(t, os.WriteFile(p, []byte(n), 0o600))
		assert.NilError(t, os.Chown(p, 3000000, 4000000))
		assert.NilError(t, unix.Chmod(p, 0o6755))
		assert.NilError(t, os.Chtimes(p, when, when))
	}
	data, _, err := archived(t, dir, forms["overlay2"])
	assert.NilError(t, err)
	again, _, err := archived(t, dir, forms["overlay2"])
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(data, again))
	found := 0
	for in := tar.NewReader(bytes.NewReader(data)); ; found++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		if h.Name == "./" {
			continue
		}
		assert.Assert(t, slices.Contains(names, h.Name), "%q", h.Name)
		assert.Assert(t, h.ModTime.Equal(when))
		assert.Equal(t, h.Uid, 3000000)
		assert.Equal(t, h.Gid, 4000000)
		assert.Equal(t, h.Mode, int64(0o6755))
	}
	assert.Equal(t, found, len(names)+1)
}

// What is too deep to be unpacked is an error, and so is an end of patience.
func TestArchiveEnds(t *testing.T) {
	dir := workDir(t)
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	assert.NilError(t, err)
	for range 25 { // 25 × 201 bytes
		name := strings.Repeat("x", 200)
		assert.NilError(t, unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_PATH, 0)
		assert.NilError(t, err)
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	_, _, err = archived(t, dir, forms["overlay2"])
	assert.ErrorContains(t, err, "too deep")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = OpenWritten(ctx, Root{Dir: filepath.Dir(dir)}, "layer", "vfs")
	assert.ErrorIs(t, err, context.Canceled)

	assert.NilError(t, os.Symlink("layer", dir+"2"))
	_, err = OpenWritten(t.Context(), Root{Dir: filepath.Dir(dir)}, "layer2", "vfs")
	assert.ErrorIs(t, err, scan.ErrSymlink)
}

// Owners are those that the container saw: with userns-remap it is the
// machine's ids that are shifted, and the data root says by how much.
func TestArchiveOwners(t *testing.T) {
	top := filepath.Dir(workDir(t))
	owned := func(root string, uid, gid int) (string, error) {
		dir := filepath.Join(top, root, "layer")
		assert.NilError(t, os.MkdirAll(dir, 0o755))
		grow(t, dir, "file f x")
		assert.NilError(t, errors.Join(os.Chown(dir, uid, gid), os.Chown(dir+"/f", uid, gid)))
		w, err := OpenWritten(t.Context(), Root{Dir: filepath.Dir(dir)}, "layer", "vfs")
		if err != nil {
			return "", err
		}
		defer w.Close()
		var out bytes.Buffer
		assert.NilError(t, w.Write(t.Context(), &out))
		h, err := tar.NewReader(&out).Next()
		assert.NilError(t, err)
		return fmt.Sprintf("%d:%d", h.Uid, h.Gid), nil
	}
	for _, test := range []struct {
		root     string
		uid, gid int
		want     string
	}{
		{"root", 0, 0, "0:0"},
		{"root", 100000, 1, "100000:1"},
		{"100000.200000", 100000, 200000, "0:0"},
		{"100000.200000", 165535, 200033, "65535:33"},
		{"100000.200000", 165536, 200000, "layer: belongs to 165536:200000, which is none of the containers' ids"},
		{"100000.200000", 100000, 199999, "none of the containers' ids"},
		{"100000.200000", 0, 0, "none of the containers' ids"},
		{"100000.99999999999", 0, 0, "0:0"}, // no ids: somebody gave it that name
	} {
		got, err := owned(test.root, test.uid, test.gid)
		if err != nil {
			got = err.Error()
		}
		assert.Assert(t, strings.Contains(got, test.want), "%s: %s", test.root, got)
	}
	// The daemon gives a data root, and the one in it, the group of root in its containers.
	for _, root := range []string{"moved", "whole"} {
		assert.NilError(t, errors.Join(os.MkdirAll(filepath.Join(top, root), 0o755), os.Chown(filepath.Join(top, root), 0, 200000)))
	}
	_, err := owned("moved", 100000, 200000)
	assert.ErrorContains(t, err, "is a data root of userns-remap, and its name does not say of which ids")
	assert.NilError(t, os.Mkdir(top+"/whole/100000.200000", 0o755))
	got, err := owned("whole", 0, 0)
	assert.NilError(t, err)
	assert.Equal(t, got, "0:0")

	assert.NilError(t, errors.Join(os.MkdirAll(top+"/docker/layer", 0o755), os.Chown(top+"/docker", 1000, 1000)))
	_, err = OpenWritten(t.Context(), Root{Dir: top + "/docker"}, "layer", "vfs")
	assert.ErrorContains(t, err, "rootless")
}
