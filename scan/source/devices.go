package source

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/tool"
)

// Devices asks the kernel's device mapper which layers that are thin devices
// are open. The mount tables say where they are mounted; that something has a
// device open is true in whatever namespace, and also of what mounts nothing.
// Another data root's devices of the same names count too: a copy of a root
// says the same as the root.
var Devices = &scan.Source{
	ID:      scan.SourceDevices,
	Doc:     "dmsetup info: thin devices that are active, and whether anything has them open",
	Collect: collectDevices,
}

func collectDevices(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
	b := thinBackend(in)
	if b == nil {
		return "no layer here is a thin device", nil
	}
	if in.Mapper == nil {
		return "none is active here", nil
	}
	devices, err := in.Mapper.Devices(ctx)
	if err != nil && !errors.Is(err, tool.ErrMissing) {
		g.Doubt(scan.Doubt{
			Source: scan.SourceDevices, Where: "device mapper", Err: err.Error(), Hint: "which thin devices are open is not known",
			Scope: scan.Scope{Backend: b.Name},
		})
		return "", err
	}
	active, blind := 0, []scan.Node(nil)
	for _, d := range devices {
		id, ok := dm.LayerID(d.Name)
		if !ok || !scan.IsLayerID(id) {
			continue
		}
		active++
		switch {
		case d.Open == dm.OpenUnknown:
			blind = append(blind, b.Layer(id))
		case d.Open > 0:
			g.Hold(b.Layer(id), "open as /dev/mapper/"+scan.Printable(d.Name), "dmsetup info")
		}
	}
	if len(blind) > 0 {
		g.Doubt(scan.Doubt{
			Source: scan.SourceDevices, Where: "device mapper", Err: "whether anything has these thin devices open is not known: " + err.Error(),
			Hint: dm.Dmsetup.Hint(err), Scope: scan.Scope{Nodes: blind},
		})
	}
	return fmt.Sprintf("%d devices, %d of them layers", len(devices), active), nil
}

// thinBackend is the backend whose layers are thin devices, if there is one.
func thinBackend(in *scan.Input) *scan.Backend {
	for _, b := range in.Backends {
		if b.Medium == scan.ThinDevice {
			return b
		}
	}
	return nil
}
