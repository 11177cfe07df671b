package adopt

import (
	"context"
	"io"
)

// A Daemon is the part of the Docker API that adoption and rescue use. Errors
// satisfy errdefs.IsNotFound, IsConflict and IsInternal as the daemon's status
// says.
type Daemon interface {
	// Platform is what the daemon runs images of.
	Platform(ctx context.Context) (Platform, error)
	// Load sends an archive of images, as `docker load` does. What the
	// daemon reports in its reply, whose status is always 200, is an error
	// like any other.
	Load(ctx context.Context, archive io.Reader) error
	// Image describes an image by its id or its name.
	Image(ctx context.Context, name string) (Image, error)
	// Labelled lists the ids of images that have a label.
	Labelled(ctx context.Context, label string) ([]string, error)
	// Remove removes an image, neither by force nor with its parents, and
	// returns the ids of what the daemon deleted: the image's and its chains'.
	Remove(ctx context.Context, id string) (deleted []string, err error)
}

// A Platform is what an image runs on.
type Platform struct {
	OS           string // "linux"
	Architecture string // "amd64"
}

// An Image is one of the daemon's.
type Image struct {
	ID       string // "sha256:<hex>"
	Tags     []string
	Labels   map[string]string
	Platform Platform
	Diffs    []string          // diff ids, the base first
	Graph    map[string]string // GraphDriver.Data; nil for drivers that have none
}
