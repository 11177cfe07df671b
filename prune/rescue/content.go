package rescue

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A form is how a storage driver keeps what a container wrote.
type form struct {
	dir   string // where, in the layer's directory
	whole bool   // all that the container saw, not only what it wrote
	// whiteouts are removals as the driver writes them.
	devices bool // character devices 0:0
	names   bool // files ".wh.<name>", ".wh..wh..opq"
}

// forms are those of the drivers whose written layers can be rescued.
var forms = map[string]form{
	"overlay":        {dir: "upper", devices: true},
	"overlay2":       {dir: "diff", devices: true},
	"fuse-overlayfs": {dir: "diff", devices: true, names: true},
	"vfs":            {whole: true},
	"btrfs":          {whole: true},
}

// errChanged is the error of content that is not what it was a moment ago.
var errChanged = errors.New("changed while it was read: something still writes to it")

// A content is a written layer's, to be read as a tar archive of what it
// changes. It needs as much memory as the names of the largest directory, and
// a name for each file with several links.
type content struct {
	*source
	form form
	name string // below the data root, for errors

	size    int64  // of the archive, once it is measured
	diff    string // its digest
	leftOut []string
}

// measure reads the content once and returns its digest.
func (c *content) measure(ctx context.Context) (diff string, err error) {
	c.diff, c.size, c.leftOut, err = c.read(ctx, io.Discard)
	return c.diff, err
}

// send reads the content again, and fails if it is not the same.
func (c *content) send(ctx context.Context, w io.Writer) error {
	diff, _, _, err := c.read(ctx, w)
	if err == nil && diff != c.diff {
		err = fmt.Errorf("%s: %w", c.name, errChanged)
	}
	return err
}

func (c *content) read(ctx context.Context, w io.Writer) (diff string, size int64, leftOut []string, err error) {
	sum := &summed{to: w, hash: sha256.New()}
	leftOut, err = c.archive(ctx, sum)
	return fmt.Sprintf("sha256:%x", sum.hash.Sum(nil)), sum.size, leftOut, err
}

// summed passes on what is written, and counts and digests it.
type summed struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.size += int64(n)
	s.hash.Write(p[:n]) // never fails
	return n, err
}
