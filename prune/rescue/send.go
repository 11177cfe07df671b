package rescue

import (
	"archive/tar"
	"context"
	"errors"
	"io"

	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan/archive"
)

// contentName is the name of a written layer in an archive.
const contentName = "written.tar"

// send gives the daemon an archive as it is being written.
func send(ctx context.Context, d adopt.Daemon, config, manifest []byte, c *archive.Written) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := pack(ctx, w, config, manifest, c)
		w.CloseWithError(err)
		written <- err
	}()
	loadErr := d.Load(ctx, r)
	r.CloseWithError(io.ErrClosedPipe) // if the daemon did not read to the end
	writeErr := <-written
	if loadErr == nil || writeErr != nil && !errors.Is(writeErr, io.ErrClosedPipe) {
		return writeErr // what broke off the load, if it was that
	}
	return loadErr
}

// pack writes the archive of an image.
func pack(ctx context.Context, w io.Writer, config, manifest []byte, c *archive.Written) error {
	out := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{{adopt.ConfigName(config), config}, {"manifest.json", manifest}} {
		if err := out.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	if c != nil {
		if err := out.WriteHeader(&tar.Header{Name: contentName, Mode: 0o644, Size: c.Size()}); err != nil {
			return err
		}
		if err := c.Write(ctx, out); err != nil {
			return err
		}
	}
	return out.Close()
}
