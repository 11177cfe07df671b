package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// shim holds the containers that a shim's command line names, and their mount
// records. A container runs as long as its shim does, whatever becomes of the
// daemon (live-restore).
func (p *processes) shim(pid int, name string) {
	where := p.in.Proc + "/" + strconv.Itoa(pid) + "/cmdline"
	line, err := os.ReadFile(where)
	if err != nil {
		return // ended: anybody may read a command line
	}
	what := fmt.Sprintf("run by %s (pid %d)", name, pid)
	p.index.Named(string(line), func(n scan.Node) {
		if n.Kind == scan.KindContainer || n.Kind == scan.KindMount {
			p.hold(n, func() (string, string) { return what, where })
			if p.offline {
				p.g.Use(fmt.Sprintf("container %s is %s", scan.Short(n.Name), what))
			}
		}
	})
}

// kernel holds what the kernel itself has open.
func (p *processes) kernel() error {
	return errors.Join(p.swaps(), p.loops())
}

// swaps holds what the kernel swaps to: a file's path is the first word of a
// line, with its spaces escaped.
func (p *processes) swaps() error {
	where := p.in.Proc + "/swaps"
	table, err := os.ReadFile(where)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel that cannot swap
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 0 && strings.HasPrefix(fields[0], "/") {
			p.kernelFile(mount.Unescape(fields[0]), "swap space", where)
		}
	}
	return nil
}

// loops holds the files behind loop devices. The system's own directory tells
// them, so they are read with the system's own process table only.
func (p *processes) loops() error {
	if p.in.Proc != "/proc" {
		return nil
	}
	if _, err := os.Stat("/sys/block"); err != nil {
		return err
	}
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	for _, where := range files {
		path, err := os.ReadFile(where)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV) {
			continue // let go of since
		}
		if err != nil {
			return err
		}
		device := filepath.Base(filepath.Dir(filepath.Dir(where)))
		p.kernelFile(strings.TrimSuffix(string(path), "\n"), "open as "+device, where)
	}
	return nil
}

func (p *processes) kernelFile(path, words, where string) {
	what := func() (string, string) { return words, where }
	p.named(path, what)
	p.below(path, what)
}
