package source

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// What processes keep from outside of every mount table: namespaces behind a
// descriptor, and overlays that were taken from their place while something had
// them open.

// unseen holds what is mounted in namespaces behind a descriptor, and returns
// those that could not be entered. It enters also where a process was seen to
// live: that may have come after the mount tables were read for what they hold,
// and be gone. It may even have been a thread of ours, or of another scan, that
// looked at the namespace.
//
// A process that started meanwhile explains most of those that are left, and of
// the overlays.
func (p *processes) unseen(ctx context.Context) ([]mount.Pin, error) {
	survey := mount.Survey{Namespaces: map[string]bool{}, Pins: p.pins}
	err := survey.ReadPinned(ctx, p.in.Proc, func(v *mount.View, m *mountinfo.Info) {
		p.mount(p.devices.places, v, m)
		if device := mount.Device(m); p.devices.sites[device] != inData {
			p.devices.sites[device] = elsewhere
		}
	})
	if err != nil {
		return nil, err
	}
	if len(p.overlay) == 0 && len(p.uninhabited(survey.Unseen())) == 0 {
		return nil, nil
	}
	if err := p.devices.survey(ctx, p.in.Proc); err != nil {
		return nil, err
	}
	return p.uninhabited(survey.Unseen()), nil
}

// uninhabited are the pins of namespaces that no process was seen to live in.
func (p *processes) uninhabited(pins []mount.Pin) []mount.Pin {
	return slices.DeleteFunc(pins, func(pin mount.Pin) bool { return p.devices.namespaces[pin.Namespace] })
}

// How long a process may use an overlay that no mount table has before that is
// a doubt: runc (1.2 on) runs from such a one, sealed around its own program,
// until the container's program takes its place.
const (
	sealTries = 20
	sealPause = 50 * time.Millisecond
)

// judgeOverlays makes doubts of overlays that no mount table has, one for each
// process that does not let go of it.
func (p *processes) judgeOverlays(ctx context.Context) {
	left := p.overlay
	for try := 0; ; try++ {
		left = slices.DeleteFunc(left, func(s sighting) bool {
			info, err := process.Describe(s.link)
			return err != nil || p.devices.sites[info.Stamp.Device] != unknownOverlay
		})
		if len(left) == 0 || try == sealTries || ctx.Err() != nil {
			break
		}
		time.Sleep(sealPause)
	}
	seen := map[int]bool{}
	for _, s := range left {
		if seen[s.pid] {
			continue
		}
		seen[s.pid] = true
		p.g.Doubt(scan.Doubt{
			Source: scan.SourceProcesses, Where: s.link,
			Err:   fmt.Sprintf("%s uses an overlay that is mounted nowhere any more: its layers cannot be told", s),
			Hint:  fmt.Sprintf("end process %d", s.pid),
			Scope: scan.Scope{Types: []scan.Type{scan.TypeLayer, scan.TypeImageLayer, scan.TypeRWLayer}},
		})
	}
}
