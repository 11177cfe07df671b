package prune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// A LoopPool is the pool of a data root that is made of two files of it
// (loop-lvm). It is active only while something is deleted from it, as the
// daemon makes it active while it runs (moby daemon/graphdriver/devmapper,
// deviceset.go and pkg/devicemapper).
//
// A pool that is made of other disks (direct-lvm) is its owner's: nothing in
// the data root tells that its devices are this data root's.
type LoopPool struct {
	Root   string // the data root, an absolute path without symbolic links
	Kernel ThinKernel
}

// A ThinKernel is what makes pools active and works on them.
type ThinKernel interface {
	dm.Mapper
	// Setup runs dmsetup. What it does is done once it returns.
	Setup(ctx context.Context, args ...string) error
	// Attach makes a block device of a file, which goes by itself once it is
	// not used any more, and returns its path.
	Attach(file *os.File) (device string, release func() error, err error)
	// Attached reports whether a block device is made of a file.
	Attached(file *os.File) (bool, error)
	// Discard gives back all blocks of a device, by its name.
	Discard(name string, size uint64) error
}

const (
	thinPoolDir = "devicemapper/devicemapper"
	thinScratch = "orphans" // what a device is called while it is being deleted; no layer has such a name
	sectorSize  = 512

	// verify has dmsetup make the names in /dev/mapper where no udev does.
	verify = "--verifyudev"
)

// A pool is one that is being worked on.
type pool struct {
	LoopPool
	name       string // of the pool's device, up to "pool"
	data, meta *os.File
	before     *thin.Metadata
}

// Check implements [Pool].
func (l LoopPool) Check(ctx context.Context) (err error) {
	p := &pool{LoopPool: l}
	if err := p.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.data.Close(), p.meta.Close()) }()
	if err := l.Kernel.Setup(ctx, "version"); err != nil {
		return err
	}
	if err := p.rest(ctx); err != nil {
		return err
	}
	return p.sound()
}

// Delete implements [Pool]. The pool is active, afterwards, no more than it
// was, and has all devices that it had but one.
func (l LoopPool) Delete(ctx context.Context, d ThinDevice) (err error) {
	p := &pool{LoopPool: l}
	if err := p.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.data.Close(), p.meta.Close()) }()
	if err := p.rest(ctx); err != nil {
		return err
	}
	if err := p.sound(); err != nil {
		return err
	}
	if is := p.before.Device(d.ID); is == nil || is.Transaction+1 != d.Made {
		return nil
	}
	if err := p.active(ctx, func() error { return p.delete(ctx, d) }); err != nil {
		return err
	}
	return p.lost(d)
}

// open opens the files that the pool is made of, and learns its name.
func (p *pool) open() error {
	root, err := unix.Open(p.Root, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Root, err)
	}
	defer unix.Close(root)
	how := &unix.OpenHow{Flags: unix.O_RDWR | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	file := func(name string) (*os.File, error) {
		fd, err := unix.Openat2(root, thinPoolDir+"/"+name, how)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the pool is not made of files of the data root (direct-lvm): only Docker can delete its devices")
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", thinPoolDir, name, err)
		}
		return os.NewFile(uintptr(fd), p.Root+"/"+thinPoolDir+"/"+name), nil
	}
	if p.meta, err = file("metadata"); err != nil {
		return err
	}
	if p.data, err = file("data"); err != nil {
		return errors.Join(err, p.meta.Close())
	}
	var st unix.Stat_t
	if err := unix.Fstatat(root, "devicemapper", &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return errors.Join(fmt.Errorf("devicemapper: %w", err), p.data.Close(), p.meta.Close())
	}
	p.name = fmt.Sprintf("docker-%d:%d-%d-", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	return nil
}

// rest checks that nothing of the pool is active, after letting go of what a
// run of ours, or a daemon, that was killed left and nobody has open.
func (p *pool) rest(ctx context.Context) error {
	for range 2 { // the pool is free only once the device is
		if err := p.letGo(ctx); err != nil {
			return err
		}
	}
	devices, err := p.Kernel.Devices(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if strings.HasPrefix(d.Name, p.name) {
			return restlessError{fmt.Errorf("/dev/mapper/%s is active, and is used, though no daemon runs", scan.Printable(d.Name))}
		}
	}
	return errors.Join(p.detached(p.meta), p.detached(p.data))
}

// letGo removes our own device, and the pool's, if nobody has them open.
func (p *pool) letGo(ctx context.Context) error {
	devices, err := p.Kernel.Devices(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.Open == 0 && (d.Name == p.name+thinScratch || d.Name == p.name+"pool") {
			if err := p.Kernel.Setup(context.WithoutCancel(ctx), "remove", verify, "--", d.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// detached waits until no block device is made of a file.
func (p *pool) detached(file *os.File) error {
	for range 50 { // the kernel may take a moment after the last use
		attached, err := p.Kernel.Attached(file)
		if err != nil || !attached {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return restlessError{fmt.Errorf("%s: a loop device is made of it", file.Name())}
}

// A restlessError is that of a pool that somebody uses.
type restlessError struct{ error }

// Hint says what a person can do.
func (restlessError) Hint() string {
	return "a daemon that was killed left it; start Docker and stop it again, or restart the machine"
}

// sound reads what is in the pool, and finds out whether it is in a state to
// be worked with.
func (p *pool) sound() error {
	var err error
	if p.before, err = thin.Read(p.meta); err != nil {
		return fmt.Errorf("%s/metadata: %w", thinPoolDir, err)
	}
	if p.before.NeedsCheck {
		return fmt.Errorf("%s/metadata: must be checked (thin_check)", thinPoolDir)
	}
	name := p.Root + "/devicemapper/metadata/transaction-metadata"
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var last struct {
		Open *uint64 `json:"open_transaction_id"`
	}
	if err := json.Unmarshal(data, &last); err != nil || last.Open == nil {
		return fmt.Errorf("%s: is damaged", name)
	}
	if *last.Open != p.before.Transaction {
		return restlessError{fmt.Errorf("%s: transaction %d was begun, and the pool is at %d: Docker takes it back when it starts", name, *last.Open, p.before.Transaction)}
	}
	return nil
}

// active makes the pool active as the daemon does, and lets go of it again.
func (p *pool) active(ctx context.Context, do func() error) (err error) {
	meta, releaseMeta, err := p.Kernel.Attach(p.meta)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, releaseMeta()) }()
	data, releaseData, err := p.Kernel.Attach(p.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, releaseData()) }()
	info, err := p.data.Stat()
	if err != nil {
		return err
	}
	table := fmt.Sprintf("0 %d thin-pool %s %s %d 32768 1 skip_block_zeroing", info.Size()/sectorSize, meta, data, p.before.BlockSize/sectorSize)
	if err := p.Kernel.Setup(ctx, "create", verify, "--table", table, "--", p.name+"pool"); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, p.Kernel.Setup(context.WithoutCancel(ctx), "remove", verify, "--retry", "--", p.name+"pool"))
	}()
	state, err := p.Kernel.Pool(ctx, p.name+"pool")
	if err != nil {
		return err
	}
	if why := state.Trouble(); why != "" {
		return fmt.Errorf("the pool: %s", why)
	}
	if state.Transaction != p.before.Transaction {
		return fmt.Errorf("the pool is at transaction %d, and was at %d", state.Transaction, p.before.Transaction)
	}
	return do()
}

// delete gives back the device's blocks, which only a device that is active
// can, and deletes it. Until the last step all that has happened is that a
// device that nobody will read is empty.
func (p *pool) delete(ctx context.Context, d ThinDevice) (err error) {
	table := fmt.Sprintf("0 %d thin /dev/mapper/%spool %d", d.Size/sectorSize, p.name, d.ID)
	if err := p.Kernel.Setup(ctx, "create", verify, "--table", table, "--", p.name+thinScratch); err != nil {
		return err
	}
	err = p.Kernel.Discard(p.name+thinScratch, d.Size)
	if removed := p.Kernel.Setup(context.WithoutCancel(ctx), "remove", verify, "--retry", "--", p.name+thinScratch); err != nil || removed != nil {
		return errors.Join(err, removed)
	}
	return p.Kernel.Setup(ctx, "message", "--", p.name+"pool", "0", fmt.Sprintf("delete %d", d.ID))
}

// lost checks that the pool lost the device, and nothing else.
func (p *pool) lost(d ThinDevice) error {
	after, err := thin.Read(p.meta)
	if err != nil {
		return fmt.Errorf("%s/metadata: %w", thinPoolDir, err)
	}
	want := slices.DeleteFunc(slices.Clone(p.before.Devices), func(t thin.Device) bool { return t.ID == d.ID })
	if after.Transaction != p.before.Transaction || !slices.Equal(after.Devices, want) {
		return fmt.Errorf("%s/metadata: the pool lost more than device %d: somebody else works with it", thinPoolDir, d.ID)
	}
	return nil
}
