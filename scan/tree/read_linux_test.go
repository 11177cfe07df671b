package tree

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// makeFiles makes one of everything, and a file outside that nothing may reach.
func makeFiles(t *testing.T) (root string) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside")
	assert.NilError(t, os.MkdirAll(outside, 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "file"), []byte("outside"), 0o644))
	root = t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	assert.NilError(t, os.MkdirAll(at("dir/sub"), 0o755))
	for name, content := range map[string]string{
		"file": "content", "empty": "", "dir/sub/file": "below", "big": strings.Repeat("0123456789", 10_000),
	} {
		assert.NilError(t, os.WriteFile(at(name), []byte(content), 0o644))
	}
	for _, name := range hostile {
		assert.NilError(t, os.WriteFile(at(name), []byte(name), 0o644))
	}
	assert.NilError(t, os.WriteFile(at("sparse"), nil, 0o644))
	assert.NilError(t, os.Truncate(at("sparse"), 1<<40)) // more than there is memory
	for name, target := range map[string]string{
		"link-file": "file", "link-dir": "dir", "link-out": outside, "link-out-file": outside + "/file",
		"dir/link-up": "../dir/sub", "link-proc": "/proc/self/root", "dangling": "nowhere",
		"link-hostile": "\x1b[2J\xff\n",
	} {
		assert.NilError(t, os.Symlink(target, at(name)))
	}
	assert.NilError(t, unix.Mkfifo(at("fifo"), 0o644))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, unix.Close(socket)) }()
	t.Chdir(root) // a socket's path has room for 108 bytes
	assert.NilError(t, unix.Bind(socket, &unix.SockaddrUnix{Name: "socket"}))
	if os.Geteuid() == 0 {
		assert.NilError(t, unix.Mknod(at("device"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))))
		assert.NilError(t, unix.Mknod(at("whiteout"), unix.S_IFCHR, 0))
		assert.NilError(t, unix.Mknod(at("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 255))))
	}
	return root
}

// A reading is a name to read, and what comes of it.
type reading struct {
	name  string
	limit int64
	want  string
	is    error  // what errors.Is finds
	says  string // the whole error
}

// readings are of the files that makeFiles makes.
func readings(root string) []reading {
	rows := []reading{
		{name: "file", limit: 100, want: "content"},
		{name: "file", limit: 7, want: "content"},
		{name: "file", limit: 6, says: "file: larger than 6 bytes"},
		{name: "sparse", limit: 1 << 20, says: "sparse: larger than 1048576 bytes"},
		{name: "empty", limit: 0, want: ""},
		{name: "big", limit: 1 << 20, want: strings.Repeat("0123456789", 10_000)},
		{name: "dir/sub/file", limit: 100, want: "below"},

		{name: "none", is: fs.ErrNotExist, says: "none: no such file or directory"},
		{name: "dir/none/file", is: fs.ErrNotExist, says: "dir/none/file: no such file or directory"},
		{name: "file/below", is: unix.ENOTDIR, says: "file/below: not a directory"},
		{name: "dir", is: unix.EISDIR, says: "dir: is a directory"},
		{name: ".", is: unix.EISDIR, says: ".: is a directory"},
		{name: "fifo", is: errNotRegular, says: "fifo: not a regular file"},
		{name: "socket", is: unix.ENXIO, says: "socket: no such device or address"},

		{name: "link-file", is: scan.ErrSymlink, says: "link-file: is a symbolic link"},
		{name: "link-out-file", is: scan.ErrSymlink, says: "link-out-file: is a symbolic link"},
		{name: "dangling", is: scan.ErrSymlink, says: "dangling: is a symbolic link"},
		{name: "link-dir/sub/file", is: scan.ErrSymlink, says: "link-dir/sub/file: is a symbolic link"},
		{name: "link-out/file", is: scan.ErrSymlink, says: "link-out/file: is a symbolic link"},
		{name: "dir/link-up/file", is: scan.ErrSymlink, says: "dir/link-up/file: is a symbolic link"},
		{name: "link-proc/etc/passwd", is: scan.ErrSymlink, says: "link-proc/etc/passwd: is a symbolic link"},

		{name: "", is: beneath.ErrName, says: `"": not a name below the root`},
		{name: "/", is: beneath.ErrName, says: "/: not a name below the root"},
		{name: filepath.Join(root, "file"), is: beneath.ErrName},
		{name: "..", is: beneath.ErrName, says: "..: not a name below the root"},
		{name: "../outside/file", is: beneath.ErrName},
		{name: "dir/../file", is: beneath.ErrName},
		{name: "dir/sub/..", is: beneath.ErrName},
		{name: "./file", is: beneath.ErrName},
		{name: "dir/./sub/file", is: beneath.ErrName},
		{name: "dir//sub/file", is: beneath.ErrName},
		{name: "file/", is: beneath.ErrName},
		{name: "fi\x00le", is: beneath.ErrName, says: `"fi\x00le": not a name below the root`},
		{name: strings.Repeat("n", 256), is: unix.ENAMETOOLONG},
		{name: "none\x1b[2J", is: fs.ErrNotExist, says: `"none\x1b[2J": no such file or directory`},
	}
	for _, name := range hostile {
		rows = append(rows, reading{name: name, limit: 1000, want: name})
	}
	if os.Geteuid() == 0 {
		rows = append(rows,
			reading{name: "device", is: errNotRegular, says: "device: not a regular file"},
			reading{name: "whiteout", is: unix.ENXIO, says: "whiteout: no such device or address"})
	}
	return rows
}

func TestReadFile(t *testing.T) {
	root := makeFiles(t)
	everyMode(t, root, func(t *testing.T, d *Disk) {
		for _, r := range readings(root) {
			got, err := d.ReadFile(r.name, r.limit)
			file, openErr := d.Open(r.name)
			if openErr == nil {
				openErr = file.Close()
			}
			if r.is == nil && r.says == "" {
				assert.NilError(t, err)
				assert.NilError(t, openErr)
				assert.Check(t, string(got) == r.want, "%q", r.name)
				continue
			}
			assert.Check(t, err != nil, "%q was read", r.name)
			if r.says != "" {
				assert.Check(t, err.Error() == r.says, "%q: %v", r.name, err)
			}
			if r.is != nil { // a limit is ReadFile's alone
				assert.ErrorIs(t, err, r.is)
				assert.ErrorIs(t, openErr, r.is)
			}
		}
	})
}

// TestReadFileWithoutSize reads what has no size until it is read.
func TestReadFileWithoutSize(t *testing.T) {
	want, err := os.ReadFile("/proc/cpuinfo")
	assert.NilError(t, err)
	everyMode(t, "/proc", func(t *testing.T, d *Disk) {
		got, err := d.ReadFile("cpuinfo", 1<<20)
		assert.NilError(t, err)
		first, _, _ := bytes.Cut(want, []byte("\n"))
		assert.Check(t, bytes.HasPrefix(got, first) && len(got) > 512, "%d bytes", len(got))
		_, err = d.ReadFile("cpuinfo", 600)
		assert.Error(t, err, "cpuinfo: larger than 600 bytes")
	})
}

func TestOpenFile(t *testing.T) {
	everyMode(t, makeFiles(t), func(t *testing.T, d *Disk) {
		f, err := d.Open("file")
		assert.NilError(t, err)
		size, err := f.Size()
		assert.NilError(t, err)
		assert.Equal(t, size, int64(7))
		buf := make([]byte, 3)
		n, err := f.ReadAt(buf, 2)
		assert.NilError(t, err)
		assert.Equal(t, string(buf[:n]), "nte")
		n, err = f.ReadAt(buf, 5)
		assert.Check(t, err == io.EOF)
		assert.Equal(t, string(buf[:n]), "nt")
		_, err = f.ReadAt(buf, -1)
		assert.ErrorContains(t, err, "file: ")
		assert.NilError(t, f.Close())
		_, err = f.ReadAt(buf, 0)
		assert.Error(t, err, "file: file already closed")
		_, err = f.Size()
		assert.ErrorContains(t, err, "file: ")
		assert.ErrorContains(t, f.Close(), "file: ")
	})
}

// TestSwap reads a name below a directory that somebody keeps replacing by a
// link to a directory outside.
func TestSwap(t *testing.T) {
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "file"), []byte("outside"), 0o644))
	root := t.TempDir()
	assert.NilError(t, os.Mkdir(filepath.Join(root, "a"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(root, "a", "file"), []byte("inside"), 0o644))
	assert.NilError(t, os.Symlink(outside, filepath.Join(root, "b")))

	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "a"),
				unix.AT_FDCWD, filepath.Join(root, "b"), unix.RENAME_EXCHANGE); err != nil {
				stopped <- err
				return
			}
		}
	}()
	everyMode(t, root, func(t *testing.T, d *Disk) {
		var inside, refused int
		for deadline := time.Now().Add(time.Minute); (inside < 100 || refused < 100) && time.Now().Before(deadline); {
			content, err := d.ReadFile("a/file", 100)
			switch {
			case err == nil && string(content) == "inside":
				inside++
			case err == nil:
				t.Fatalf("read %q", content)
			default:
				// Between two looks of the old kernels' walk, the link
				// that it saw may be a directory again: ENOTDIR is as good.
				refused++
			}
			_, err = d.ReadDir("a")
			assert.Check(t, err == nil || strings.HasPrefix(err.Error(), "a: "))
		}
		assert.Check(t, inside >= 100 && refused >= 100, "%d read, %d refused", inside, refused)
	})
	close(stop)
	assert.NilError(t, <-stopped)
}

// TestAccessTime proves that a scan leaves no trace where it is allowed to, and
// reads all the same where it is not.
func TestAccessTime(t *testing.T) {
	root := t.TempDir()
	assert.NilError(t, os.Chmod(root, 0o755))
	long := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	age := func() {
		assert.NilError(t, os.WriteFile(filepath.Join(root, "file"), []byte("x"), 0o644))
		for _, name := range []string{"file", "."} {
			assert.NilError(t, os.Chtimes(filepath.Join(root, name), long, time.Time{}))
		}
	}
	accessed := func(name string) time.Time {
		var st unix.Stat_t
		assert.NilError(t, unix.Lstat(filepath.Join(root, name), &st))
		return time.Unix(st.Atim.Unix())
	}
	age()
	_, err := os.ReadFile(filepath.Join(root, "file"))
	assert.NilError(t, err)
	if accessed("file").Equal(long) {
		t.Skip("mounted noatime")
	}
	everyMode(t, root, func(t *testing.T, d *Disk) {
		age()
		_, err := d.ReadFile("file", 1)
		assert.NilError(t, err)
		_, err = d.ReadDir(".")
		assert.NilError(t, err)
		assert.Check(t, accessed("file").Equal(long))
		assert.Check(t, accessed(".").Equal(long))

		asNobody(t, func() {
			content, err := d.ReadFile("file", 1)
			assert.NilError(t, err)
			assert.Equal(t, string(content), "x")
			entries, err := d.ReadDir(".")
			assert.NilError(t, err)
			assert.Equal(t, len(entries), 1)
		})
		assert.Check(t, !accessed("file").Equal(long))
	})
}

func TestPermission(t *testing.T) {
	root := t.TempDir()
	assert.NilError(t, os.Mkdir(filepath.Join(root, "dir"), 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(root, "file"), []byte("x"), 0o600))
	everyMode(t, root, func(t *testing.T, d *Disk) {
		asNobody(t, func() {
			_, err := d.ReadFile("file", 1)
			assert.ErrorIs(t, err, fs.ErrPermission)
			assert.Error(t, err, "file: permission denied")
			_, err = d.ReadDir("dir")
			assert.ErrorIs(t, err, fs.ErrPermission)
			assert.Error(t, err, "dir: permission denied")
			_, err = d.Stat("dir/file")
			assert.ErrorIs(t, err, fs.ErrPermission)
			assert.Error(t, err, "dir/file: permission denied")
		})
	})
}
