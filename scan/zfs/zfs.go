// Package zfs asks the machine's zfs for the datasets of a pool. It changes
// nothing.
package zfs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan/tool"
)

// A Lister is what the scan asks. [System] is the machine's own.
type Lister interface {
	// At tells which dataset a directory of the machine is in.
	At(ctx context.Context, dir string) (string, error)
	// List lists all datasets of a pool, its snapshots too.
	List(ctx context.Context, pool string) ([]Dataset, error)
}

// A Dataset is a file system, a volume or a snapshot of a pool.
type Dataset struct {
	Name    string // "tank/docker/<id>"; of a snapshot "tank/docker/<id>@<name>"
	Origin  string // the snapshot that it began as; "" for none
	GUID    uint64 // no other dataset ever has it
	Created time.Time
}

// Zfs is the program that asks the kernel.
var Zfs = tool.Tool{
	Name:     "zfs",
	Packages: "zfs: package zfsutils-linux (Debian, Ubuntu), zfs (Fedora, Arch)",
}

// A Runner runs zfs with these arguments, and returns what it wrote to standard
// output. [Zfs] is the machine's own.
type Runner interface {
	Run(ctx context.Context, args ...string) ([]byte, error)
}

// System asks the machine's own kernel.
type System struct {
	Tool Runner
}

// At implements [Lister].
func (s System) At(ctx context.Context, dir string) (string, error) {
	out, err := s.Tool.Run(ctx, "list", "-H", "-o", "name", "--", dir)
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(string(out), "\n")
	if name == "" || strings.ContainsAny(name, "\n\t") {
		return "", fmt.Errorf("zfs list %s: %q is no dataset", dir, name)
	}
	return name, nil
}

// List implements [Lister].
func (s System) List(ctx context.Context, pool string) ([]Dataset, error) {
	out, err := s.Tool.Run(ctx, "list", "-H", "-p", "-r", "-t", "filesystem,volume,snapshot", "-o", "guid,creation,origin,name", "--", pool)
	if err != nil {
		return nil, err
	}
	return parse(string(out))
}

// parse reads the lines of zfs list -H -p.
func parse(out string) ([]Dataset, error) {
	var all []Dataset
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || fields[3] == "" || fields[2] == "" {
			return nil, fmt.Errorf("zfs list: %q is no dataset", line)
		}
		guid, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("zfs list: %s: guid %q", fields[3], fields[0])
		}
		created, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || created <= 0 {
			return nil, fmt.Errorf("zfs list: %s: creation %q", fields[3], fields[1])
		}
		d := Dataset{Name: fields[3], GUID: guid, Created: time.Unix(created, 0)}
		if fields[2] != "-" {
			d.Origin = fields[2]
		}
		all = append(all, d)
	}
	return all, nil
}
