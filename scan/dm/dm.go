// Package dm asks the kernel's device mapper which devices it has, and in what
// state its thin pools are. It changes nothing, and commits no pool's metadata
// by asking.
//
// A device of Docker's is named for the directory that it belongs to:
//
//	docker-<major>:<minor>-<inode>-pool    the pool, if Docker makes it (loop-lvm)
//	docker-<major>:<minor>-<inode>-base    what every layer descends from
//	docker-<major>:<minor>-<inode>-<id>    a layer, while it is active
//
// with the device and inode of <root>/devicemapper (moby
// daemon/graphdriver/devmapper/deviceset.go). A layer is active only while
// somebody uses it, or if it could not be let go.
package dm

import (
	"context"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// A Mapper is what the scan asks. [System] is the machine's own.
type Mapper interface {
	// Devices lists the active devices. An error that satisfies
	// errors.Is(err, tool.ErrMissing) comes with the devices all the same, of
	// which it is then not known who has them open.
	Devices(ctx context.Context) ([]Device, error)
	// Pool tells the state of the active thin pool of a name.
	Pool(ctx context.Context, name string) (Pool, error)
}

// OpenUnknown is how many have a device open if that could not be asked.
const OpenUnknown = -1

// A Device is an active device.
type Device struct {
	Name         string
	Major, Minor uint32
	Open         int // how many mounts, processes and other devices have it open
}

// A Pool is the state of a thin pool.
type Pool struct {
	Transaction uint64 // of the metadata's last change that its owner counted
	Data, Meta  thin.Fill
	Mode        string // "rw", "out_of_data_space", "ro"; "fail" and "error" if nothing else is known
	NeedsCheck  bool
	Snapshot    bool // a snapshot of its metadata is held for somebody who reads it
}

// Trouble says why a pool is in no state to be worked with; "" if it is. A
// pool that is full can have devices deleted.
func (p Pool) Trouble() string {
	switch {
	case p.Mode == "fail" || p.Mode == "error":
		return "it has failed"
	case p.NeedsCheck:
		return "its metadata must be checked (thin_check, or lvconvert --repair)"
	case p.Mode == "ro":
		return "it is read-only: its metadata is damaged, or full"
	}
	return ""
}

// LayerID returns the id in the name of a layer's device, or of any device
// that Docker gives such a name: "<major>:<minor>-<inode>-<id>". What comes
// before the inode is not looked at.
func LayerID(device string) (id string, ok bool) {
	if i := strings.LastIndexByte(device, ':'); i >= 0 {
		device = device[i+1:]
	}
	minor, rest, ok := strings.Cut(device, "-")
	inode, id, okID := strings.Cut(rest, "-")
	if !ok || !okID || !number(minor) || !number(inode) || id == "" {
		return "", false
	}
	return id, true
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
