//go:build linux

package prune_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A thinKernel is a device mapper that keeps a pool's state as the kernel does
// and refuses what it refuses, in the words of dmsetup 1.02.185. The pool's
// metadata are a file, which is written when a device is deleted.
type thinKernel struct {
	t       testing.TB
	active  []*mapped
	loops   []*loop
	calls   int
	fail    int  // the call that fails; 0: none
	late    bool // it fails after it took effect
	killing bool // the process ends there: nothing is done any more
	killed  bool
	discard []string
	mode    string // of pools; "" is rw
	greedy  bool   // a device that is deleted takes another with it
}

// A mapped is an active device.
type mapped struct {
	name string
	open int
	// Of a pool: what it is made of and what is in it.
	pool     *thin.Metadata
	file     string
	loops    []*loop
	id       uint64  // of a thin device
	belongTo *mapped // the pool of a thin device
}

// A loop is a block device made of a file.
type loop struct {
	name, file string
	users      int
}

var _ prune.ThinKernel = (*thinKernel)(nil)

var errInjected = errors.New("injected")

// call counts a call, and does it unless it is the one that fails.
func (k *thinKernel) call(do func() error) error {
	k.calls++
	switch {
	case k.killed:
		return errInjected
	case k.calls != k.fail:
		return do()
	case k.late:
		_ = do() // it took effect, and nobody heard of it
	}
	k.killed = k.killing
	return errInjected
}

// rise begins a process after the one that failed or was killed.
func (k *thinKernel) rise() {
	if k.killing {
		for _, l := range k.loops {
			l.users = 0 // its descriptors are closed
		}
		for _, d := range k.active {
			for _, l := range d.loops {
				l.users = 1
			}
		}
	}
	k.fail, k.killing, k.killed = 0, false, false
}

func (k *thinKernel) device(name string) *mapped {
	name = strings.TrimPrefix(name, "/dev/mapper/")
	for _, d := range k.active {
		if d.name == name {
			return d
		}
	}
	return nil
}

func (k *thinKernel) Devices(context.Context) (all []dm.Device, err error) {
	err = k.call(func() error {
		for i, d := range k.active {
			all = append(all, dm.Device{Name: d.name, Major: 253, Minor: uint32(i), Open: d.open})
		}
		return nil
	})
	return all, err
}

func (k *thinKernel) Pool(_ context.Context, name string) (p dm.Pool, err error) {
	err = k.call(func() error {
		d := k.device(name)
		if d == nil || d.pool == nil {
			return errors.New("device does not exist")
		}
		p = dm.Pool{Transaction: d.pool.Transaction, Mode: cmp.Or(k.mode, "rw"), NeedsCheck: d.pool.NeedsCheck}
		return nil
	})
	return p, err
}

func (k *thinKernel) Setup(_ context.Context, args ...string) error {
	return k.call(func() error { return k.setup(args) })
}

func (k *thinKernel) setup(args []string) error {
	if slices.Equal(args, []string{"version"}) {
		return nil
	}
	at := slices.Index(args, "--")
	if at < 0 {
		return fmt.Errorf("%v: a name may be an option", args)
	}
	name := args[at+1]
	d := k.device(name)
	switch args[0] {
	case "create":
		if d != nil {
			return fmt.Errorf("device-mapper: create ioctl on %s failed: Device or resource busy", name)
		}
		return k.create(name, strings.Fields(args[slices.Index(args, "--table")+1]))
	case "remove":
		if d == nil {
			return fmt.Errorf("Device %s not found", name)
		}
		if d.open > 0 {
			return fmt.Errorf("device-mapper: remove ioctl on %s failed: Device or resource busy", name)
		}
		k.active = slices.DeleteFunc(k.active, func(a *mapped) bool { return a == d })
		if d.belongTo != nil {
			d.belongTo.open--
		}
		for _, l := range d.loops {
			k.release(l)
		}
		return nil
	case "message":
		if d == nil || d.pool == nil {
			return fmt.Errorf("Device %s not found", name)
		}
		return k.message(d, args[at+3])
	}
	return fmt.Errorf("%v: not known", args)
}

func (k *thinKernel) create(name string, table []string) error {
	const failed = "device-mapper: reload ioctl on %s failed: %s"
	switch {
	case len(table) >= 7 && table[2] == "thin-pool":
		d := &mapped{name: name}
		for _, part := range table[3:5] {
			i := slices.IndexFunc(k.loops, func(l *loop) bool { return l.name == part })
			if i < 0 {
				return fmt.Errorf(failed, name, "No such file or directory")
			}
			d.loops = append(d.loops, k.loops[i])
		}
		d.file = d.loops[0].file
		data, err := os.ReadFile(d.file)
		assert.NilError(k.t, err)
		if d.pool, err = thin.Read(bytes.NewReader(data)); err != nil {
			return fmt.Errorf(failed, name, "Invalid argument")
		}
		if table[5] != strconv.FormatInt(d.pool.BlockSize/512, 10) {
			return fmt.Errorf(failed, name, "Invalid argument")
		}
		for _, l := range d.loops {
			l.users++
		}
		k.active = append(k.active, d)
		return nil
	case len(table) == 5 && table[2] == "thin":
		pool := k.device(table[3])
		id, err := strconv.ParseUint(table[4], 10, 24)
		assert.NilError(k.t, err)
		if pool == nil || pool.pool == nil || pool.pool.Device(uint32(id)) == nil {
			return fmt.Errorf(failed, name, "No data available")
		}
		pool.open++
		k.active = append(k.active, &mapped{name: name, id: id, belongTo: pool})
		return nil
	}
	return fmt.Errorf(failed, name, "Invalid argument")
}

func (k *thinKernel) message(pool *mapped, text string) error {
	const failed = "device-mapper: message ioctl on %s  failed: %s"
	word, number, _ := strings.Cut(text, " ")
	id, err := strconv.ParseUint(number, 10, 24)
	if word != "delete" || err != nil {
		return fmt.Errorf(failed, pool.name, "Invalid argument")
	}
	if slices.ContainsFunc(k.active, func(d *mapped) bool { return d.belongTo == pool && d.id == id }) {
		return fmt.Errorf(failed, pool.name, "Device or resource busy")
	}
	if pool.pool.Device(uint32(id)) == nil {
		return fmt.Errorf(failed, pool.name, "No data available")
	}
	pool.pool.Devices = slices.DeleteFunc(pool.pool.Devices, func(d thin.Device) bool { return d.ID == uint32(id) || k.greedy && d.ID == 1 })
	return testkit.ThinPool{Transaction: pool.pool.Transaction, Devices: pool.pool.Devices}.Write(pool.file)
}

func (k *thinKernel) Attach(file *os.File) (name string, release func() error, err error) {
	err = k.call(func() error {
		l := &loop{name: fmt.Sprintf("/dev/loop%d", len(k.loops)), file: file.Name(), users: 1}
		k.loops = append(k.loops, l)
		name, release = l.name, func() error {
			k.release(l)
			return nil
		}
		return nil
	})
	if err != nil && k.late {
		k.release(k.loops[len(k.loops)-1]) // its descriptor is closed
	}
	return name, release, err
}

func (k *thinKernel) release(l *loop) { l.users-- }

func (k *thinKernel) Attached(file *os.File) (is bool, err error) {
	err = k.call(func() error {
		is = slices.ContainsFunc(k.loops, func(l *loop) bool { return l.users > 0 && l.file == file.Name() })
		return nil
	})
	return is, err
}

func (k *thinKernel) Discard(name string, size uint64) error {
	return k.call(func() error {
		if d := k.device(name); d == nil || d.belongTo == nil || size == 0 {
			return fmt.Errorf("open /dev/mapper/%s: no such file or directory", name)
		}
		k.discard = append(k.discard, name)
		return nil
	})
}
