package containerd

import (
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// IsDocker reports the namespaces that dockerd has unless it is told others:
// those of containers and plugins, each with an owner behind it where users are
// remapped, and BuildKit's history (moby daemon/config, builder-next).
func IsDocker(namespace string) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(namespace, "plugins."), "_history")
	return name == "moby" || strings.HasPrefix(name, "moby-")
}

// Owner says whose a lease of Docker's is, by its name and labels. Nothing is
// proven by it: a container's and an image mount's look the same.
type Owner uint8

// The owners.
const (
	OtherOwner     Owner = iota // an operation, or nobody that is known
	ContainerOwner              // a container has its id, or an image that is mounted
	BuildOwner                  // a build record, or the history of builds
	ImageOwner                  // an image of a storage driver, see [Lease.Image]
)

// Owner says whose a lease is.
func (l *Lease) Owner() Owner {
	if scan.IsID(l.ID) && len(l.Labels) == 0 {
		return ContainerOwner
	}
	id := strings.TrimSuffix(strings.TrimSuffix(l.ID, "-variants"), "-view")
	if scan.IsBuildID(id) || strings.HasPrefix(l.ID, "ref_") {
		return BuildOwner
	}
	if l.Image() != "" {
		return ImageOwner
	}
	return OtherOwner
}

// Image is the image, "sha256:<hex>", whose manifest and config a lease keeps while its
// layers are a storage driver's (20.10 on: moby daemon/images/store.go); else "".
func (l *Lease) Image() string {
	id, ok := strings.CutPrefix(l.ID, "moby-image-")
	if !ok || !scan.IsID(strings.TrimPrefix(id, "sha256:")) {
		return ""
	}
	return id
}
