package usage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// trees are what TestWalk walks.
var trees = []struct {
	name  string
	plant func(t *testing.T, root string)
	names []string // "t" if nil
}{
	{name: "empty", plant: func(*testing.T, string) {}},
	{name: "plain", plant: func(t *testing.T, root string) {
		for _, name := range []string{"f", "a/f", "a/b/f", "a/c/f", "d/e/f"} {
			write(t, filepath.Join(root, "t", name), 10_000)
		}
	}},
	{name: "many directories", plant: func(t *testing.T, root string) {
		for _, a := range "abcdefgh" {
			for _, b := range "abcdefgh" {
				write(t, filepath.Join(root, "t", string(a), string(b), "c", "f"), 1)
			}
		}
	}},
	{name: "hard links", plant: func(t *testing.T, root string) {
		write(t, filepath.Join(root, "t/a/f"), 50_000)
		mkdir(t, root, "t/b")
		for _, twin := range []string{"t/a/twin", "t/b/twin", "t/b/other"} {
			assert.NilError(t, os.Link(filepath.Join(root, "t/a/f"), filepath.Join(root, twin)))
		}
	}},
	{name: "a hard link in two names", names: []string{"t", "u/f", "u/g"}, plant: func(t *testing.T, root string) {
		write(t, filepath.Join(root, "t/a/f"), 50_000)
		mkdir(t, root, "u/g")
		assert.NilError(t, os.Link(filepath.Join(root, "t/a/f"), filepath.Join(root, "u/f")))
		assert.NilError(t, os.Link(filepath.Join(root, "t/a/f"), filepath.Join(root, "u/g/f")))
	}},
	{name: "sparse", plant: func(t *testing.T, root string) {
		write(t, filepath.Join(root, "t/f"), 1)
		assert.NilError(t, os.Truncate(filepath.Join(root, "t/f"), 1<<30))
	}},
	{name: "special files", plant: func(t *testing.T, root string) {
		needRoot(t)
		assert.NilError(t, unix.Mkfifo(filepath.Join(root, "t/fifo"), 0o644))
		assert.NilError(t, unix.Mknod(filepath.Join(root, "t/socket"), unix.S_IFSOCK|0o644, 0))
		assert.NilError(t, unix.Mknod(filepath.Join(root, "t/null"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))))
		assert.NilError(t, unix.Mknod(filepath.Join(root, "t/whiteout"), unix.S_IFCHR, 0))
		assert.NilError(t, unix.Mknod(filepath.Join(root, "t/block"), unix.S_IFBLK, int(unix.Mkdev(7, 255))))
	}},
	{name: "symbolic links", plant: func(t *testing.T, root string) {
		for name, target := range map[string]string{
			"etc": "/etc", "up": "..", "self": ".", "file": "/etc/passwd", "none": "none",
			"long": strings.Repeat("x", 3000), // too long for the inode: it takes a block
		} {
			assert.NilError(t, os.Symlink(target, filepath.Join(root, "t", name)))
		}
	}},
	{name: "hostile names", plant: func(t *testing.T, root string) {
		for _, name := range []string{
			"new\nline", "\x1b[2J", "\xff\xfe", strings.Repeat("n", 255), "-rf", "..hidden", "...", " ", `\`, "*",
		} {
			write(t, filepath.Join(root, "t", name, name, name), 1)
		}
	}},
	{name: "a long directory", plant: func(t *testing.T, root string) {
		for i := range 3000 {
			write(t, filepath.Join(root, "t", fmt.Sprintf("%d%s", i, strings.Repeat("n", 40+i%200))), i%2)
		}
	}},
	{name: "a file", names: []string{"t/f"}, plant: func(t *testing.T, root string) {
		write(t, filepath.Join(root, "t/f"), 5000)
	}},
	{name: "a link", names: []string{"t/l"}, plant: func(t *testing.T, root string) {
		assert.NilError(t, os.Symlink("/etc", filepath.Join(root, "t/l")))
	}},
	{name: "the root", names: []string{"."}, plant: func(t *testing.T, root string) {
		write(t, filepath.Join(root, "t/a/f"), 5000)
	}},
	{name: "several", names: []string{"t/a", "t/b/c", "t/f"}, plant: func(t *testing.T, root string) {
		for _, name := range []string{"a/f", "b/f", "b/c/f", "f"} {
			write(t, filepath.Join(root, "t", name), 5000)
		}
	}},
}
