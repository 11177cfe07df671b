package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// split is what tar-split keeps of an archive: everything but files.
func split(t testing.TB, archive []byte) (lines [][]byte) {
	t.Helper()
	in := bytes.NewReader(archive)
	files := tar.NewReader(in)
	done := 0
	line := func(e entry) {
		data, err := json.Marshal(e)
		assert.NilError(t, err)
		lines = append(lines, append(data, '\n'))
	}
	upTo := func(end int) {
		if end > done {
			line(entry{Type: segment, Payload: archive[done:end]})
		}
		done = end
	}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		upTo(len(archive) - in.Len())
		e := entry{Type: content, Name: h.Name, Size: h.Size}
		if strings.Contains(h.Name, "\xff") {
			e.Name, e.NameRaw = "", []byte(h.Name)
		}
		sum := crc64.New(crcTable)
		sum.Write(archive[done : done+int(h.Size)])
		e.Payload = sum.Sum(nil)
		line(e)
		done += int(h.Size)
	}
	upTo(len(archive))
	return lines
}

// A kept layer is one that is registered in a data root, with its files.
type kept struct {
	root    string
	archive []byte
	lines   [][]byte
	layer   layerdb.Layer
}

const cacheID = "1111111111111111111111111111111111111111111111111111111111111111"

// keep makes a data root of vfs with one layer, of an archive with odd names
// and every sort of entry.
func keep(t testing.TB) *kept {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	root := filepath.Dir(workDir(t))
	dir := filepath.Join(root, "vfs/dir", cacheID)
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "d"), 0o755))
	for _, f := range []struct {
		name, data string
		kind       byte
	}{
		{"./", "", tar.TypeDir},
		{"./d/", "", tar.TypeDir},
		{"./d/f", strings.Repeat("f", 1000), tar.TypeReg},
		{"/abs", "absolute", tar.TypeReg},
		{"d/../up", "cleaned", tar.TypeReg},
		{"odd\xff\n", "odd", tar.TypeReg},
		{"empty", "", tar.TypeReg},
		{".wh.gone", "", tar.TypeReg},
		{"hard", "", tar.TypeLink},
		{"sym", "", tar.TypeSymlink},
		{strings.Repeat("long/", 40) + "name", "deep", tar.TypeReg},
	} {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Size: int64(len(f.data)), Mode: 0o644, Uname: "who"}
		switch f.kind {
		case tar.TypeLink:
			h.Linkname = "./d/f"
		case tar.TypeSymlink:
			h.Linkname = "/etc/passwd"
		case tar.TypeReg:
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.a": "b"}
			if f.data != "" {
				name := filepath.Join(dir, filepath.Clean(f.name))
				assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
				assert.NilError(t, os.WriteFile(name, []byte(f.data), 0o600))
			}
		}
		assert.NilError(t, w.WriteHeader(h))
		_, err := w.Write([]byte(f.data))
		assert.NilError(t, err)
	}
	assert.NilError(t, w.Close())
	k := &kept{root: root, archive: append(out.Bytes(), make([]byte, 10240)...)} // as GNU tar pads
	k.lines = split(t, k.archive)
	diff := digest.FromBytes(k.archive).String()
	k.layer = layerdb.Layer{Chain: diff, Diff: diff, CacheID: cacheID}
	assert.NilError(t, os.MkdirAll(filepath.Dir(k.record()), 0o755))
	k.write(t, k.lines)
	return k
}

func (k *kept) file(name string) string { return filepath.Join(k.root, "vfs/dir", cacheID, name) }

func (k *kept) record() string {
	return filepath.Join(k.root, "image/vfs/layerdb/sha256", digest.Digest(k.layer.Chain).Encoded(), "tar-split.json.gz")
}

// write writes the layer's record.
func (k *kept) write(t testing.TB, lines [][]byte) {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(bytes.Join(lines, nil))
	assert.NilError(t, errors.Join(err, w.Close(), os.WriteFile(k.record(), out.Bytes(), 0o600)))
}

// read opens the layer and writes its archive.
func (k *kept) read(ctx context.Context, t testing.TB) ([]byte, error) {
	t.Helper()
	disk, err := tree.Open(k.root)
	assert.NilError(t, err)
	defer disk.Close()
	l, err := OpenRegistered(ctx, Root{Tree: disk, Dir: k.root}, "vfs", k.layer)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = l.Write(ctx, &out)
	if err == nil {
		assert.Equal(t, l.Size(), int64(out.Len()))
	}
	return out.Bytes(), err
}

func TestRegistered(t *testing.T) {
	k := keep(t)
	data, err := k.read(t.Context(), t)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(data, k.archive))

	// The daemon unpacked it through links of the layer, with that as its root.
	assert.NilError(t, errors.Join(
		os.MkdirAll(k.file("usr/lib"), 0o755), os.Rename(k.file("d"), k.file("usr/lib/e")), os.Symlink("/../usr/./l/e", k.file("d")), os.Symlink("../usr/lib", k.file("usr/l"))))
	data, err = k.read(t.Context(), t)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(data, k.archive))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = k.read(ctx, t)
	assert.ErrorIs(t, err, context.Canceled)
}

// What is not what was registered is an error that names it, and nothing that
// the daemon did not put into the layer is read.
func TestRegisteredDamaged(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	assert.NilError(t, os.WriteFile(secret, []byte("absolute"), 0o600)) // as /abs is
	entryNamed := func(name string) []byte { return []byte(fmt.Sprintf(`"name":%q`, name)) }
	renamed := func(to string) func(*testing.T, *kept) {
		return func(t *testing.T, k *kept) {
			var lines [][]byte
			for _, l := range k.lines {
				lines = append(lines, bytes.Replace(l, entryNamed("/abs"), entryNamed(to), 1))
			}
			k.write(t, lines)
		}
	}
	replaced := func(with func(name string) error) func(*testing.T, *kept) {
		return func(t *testing.T, k *kept) {
			assert.NilError(t, errors.Join(os.Remove(k.file("abs")), with(k.file("abs"))))
		}
	}
	linked := func(target string) func(*testing.T, *kept) {
		return func(t *testing.T, k *kept) {
			assert.NilError(t, os.WriteFile(filepath.Dir(secret)+"/f", []byte(strings.Repeat("f", 1000)), 0o600)) // as d/f is
			assert.NilError(t, errors.Join(os.RemoveAll(k.file("d")), os.Symlink(target, k.file("d"))))
		}
	}
	for _, test := range []struct {
		name, says string
		damage     func(t *testing.T, k *kept)
	}{
		{"other content", "abs: is not what it was when the layer was registered", func(t *testing.T, k *kept) {
			assert.NilError(t, os.WriteFile(k.file("abs"), []byte("ABSOLUTE"), 0o600))
		}},
		{"shorter", "abs: is of 1 bytes, and was of 8", func(t *testing.T, k *kept) {
			assert.NilError(t, os.WriteFile(k.file("abs"), []byte("a"), 0o600))
		}},
		{"gone", "abs: no such file", replaced(func(string) error { return nil })},
		{"a link", "abs: not a regular file", replaced(func(n string) error { return os.Symlink(secret, n) })},
		{"a fifo", "abs: not a regular file", replaced(func(n string) error { return unix.Mkfifo(n, 0o600) })},
		{"a device", "abs: not a regular file", replaced(func(n string) error { return unix.Mknod(n, unix.S_IFCHR, int(unix.Mkdev(1, 5))) })},
		{"a directory", "abs: not a regular file", replaced(func(n string) error { return os.Mkdir(n, 0o700) })},
		{"through links for ever", "is a symbolic link", linked("d")},
		{"through a link to nowhere", "no such file", linked("gone")},
		{"through a link out of the layer", "d/f: no such file", linked(secret[:strings.LastIndex(secret, "/")])},
		{"through a link above the layer", "d/f: no such file", linked("../../../../../.." + secret[:strings.LastIndex(secret, "/")])},
		{"through a file", "d/f: not a directory", linked("abs")},
		{"a mount", "abs: invalid cross-device link", func(t *testing.T, k *kept) {
			assert.NilError(t, unix.Mount(secret, k.file("abs"), "", unix.MS_BIND, ""))
			t.Cleanup(func() { assert.Check(t, unix.Unmount(k.file("abs"), 0)) })
		}},
		{"a name above", "not a name below the root", renamed("../" + cacheID + "/abs")},
		{"the layer itself", "not a regular file", renamed(".")},
		{"no name", "not a regular file", renamed("")},
		{"no record", "missing: without it", func(t *testing.T, k *kept) { assert.NilError(t, os.Remove(k.record())) }},
		{"a record that is a link", "is a symbolic link", func(t *testing.T, k *kept) {
			assert.NilError(t, errors.Join(os.Rename(k.record(), k.record()+"2"), os.Symlink(k.record()+"2", k.record())))
		}},
		{"no gzip", "tar-split.json.gz: gzip: invalid header", func(t *testing.T, k *kept) {
			assert.NilError(t, os.WriteFile(k.record(), []byte("plain text, no gzip at all"), 0o600))
		}},
		{"nothing in it", "tar-split.json.gz: EOF", func(t *testing.T, k *kept) { assert.NilError(t, os.WriteFile(k.record(), nil, 0o600)) }},
		{"no JSON", "invalid character", func(t *testing.T, k *kept) { k.write(t, [][]byte{[]byte("no JSON")}) }},
		{"half a line", "unexpected EOF", func(t *testing.T, k *kept) { k.write(t, [][]byte{k.lines[0][:20]}) }},
		{"a line less", "its digest is", func(t *testing.T, k *kept) { k.write(t, k.lines[:len(k.lines)-1]) }},
		{"another header", "its digest is", func(t *testing.T, k *kept) {
			var e entry
			assert.NilError(t, json.Unmarshal(k.lines[0], &e))
			e.Payload[100] ^= 1
			line, err := json.Marshal(e)
			assert.NilError(t, err)
			k.write(t, append([][]byte{line}, k.lines[1:]...))
		}},
		{"a type of its own", "entry of type 3", func(t *testing.T, k *kept) { k.write(t, [][]byte{[]byte(`{"type":3}`)}) }},
		{"less than nothing", "size -1", func(t *testing.T, k *kept) { k.write(t, [][]byte{[]byte(`{"type":1,"name":"abs","size":-1}`)}) }},
		{"larger than there is", "larger than any archive", func(t *testing.T, k *kept) {
			line := []byte(`{"type":1,"name":"abs","size":9000000000000000000}` + "\n")
			k.write(t, [][]byte{line, line})
		}},
		{"a bomb", "a line of more than 32 MiB", func(t *testing.T, k *kept) {
			k.write(t, [][]byte{[]byte(`{"type":2,"payload":"`), bytes.Repeat([]byte("A"), maxLine+1<<20), []byte(`"}`)})
		}},
		{"a layer that is a link", "is a symbolic link", func(t *testing.T, k *kept) {
			assert.NilError(t, errors.Join(os.Rename(k.file(""), k.file("")+"2"), os.Symlink(cacheID+"2", filepath.Clean(k.file("")))))
		}},
		{"no layer", "no such file", func(t *testing.T, k *kept) { assert.NilError(t, os.RemoveAll(k.file(""))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := keep(t)
			test.damage(t, k)
			_, err := k.read(t.Context(), t)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

// A record that is cut off anywhere is an error.
func TestRegisteredCutOff(t *testing.T) {
	k := keep(t)
	whole, err := os.ReadFile(k.record())
	assert.NilError(t, err)
	for n := range len(whole) {
		if n%17 != 0 && n < len(whole)-20 {
			continue
		}
		assert.NilError(t, os.WriteFile(k.record(), whole[:n], 0o600))
		_, err := k.read(t.Context(), t)
		assert.Assert(t, err != nil, "cut after %d of %d bytes", n, len(whole))
	}
}

// Layers that are no files are not looked for.
func TestRegisteredNoFiles(t *testing.T) {
	for _, driver := range []string{"zfs", "devicemapper", "windowsfilter"} {
		_, err := OpenRegistered(t.Context(), Root{}, driver, layerdb.Layer{Chain: "sha256:" + cacheID, CacheID: cacheID})
		assert.ErrorContains(t, err, "a layer of "+driver+" cannot be read")
		_, err = OpenWritten(t.Context(), Root{}, "", driver)
		assert.ErrorContains(t, err, "a writable layer of "+driver+" cannot be read")
	}
}

// Whatever a record says, what is written is the original or there is an error.
func FuzzRegistered(f *testing.F) {
	f.Add([]byte(`{"type":2,"payload":"AAAA"}`))
	f.Add([]byte(`{"type":1,"name":"abs","size":8,"payload":"AAAAAAAAAAA="}`))
	f.Add([]byte(`{"type":1,"name_raw":"Li4vYWJz","size":8,"payload":null}`))
	f.Add([]byte("null\n[]\n{}"))
	k := keep(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		k.write(t, [][]byte{data})
		out, err := k.read(t.Context(), t)
		assert.Assert(t, err != nil || digest.FromBytes(out).String() == k.layer.Diff)
	})
}
