package dm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/scan/tool"
)

// Dmsetup is the program that asks the kernel.
var Dmsetup = tool.Tool{
	Name:     "dmsetup",
	Packages: "dmsetup: package dmsetup (Debian, Ubuntu) or device-mapper (Fedora, openSUSE, Arch)",
}

// System asks the machine's own kernel.
type System struct {
	Sys  string    // where the kernel tells of devices: "/sys"
	Tool tool.Tool // [Dmsetup]
}

// Devices lists the active devices. Their names are in /sys, so that where
// there are none no program is needed; who has them open only dmsetup tells.
func (s System) Devices(ctx context.Context) ([]Device, error) {
	active, err := s.active()
	if err != nil || len(active) == 0 {
		return nil, err
	}
	out, err := s.Tool.Run(ctx, "info", "-c", "--noheadings", "--separator", "|", "-o", "major,minor,open,name")
	if errors.Is(err, tool.ErrMissing) {
		return active, err
	}
	if err != nil {
		return nil, err
	}
	told, err := parseInfo(string(out))
	if err != nil {
		return nil, fmt.Errorf("dmsetup info: %w", err)
	}
	return told, nil
}

// active lists the devices that /sys has.
func (s System) active() ([]Device, error) {
	dirs, err := filepath.Glob(s.Sys + "/block/dm-*")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.Sys + "/block"); err != nil {
		return nil, err // nothing would be found there, and nothing proven
	}
	var all []Device
	for _, dir := range dirs {
		name, err := os.ReadFile(dir + "/dm/name")
		if errors.Is(err, fs.ErrNotExist) {
			continue // let go of since
		}
		if err != nil {
			return nil, err
		}
		d := Device{Name: strings.TrimSuffix(string(name), "\n"), Open: OpenUnknown}
		number, err := os.ReadFile(dir + "/dev")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			d.Major, d.Minor, err = parseNumbers(strings.TrimSpace(string(number)))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// Pool tells the state of a pool.
func (s System) Pool(ctx context.Context, name string) (Pool, error) {
	// --noflush: without it asking would commit the pool's metadata.
	out, err := s.Tool.Run(ctx, "status", "--noflush", "--", name)
	if err != nil {
		return Pool{}, err
	}
	p, err := parsePool(string(out))
	if err != nil {
		return Pool{}, fmt.Errorf("dmsetup status %s: %w", name, err)
	}
	return p, nil
}

// parseInfo reads the lines of dmsetup info. The name comes last, for it may
// have any character.
func parseInfo(out string) ([]Device, error) {
	var all []Device
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if line == "No devices found" {
			continue
		}
		fields := strings.SplitN(line, "|", 4)
		if len(fields) != 4 || fields[3] == "" {
			return nil, fmt.Errorf("%q is no device", line)
		}
		d := Device{Name: fields[3]}
		var err error
		if d.Major, d.Minor, err = parseNumbers(fields[0] + ":" + fields[1]); err != nil {
			return nil, err
		}
		if d.Open, err = strconv.Atoi(fields[2]); err != nil || d.Open < 0 {
			return nil, fmt.Errorf("%q: open %q times", d.Name, fields[2])
		}
		all = append(all, d)
	}
	return all, nil
}

func parseNumbers(text string) (major, minor uint32, err error) {
	a, b, ok := strings.Cut(text, ":")
	x, errA := strconv.ParseUint(a, 10, 32)
	y, errB := strconv.ParseUint(b, 10, 32)
	if !ok || errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("%q is no device number", text)
	}
	return uint32(x), uint32(y), nil
}

// parsePool reads the status of a thin pool (linux drivers/md/dm-thin.c,
// pool_status):
//
//	0 2097152 thin-pool <transaction> <used>/<total> <used>/<total> <held root> <mode> <discard> <on error> <needs_check> <threshold>
func parsePool(out string) (Pool, error) {
	fields := strings.Fields(out)
	if len(fields) < 4 || fields[2] != "thin-pool" {
		return Pool{}, fmt.Errorf("%q is no thin pool", strings.TrimSpace(out))
	}
	sectors, err := strconv.ParseInt(fields[1], 10, 54)
	if err != nil {
		return Pool{}, fmt.Errorf("%q is no length", fields[1])
	}
	fields = fields[3:]
	if word := strings.ToLower(fields[0]); word == "fail" || word == "error" {
		return Pool{Mode: word}, nil
	}
	var p Pool
	var errs [3]error
	if len(fields) < 5 {
		return Pool{}, fmt.Errorf("%q: says too little of a pool", strings.TrimSpace(out))
	}
	p.Transaction, errs[0] = strconv.ParseUint(fields[0], 10, 64)
	p.Meta, errs[1] = parseShare(fields[1], func(int64) int64 { return metaBlock })
	p.Data, errs[2] = parseShare(fields[2], func(blocks int64) int64 { return sectors * sector / blocks &^ (dataUnit - 1) })
	if err := errors.Join(errs[:]...); err != nil {
		return Pool{}, err
	}
	p.Snapshot = fields[3] != "-"
	p.Mode = fields[4]
	if !slices.Contains([]string{"rw", "ro", "out_of_data_space"}, p.Mode) {
		return Pool{}, fmt.Errorf("%q: mode of a pool that is not known", p.Mode)
	}
	p.NeedsCheck = slices.Contains(fields[5:], "needs_check")
	return p, nil
}

// Sizes of a thin pool's, in bytes (linux drivers/md/dm-thin.c).
const (
	sector    = 512
	metaBlock = 4096     // a block of metadata
	dataUnit  = 64 << 10 // a block of data is a multiple of it; what does not fill one is not used
)

// parseShare reads "455/4096", in blocks; block tells how many bytes one has,
// of so many.
func parseShare(text string, block func(blocks int64) int64) (thin.Fill, error) {
	a, b, ok := strings.Cut(text, "/")
	used, errA := strconv.ParseUint(a, 10, 31)
	size, errB := strconv.ParseUint(b, 10, 31)
	if !ok || errA != nil || errB != nil || used > size || size == 0 {
		return thin.Fill{}, fmt.Errorf("%q is no part of a whole", text)
	}
	one := block(int64(size))
	return thin.Fill{Used: int64(used) * one, Size: int64(size) * one}, nil
}
