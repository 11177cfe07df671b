package testkit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/tool"
)

// Mapper is a device mapper that answers from a list.
type Mapper struct {
	List   []dm.Device
	Pools  map[string]dm.Pool
	NoTool bool  // dmsetup is not installed
	Err    error // of whatever is asked
}

// Devices implements [dm.Mapper].
func (m *Mapper) Devices(context.Context) ([]dm.Device, error) {
	if m.Err != nil || !m.NoTool || len(m.List) == 0 {
		return m.List, m.Err
	}
	var blind []dm.Device
	for _, d := range m.List {
		d.Open = dm.OpenUnknown
		blind = append(blind, d)
	}
	return blind, fmt.Errorf("dmsetup: %w", tool.ErrMissing)
}

// Pool implements [dm.Mapper].
func (m *Mapper) Pool(_ context.Context, name string) (dm.Pool, error) {
	is, ok := m.Pools[name]
	if m.Err != nil || !ok {
		return dm.Pool{}, errors.Join(m.Err, errors.New("device does not exist"))
	}
	return is, nil
}

// active makes a layer's device active.
func (c *Case) active(fields []string) error {
	open := 0
	if len(fields) > 1 {
		var err error
		if open, err = strconv.Atoi(fields[1]); err != nil {
			return err
		}
	}
	c.Mapper.List = append(c.Mapper.List, dm.Device{
		Name: "docker-254:32-131100-" + fields[0], Major: 253, Minor: uint32(len(c.Mapper.List)), Open: open,
	})
	return nil
}
