package source

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/dockerd"
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

// A suspect is a process that may be a daemon of this data root.
type suspect struct {
	sighting
	why string
}

// started takes note of a daemon that was told to use this data root: it may
// have opened nothing yet. Before 24.0 it has its layers long before it locks
// anything.
func (p *processes) started(pid int, name string) {
	dir := p.in.Proc + "/" + strconv.Itoa(pid)
	line, err := os.ReadFile(dir + "/cmdline")
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if err != nil || !dockerd.Is(args) {
		return // ended, or the client
	}
	why := "was started on this data root"
	uses, err := p.toldOf(dir, args)
	if err != nil {
		why = "may have been started on this data root (" + err.Error() + ")"
	}
	if uses || err != nil && !process.Gone(err) {
		p.daemons = append(p.daemons, suspect{sighting{pid: pid, name: name, link: dir + "/cmdline"}, why})
	}
}

// toldOf reports whether a daemon with this command line uses the data root,
// or the one above if it has user namespaces. The directory of a process leads
// to what it calls by its paths.
func (p *processes) toldOf(dir string, args []string) (bool, error) {
	theirs := func(name string) string {
		if path.IsAbs(name) {
			return dir + "/root" + name
		}
		return dir + "/cwd/" + name
	}
	settings, err := dockerd.Read(args, func(name string) ([]byte, error) { return os.ReadFile(theirs(name)) })
	if err != nil {
		return false, err
	}
	key, err := process.Lookup(theirs(settings.DataRoot), ".")
	if process.Gone(err) {
		return false, nil // it has no such directory yet
	}
	if err != nil {
		return false, err
	}
	roots := []string{p.in.DataRoot}
	if above, base := path.Split(p.in.DataRoot); dockerd.IsRemapped(base) {
		roots = append(roots, above)
	}
	for _, root := range roots {
		if ours, err := process.Lookup(root, "."); err != nil || ours == key {
			return err == nil, err
		}
	}
	return false, nil
}

// uses takes note of a process that writes below a data root without a daemon,
// or runs from there. Who only reads is held off from what it reads; volumes
// have users of their own.
func (p *processes) uses(name string, f *process.File, s sighting) {
	if !p.offline || p.users[s.pid] || strings.HasPrefix(name, volumesDir+"/") {
		return
	}
	what, _ := s.what()
	switch f.Use {
	case process.WorkingDir:
		return
	case process.Open:
		if !writes(f.Link) {
			return
		}
		what = "open to write in " + s.String()
	}
	p.users[s.pid] = true
	p.g.Use(scan.Printable(name) + " is " + what)
}

// judgeDaemons makes doubts of processes other than the owner that were
// started on this data root, or write the daemon's databases: a second daemon,
// whose records we do not see because somebody removed or replaced the files
// that the first has locked (rule 12). Nobody else writes them.
func (p *processes) judgeDaemons() error {
	var daemons []suspect
	for _, s := range p.daemons {
		status, err := process.StatusOf(p.in.Proc, s.pid)
		if process.Gone(err) || strings.Contains(s.link, "/fd/") && !writes(s.link) {
			continue
		}
		if owner := p.g.Host.Owner; owner != nil && (s.pid == owner.PID || err == nil && status.Parent == owner.PID) {
			continue // itself, or its child before it becomes another program
		}
		if !slices.ContainsFunc(daemons, func(d suspect) bool { return d.pid == s.pid }) {
			daemons = append(daemons, s)
		}
	}
	for i, d := range daemons {
		if p.offline {
			p.g.Use(d.String() + " " + d.why)
		}
		if i >= maxDoubts {
			continue
		}
		p.g.Doubt(scan.Doubt{
			Source: scan.SourceProcesses, Where: d.link,
			Err:  fmt.Sprintf("%s %s, and does not hold its lock: a second daemon may use the data root", d, d.why),
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
