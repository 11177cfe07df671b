package backend

import (
	"context"
	"io"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// A PoolUsage is how full the thin pool is that the layers are in.
type PoolUsage struct {
	Name       string // the active device's; "" of files that no daemon uses
	Data, Meta thin.Fill
	Trouble    string // what is wrong with it; "" if nothing is known to be
}

// UsageOfPool tells how full the thin pool is: what the kernel says of the one
// that the daemon names (GET /info, dmsetup status), else what the files say
// that it is made of. nil: no layer here is a thin device.
func UsageOfPool(ctx context.Context, in *scan.Input) (*PoolUsage, error) {
	if !slices.ContainsFunc(in.Backends, func(b *scan.Backend) bool { return b.Medium == scan.ThinDevice }) {
		return nil, nil
	}
	if in.Info.Pool != "" && in.Mapper != nil {
		is, err := in.Mapper.Pool(ctx, in.Info.Pool)
		if err != nil {
			return nil, err
		}
		return &PoolUsage{Name: in.Info.Pool, Data: is.Data, Meta: is.Meta, Trouble: is.Trouble()}, nil
	}
	return fromPool(in, func(r io.ReaderAt) (*PoolUsage, error) {
		data, meta, err := thin.ReadFill(r)
		return &PoolUsage{Data: data, Meta: meta}, err
	})
}
