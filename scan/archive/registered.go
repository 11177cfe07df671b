package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

var errNotRegular = errors.New("not a regular file")

// stored is where, in a layer's directory, the drivers have the files of a
// registered layer, the first that there is: an image layer of overlay that
// BuildKit made is one that was written.
var stored = map[string][]string{
	"aufs":           {""},
	"btrfs":          {""},
	"fuse-overlayfs": {"diff"},
	"overlay":        {"root", "upper"},
	"overlay2":       {"diff"},
	"vfs":            {""},
}

// Readable reports whether layers of a storage driver can be read.
func Readable(driver string) bool { return len(stored[driver]) > 0 }

// A Registered is a layer that the daemon has a record of, to be read as the
// archive that it was made from.
type Registered struct {
	root   Root
	layer  layerdb.Layer
	record string // its tar-split file, below the data root
	dir    string // its files, below the data root
	size   int64
}

// OpenRegistered finds a registered layer of a driver, and reads its record
// once for the archive's size.
func OpenRegistered(ctx context.Context, root Root, name string, layer layerdb.Layer) (*Registered, error) {
	d := driver.Named(name)
	if d == nil || !Readable(name) {
		return nil, fmt.Errorf("layer %s: a layer of %s cannot be read: its files are in no directory as long as it is not mounted", scan.Short(layer.Chain), scan.Printable(name))
	}
	r := &Registered{root: root, layer: layer, record: scan.ChainNode(name, layer.Chain).Name + "/tar-split.json.gz"}
	var err error
	for _, sub := range stored[name] {
		r.dir = path.Join(d.Layers, layer.CacheID, sub)
		if _, err = root.Tree.Stat(r.dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", scan.Short(layer.Chain), err)
	}
	err = r.entries(ctx, func(e *entry) error {
		r.size += e.length()
		if r.size < 0 {
			return errors.New("is larger than any archive")
		}
		return nil
	})
	return r, err
}

// Diff is the digest of the archive: "sha256:<hex>".
func (r *Registered) Diff() string { return r.layer.Diff }

// Size is the archive's, in bytes.
func (r *Registered) Size() int64 { return r.size }

// Write writes the archive. What it writes is right if there is no error: the
// digest is known at the end.
func (r *Registered) Write(ctx context.Context, to io.Writer) error {
	s, err := r.root.open(r.dir)
	if err != nil {
		return err
	}
	defer s.close()
	sum := newSummed(to)
	buf := make([]byte, 256<<10)
	err = r.entries(ctx, func(e *entry) error {
		if e.Type == segment {
			_, err := sum.Write(e.Payload)
			return err
		}
		if e.Size == 0 {
			return nil // it has no content: a directory, a link, an empty file
		}
		if err := e.write(ctx, s, sum, buf); err != nil {
			return fmt.Errorf("%s: %w", beneath.Shown(path.Join(r.dir, e.name())), err)
		}
		return nil
	})
	if err == nil && sum.diff() != r.layer.Diff {
		err = fmt.Errorf("%s: the layer is not what it was registered as: its digest is %s and not %s", r.dir, sum.diff(), r.layer.Diff)
	}
	return err
}

// entries reads the layer's record to the end.
func (r *Registered) entries(ctx context.Context, each func(*entry) error) error {
	file, err := r.root.Tree.Open(r.record)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: missing: without it the layer's archive cannot be made again", r.record)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	size, err := file.Size()
	if err != nil {
		return err
	}
	unzipped, err := gzip.NewReader(io.NewSectionReader(file, 0, size))
	if err != nil {
		return fmt.Errorf("%s: %w", r.record, err)
	}
	lines := json.NewDecoder(&lineReader{from: unzipped})
	for {
		var e entry
		err := lines.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = e.check()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.record, err)
		}
		if err := errors.Join(ctx.Err(), each(&e)); err != nil {
			return err
		}
	}
}

// The kinds of entries.
const (
	content = 1 // of a file
	segment = 2 // bytes of the archive that are no file's content
)

// An entry is a line of a tar-split file (github.com/vbatts/tar-split,
// tar/storage): the archive is what all of them say, one after the other.
type entry struct {
	Type    int    `json:"type"`
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw"` // if it is not UTF-8
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"` // the bytes, or the content's checksum
}

func (e *entry) check() error {
	switch {
	case e.Type != content && e.Type != segment:
		return fmt.Errorf("entry of type %d, which is not known", e.Type)
	case e.Size < 0:
		return fmt.Errorf("%s: size %d", beneath.Shown(e.name()), e.Size)
	}
	return nil
}

// length is how much of the archive the entry makes up.
func (e *entry) length() int64 {
	if e.Type == segment {
		return int64(len(e.Payload))
	}
	return e.Size
}

func (e *entry) name() string {
	if len(e.NameRaw) > 0 {
		return string(e.NameRaw)
	}
	return e.Name
}

// crcTable is that of the checksums of files.
var crcTable = crc64.MakeTable(crc64.ISO)

// write writes a file's content. The name was chosen by whoever made the image;
// the daemon, when it unpacks one, takes it as a path below the layer.
func (e *entry) write(ctx context.Context, from *source, to io.Writer, buf []byte) error {
	fd, size, err := from.file(strings.TrimLeft(path.Clean(e.name()), "/"))
	if err != nil {
		return err
	}
	in := newReader(ctx, fd, e.Size)
	defer in.close()
	if size != e.Size {
		return fmt.Errorf("is of %d bytes, and was of %d when the layer was registered", size, e.Size)
	}
	sum := crc64.New(crcTable)
	n, err := io.CopyBuffer(io.MultiWriter(to, sum), in, buf)
	switch {
	case err != nil:
		return err
	case n != e.Size:
		return errChanged
	case !bytes.Equal(sum.Sum(nil), e.Payload):
		return errors.New("is not what it was when the layer was registered")
	}
	return nil
}

// maxLine bounds what one entry takes in memory. The largest are headers with
// all their extended attributes.
const maxLine = 32 << 20

// A lineReader fails where a line is too long.
type lineReader struct {
	from io.Reader
	line int
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if last := bytes.LastIndexByte(p[:n], '\n'); last >= 0 {
		l.line = n - last - 1
	} else {
		l.line += n
	}
	if l.line > maxLine {
		return 0, errors.New("a line of more than 32 MiB")
	}
	return n, err
}
