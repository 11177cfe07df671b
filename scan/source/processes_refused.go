package source

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// A refusal is a process some of whose files could not be read.
type refusal struct {
	pid  int
	name string
	err  error
}

// judgeRefusals makes doubts of the processes that could not be read, except
// where they can be shown to have nothing of the data root. The note says who
// was excepted.
func (p *processes) judgeRefusals() (note string, err error) {
	var refused []refusal
	for _, r := range p.refused {
		status, err := process.StatusOf(p.in.Proc, r.pid)
		if process.Gone(err) || err == nil && status.Kernel() {
			continue // a thread of the kernel has no descriptors
		}
		refused = append(refused, r)
	}
	if len(refused) == 1 && p.closedInit(refused[0].pid) {
		return fmt.Sprintf("; %s (pid 1) is closed to everybody", refused[0].name), nil
	}
	count := 0
	for _, r := range refused {
		if !p.reaches(r.pid) {
			continue
		}
		if count++; count > maxDoubts {
			continue
		}
		p.g.Doubt(scan.Doubt{
			Source: scan.SourceProcesses, Where: fmt.Sprintf("%s/%d/fd", p.in.Proc, r.pid),
			Err:  fmt.Sprintf("open files of %s (pid %d) cannot be read: %v", r.name, r.pid, cause(r.err)),
			Hint: fmt.Sprintf("run as root with the right to trace other processes (CAP_SYS_PTRACE), or end process %d", r.pid),
		})
	}
	if count > 0 {
		return "", fmt.Errorf("open files of %d processes could not be read", count)
	}
	return "", nil
}

// closedInit reports whether the one process that could not be read is an
// init that the machine closes to everybody, as some virtual machines do.
// A doubt about it would be a doubt about everything, for ever and without a
// remedy. What speaks for it, all read from tables that are open to anybody:
//
//   - every other process could be read, so the rights suffice, and it is this
//     process that is closed;
//   - it is the first of its namespace and nobody's child: no daemon started
//     it, so nothing it does is part of a daemon's work in flight;
//   - it holds no lock on a file system of the data root, as a daemon that is
//     itself process 1 of a container does.
//
// Its mounts are known in any case, for mount tables are open to anybody. What
// is left: an init that of its own accord has a file in an orphan open. It
// keeps that file even if the orphan goes (the inode lives on), and what may be
// a container's goes to quarantine, where it stays whole.
func (p *processes) closedInit(pid int) bool {
	status, err := process.StatusOf(p.in.Proc, pid)
	if err != nil || pid != 1 || status.Parent != 0 {
		return false
	}
	if owner := p.g.Host.Owner; owner != nil && owner.PID == pid {
		return false
	}
	locked, err := process.Locked(p.in.Proc, pid)
	return err == nil && !slices.ContainsFunc(locked, func(key scan.FileKey) bool {
		return p.devices.supers[key.Device] || p.devices.sites[key.Device] == inData
	})
}

// reaches reports whether a process's mounts show any part of the data root.
// Where they do not it could have a file of it open only by another's hand.
func (p *processes) reaches(pid int) bool {
	table, err := mount.Table(fmt.Sprintf("%s/%d/mountinfo", p.in.Proc, pid))
	if process.Gone(err) || errors.Is(err, syscall.EINVAL) {
		return false // ended
	}
	return err != nil || len(p.devices.places) == 0 || slices.ContainsFunc(table, p.devices.places.Shows)
}
