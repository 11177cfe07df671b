package source

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// daemonFiles are the databases that a daemon has open, to write, as long as it
// runs: the same that tell its owner by their locks (1.11 on), and the names of
// containers, which no lock protects (before 1.10).
var daemonFiles = []string{
	"linkgraph.db",
	volumeRows, buildSnapshots, buildLeases, buildRecords, buildRecordsV1, buildDir + "/cache.db", "network/files/local-kv.db", swarmTasks,
}

// daemonFile reports a file of a process that only a daemon of this data root
// has: one of the databases, or one that was, by its last path.
func (p *processes) daemonFile(f *process.File) bool {
	if f.Use != process.Open {
		return false
	}
	if name, ok := p.name(f.Named()); ok {
		return slices.Contains(daemonFiles, name)
	}
	// In another view the data root may have another path, and what is removed
	// has no other name.
	return f.Links == 0 && p.devices.of(f) == inData && !p.sharesView(f.Root) &&
		slices.ContainsFunc(daemonFiles, func(name string) bool { return strings.HasSuffix(f.Named(), "/"+name) })
}

// sharesView reports whether a process's paths lead where ours do, given its
// root's link.
func (p *processes) sharesView(root string) bool {
	theirs, err := os.Readlink(strings.TrimSuffix(root, "root") + "ns/mnt")
	ours, ourErr := os.Readlink(p.in.Proc + "/self/ns/mnt")
	top, topErr := os.Readlink(root)
	return errors.Join(err, ourErr, topErr) == nil && theirs == ours && top == "/"
}

// judgeDaemons makes doubts of processes other than the owner that write the
// daemon's databases: a second daemon on the data root, whose records we do not
// see because somebody removed or replaced the files that the first has locked
// (rule 12). Nobody else writes them.
func (p *processes) judgeDaemons() error {
	var daemons []sighting
	for _, s := range p.daemons {
		status, err := process.StatusOf(p.in.Proc, s.pid)
		if process.Gone(err) || !writes(s.link) {
			continue
		}
		if owner := p.g.Host.Owner; owner != nil && (s.pid == owner.PID || err == nil && status.Parent == owner.PID) {
			continue // itself, or its child before it becomes another program
		}
		if !slices.ContainsFunc(daemons, func(d sighting) bool { return d.pid == s.pid }) {
			daemons = append(daemons, s)
		}
	}
	for i, d := range daemons {
		if i == maxDoubts {
			break
		}
		p.g.Doubt(scan.Doubt{
			Source: scan.SourceProcesses, Where: d.link,
			Err:  fmt.Sprintf("%s has a database of this data root open to write, and does not hold its lock: a second daemon may use the data root", d),
			Hint: fmt.Sprintf("stop it: process %d", d.pid),
		})
	}
	if len(daemons) > 0 {
		return fmt.Errorf("%d processes may be daemons of this data root", len(daemons))
	}
	return nil
}

// writes reports whether a descriptor is still there and open to write, as far
// as is known: who makes a copy only reads.
func writes(link string) bool {
	dir, number, _ := strings.Cut(link, "/fd/")
	text, err := os.ReadFile(dir + "/fdinfo/" + number)
	if process.Gone(err) {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(flags), 8, 64)
			const accessMode = 3 // O_ACCMODE of Linux; reading alone is 0
			return err != nil || bits&accessMode != 0
		}
	}
	return true
}
