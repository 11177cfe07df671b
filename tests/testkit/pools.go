package testkit

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// Pools is a zfs that keeps the state of its datasets.
type Pools struct {
	Datasets []zfs.Dataset
	Err      error // of whatever is asked

	states map[string]*DatasetState // by name
}

// ParentDataset is the dataset that the data root is in.
const ParentDataset = "tank/docker"

// At implements [zfs.Lister].
func (p *Pools) At(context.Context, string) (string, error) { return ParentDataset, p.Err }

// List implements [zfs.Lister].
func (p *Pools) List(context.Context, string) ([]zfs.Dataset, error) {
	return slices.Clone(p.Datasets), p.Err
}

// dataset makes a layer of zfs: a clone of a snapshot of the one below.
func (r *Root) dataset(id string, below []string) {
	n := len(r.Pools.Datasets) + 1
	d := zfs.Dataset{Name: ParentDataset + "/" + id, GUID: uint64(n), Created: time.Now().Truncate(time.Second)}
	if len(below) > 0 {
		snapshot := d
		snapshot.GUID += 1 << 32
		snapshot.Name = fmt.Sprintf("%s/%s@%d", ParentDataset, r.layers[below[0]], 1000+n)
		r.Pools.Datasets = append(r.Pools.Datasets, snapshot)
		d.Origin = snapshot.Name
	}
	r.Pools.Datasets = append(r.Pools.Datasets, d)
}

var recordedDataset = regexp.MustCompile(`^(tank\S*)\s+(\S+)\s+\S+\s+\S+\s+\S+\s+(\w+ \w+ +\d+ +\d+:\d+ \d+)$`)

// recordedPools reads what a real zfs printed of a real root's datasets.
func recordedPools(file string) (Pools, error) {
	var p Pools
	data, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(data)) {
		m := recordedDataset.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		created, err := time.Parse("Mon Jan _2 15:04 2006", m[3])
		if err != nil {
			return p, err
		}
		d := zfs.Dataset{Name: m[1], GUID: uint64(len(p.Datasets) + 1), Created: created}
		if m[2] != "-" {
			d.Origin = m[2]
		}
		p.Datasets = append(p.Datasets, d)
	}
	return p, nil
}
