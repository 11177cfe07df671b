package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/dm"
)

// systemKernel is the machine's own.
type systemKernel struct{ dm.System }

// PoolOf is the pool of a data root on this machine, while no daemon uses it.
func PoolOf(root string) Pool {
	return LoopPool{Root: root, Kernel: systemKernel{dm.System{Sys: "/sys", Tool: dm.Dmsetup}}}
}

// Setup implements [ThinKernel].
func (k systemKernel) Setup(ctx context.Context, args ...string) error {
	_, err := k.Tool.Run(ctx, args...)
	if hint := k.Tool.Hint(err); hint != "" {
		err = fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

// Attach implements [ThinKernel], by a loop device.
func (k systemKernel) Attach(file *os.File) (device string, release func() error, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer control.Close()
	for range 8 { // somebody else may take the one that is free
		var n int
		if n, err = unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE); err != nil {
			return "", nil, fmt.Errorf("/dev/loop-control: %w", err)
		}
		name := fmt.Sprintf("/dev/loop%d", n)
		loop, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return "", nil, err
		}
		err = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(file.Fd()))
		if err == nil {
			// It goes by itself once the last who has it open lets go of it.
			err = unix.IoctlLoopSetStatus64(int(loop.Fd()), &unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR})
			if err != nil {
				return "", nil, errors.Join(fmt.Errorf("%s: %w", name, err), unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0), loop.Close())
			}
			return name, loop.Close, nil
		}
		loop.Close() // it was not ours
		if err != unix.EBUSY {
			return "", nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return "", nil, errors.New("no loop device is free")
}

// Attached implements [ThinKernel].
func (k systemKernel) Attached(file *os.File) (bool, error) {
	names, err := filepath.Glob(k.Sys + "/block/loop*/loop/backing_file")
	if err != nil {
		return false, err
	}
	own, err := file.Stat()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) {
			continue // let go of since
		}
		if err != nil {
			return false, err
		}
		path := strings.TrimSuffix(string(data), "\n")
		if is, err := os.Stat(path); path == file.Name() || err == nil && os.SameFile(is, own) {
			return true, nil
		}
	}
	return false, nil
}

// Discard implements [ThinKernel].
func (k systemKernel) Discard(name string, size uint64) error {
	device, err := os.OpenFile("/dev/mapper/"+name, os.O_WRONLY|unix.O_EXCL, 0)
	if err != nil {
		return err
	}
	all := [2]uint64{0, size}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, device.Fd(), unix.BLKDISCARD, uintptr(unsafe.Pointer(&all)))
	err = nil
	if errno != 0 && errno != unix.EOPNOTSUPP { // the space is then free in the pool only
		err = fmt.Errorf("%s: %w", device.Name(), errno)
	}
	return errors.Join(err, device.Close())
}
