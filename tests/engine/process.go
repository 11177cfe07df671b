//go:build linux

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A process is one line of the process table.
type process struct {
	pid, parent int
	args        []string
}

// processes lists what runs. Kernel threads and the dead, which have no
// arguments, are left out.
func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		args, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(args) == 0 {
			continue // ended meanwhile
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state parent …": the name may contain anything.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		all = append(all, process{pid, parent, strings.Split(string(args), "\x00")})
	}
	return all, nil
}

// isOurs reports whether the process is a daemon, a containerd or a shim that
// was told to work below dir. A docker command or a shell that only names the
// directory is not.
func (p process) isOurs(dir string) bool {
	program := filepath.Base(p.args[0])
	if !strings.HasPrefix(program, "dockerd") && !strings.HasPrefix(program, "containerd") {
		return false
	}
	return slices.ContainsFunc(p.args[1:], func(a string) bool { return strings.HasPrefix(a, dir+"/") })
}

// ours lists the processes that work below dir and all that they started:
// extractors, containers.
func ours(dir string) ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !found[p.pid] && (found[p.parent] || p.isOurs(dir)) {
				found[p.pid], grew = true, true
			}
		}
	}
	return slices.DeleteFunc(all, func(p process) bool { return !found[p.pid] }), nil
}

// killOurs ends everything that works below dir, and the process first before
// the others, and returns when it is gone. Zero first means no order.
func killOurs(dir string, first int) error {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		list, err := ours(dir) // before the first goes: its children would lose their parent
		if err != nil || len(list) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%v: still there after SIGKILL", list)
		}
		slices.SortStableFunc(list, func(a, b process) int {
			switch first {
			case a.pid:
				return -1
			case b.pid:
				return 1
			}
			return 0
		})
		for _, p := range list {
			if err := unix.Kill(p.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill %d (%s): %w", p.pid, p.args[0], err)
			}
		}
	}
}
