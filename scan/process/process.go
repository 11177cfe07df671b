// Package process reads the process table: which processes there are, what
// each has open, who holds a lock, who listens on a socket.
//
// The table is a directory, "/proc" on a running system. A process is a
// number in it, and the number is given again once the process has ended: who
// keeps one keeps its start time too and asks [Exists] before relying on it.
//
// Reading another process's descriptors needs the right to trace it. Where
// that is refused the package says so; it never takes "cannot see" for "has
// none".
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// List returns the numbers of all processes, sorted. Number 1 is there in
// every process table, so a table without it hides processes (hidepid), or is
// none.
func List(proc string) ([]int, error) {
	pids, err := numbers(proc)
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 || pids[0] != 1 {
		return nil, fmt.Errorf("%s: does not list process 1: it hides processes, or is no process table", proc)
	}
	return pids, nil
}

// Threads returns the numbers of a process's threads, sorted.
func Threads(proc string, pid int) ([]int, error) {
	return numbers(proc + "/" + strconv.Itoa(pid) + "/task")
}

func numbers(dir string) ([]int, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var list []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// Gone reports an error that means that the process or its thread has ended.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// Name returns what a process calls itself (comm: at most 15 bytes, and any
// bytes at all) in a form that can be shown, or "?".
func Name(proc string, pid int) string {
	data, err := os.ReadFile(proc + "/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "?" // ended, or about to
	}
	return scan.Printable(strings.TrimSuffix(string(data), "\n"))
}

// Self returns the number of the calling process in the table, or 0 if the
// table does not list it: the table of another process namespace.
func Self(proc string) int {
	target, err := os.Readlink(proc + "/self")
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(target)
	if err != nil {
		return 0
	}
	return pid
}

// Status is what /proc/<pid>/stat says; anybody may read it.
type Status struct {
	PID    int
	Name   string // comm, as it is
	Parent int
	Flags  uint64
	Ticks  int64 // when it started, in ticks since the machine booted
}

// Kernel reports a thread of the kernel's own. It has no descriptors.
func (s *Status) Kernel() bool {
	const pfKthread = 0x00200000 // linux include/linux/sched.h, the same since 2.6.17
	return s.Flags&pfKthread != 0
}

// StatusOf reads a process's status.
func StatusOf(proc string, pid int) (Status, error) {
	data, err := os.ReadFile(proc + "/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Status{}, err
	}
	s, err := parseStatus(string(data))
	if err != nil {
		return Status{}, fmt.Errorf("%s/%d/stat: %w", proc, pid, err)
	}
	return s, nil
}

// parseStatus parses the one line of a stat file. The name in parentheses is
// the process's own choice and may hold parentheses and spaces: it ends at the
// line's last ")".
func parseStatus(line string) (Status, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return Status{}, errors.New("has no name in parentheses")
	}
	// proc(5) counts from 1: the state, which follows the name, is field 3.
	fields := strings.Fields(line[end+1:])
	const parent, flags, start = 4 - 3, 9 - 3, 22 - 3
	if len(fields) <= start {
		return Status{}, fmt.Errorf("has %d fields after the name", len(fields))
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(line[:open]))
	ppid, err2 := strconv.Atoi(fields[parent])
	bits, err3 := strconv.ParseUint(fields[flags], 10, 64)
	ticks, err4 := strconv.ParseInt(fields[start], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return Status{}, err
	}
	if pid < 0 || ppid < 0 || ticks < 0 {
		return Status{}, errors.New("has a negative number")
	}
	return Status{PID: pid, Name: line[open+1 : end], Parent: ppid, Flags: bits, Ticks: ticks}, nil
}

// Find returns a process with its start time. The time is early by up to a
// second, as the kernel tells its boot time in whole seconds: what was made
// before it was made before the process.
func Find(proc string, pid int) (*scan.Process, error) {
	status, err := StatusOf(proc, pid)
	if err != nil {
		return nil, err
	}
	boot, err := booted(proc)
	if err != nil {
		return nil, err
	}
	// The kernel tells times to programs in hundredths of a second on every
	// architecture that Docker runs on (USER_HZ, part of its ABI).
	const tick = time.Second / 100
	started := boot.Add(time.Duration(status.Ticks) * tick)
	return &scan.Process{PID: pid, Name: scan.Printable(status.Name), Started: started}, nil
}

// booted is the wall clock's time of the boot, which moves when that clock is
// set.
func booted(proc string) (time.Time, error) {
	data, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(data)) {
		text, ok := strings.CutPrefix(line, "btime ")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("%s/stat: btime: %w", proc, err)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%s/stat: has no btime", proc)
}

// Exists reports whether the process that [Find] or [Owner] found still runs.
// A process that cannot be read does not count as the same; neither does any
// once the wall clock was set by more than two seconds, as its start time
// moves along.
func Exists(proc string, was *scan.Process) bool {
	now, err := Find(proc, was.PID)
	return err == nil && Same(now, was)
}

// Same reports whether two readings are of one process: the kernel tells when
// it booted in whole seconds, so its start may differ a little between them.
func Same(a, b *scan.Process) bool {
	return a.PID == b.PID && a.Started.Sub(b.Started).Abs() <= 2*time.Second
}
