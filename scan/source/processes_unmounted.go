package source

import (
	"context"
	"fmt"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// What processes keep from outside of every mount table: namespaces behind a
// descriptor, and overlays that were taken from their place while something had
// them open.

// unseen reads the mounts of namespaces behind a descriptor, and returns those
// that could not be entered. A process that started meanwhile explains most of
// these, and of the overlays.
func (p *processes) unseen(ctx context.Context) ([]mount.Pin, error) {
	survey := mount.Survey{Namespaces: p.devices.namespaces, Pins: p.pins}
	if len(p.overlay) == 0 && len(survey.Unseen()) == 0 {
		return nil, nil
	}
	if err := p.devices.survey(ctx, p.in.Proc); err != nil {
		return nil, err
	}
	survey.Namespaces = p.devices.namespaces
	err := survey.ReadPinned(ctx, p.in.Proc, func(v *mount.View, m *mountinfo.Info) {
		p.mount(p.devices.places, v, m)
		if device := mount.Device(m); p.devices.sites[device] != inData {
			p.devices.sites[device] = elsewhere
		}
	})
	return survey.Unseen(), err
}

// judgeOverlays makes doubts of overlays that no mount table has, one for each
// process.
func (p *processes) judgeOverlays() {
	seen := map[int]bool{}
	for _, s := range p.overlay {
		info, err := process.Describe(s.link)
		if err != nil || seen[s.pid] || p.devices.sites[info.Stamp.Device] != unknownOverlay {
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
