package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// Mounts reads the mount tables of every namespace: of processes, of threads,
// in which the daemon unpacks layers, and those that only a mount of them
// keeps. Whatever a mount names is held (rule 5).
var Mounts = &scan.Source{
	ID:      scan.SourceMounts,
	Doc:     "/proc/*/task/*/mountinfo: the mount tables of every namespace",
	Collect: collectMounts,
}

func collectMounts(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
	places, err := mount.PlacesOf(in.Proc, in.DataRoot)
	if err != nil {
		return "", err
	}
	h := newHolder(in, g)
	daemon := 0
	if owner := g.Host.Owner; owner != nil {
		daemon = owner.PID
	}
	survey, err := mount.Read(ctx, in.Proc, daemon, func(v *mount.View, m *mountinfo.Info) { h.mount(places, v, m) })
	if err != nil {
		return "", err
	}
	if err := h.aufs(in.Machine); err != nil {
		return "", err
	}
	note := fmt.Sprintf("%d namespaces, %d mounts", len(survey.Namespaces), survey.Mounts)
	if survey.Unnamed > 0 {
		note += fmt.Sprintf(", %d tables of namespaces that have no name", survey.Unnamed)
	}
	return note, errors.Join(unreadViews(g, survey), unseenNamespaces(g, scan.SourceMounts, survey.Unseen()))
}

// mount holds what a mount names or shows.
func (h *holder) mount(places mount.Places, v *mount.View, m *mountinfo.Info) {
	what := func() (string, string) {
		by := fmt.Sprintf("by %s (pid %d)", v.Name, v.PID)
		if v.Pin != "" {
			by = "in the namespace " + keeper(v.Pin, v)
		}
		return fmt.Sprintf("mounted at %s %s", scan.Printable(m.Mountpoint), by), v.File
	}
	h.found = false
	for _, field := range []string{m.Root, m.Mountpoint, m.Source, m.VFSOptions} {
		h.named(field, what)
	}
	h.below(m.Mountpoint, what)
	if name, ok := places.Below(m); ok {
		h.index.At(name, func(n scan.Node) { h.hold(n, what) })
	}
	if h.offline && h.found {
		words, _ := what()
		h.g.Use(words)
	}
}

// aufs holds the layers that aufs is mounted of. Its line in a mount table has
// but a number (si=…); they are in a file each below it in /sys, as
// "<path>=<permissions>". Where there is no such directory, no aufs is mounted
// or its line has them all.
func (h *holder) aufs(machine string) error {
	if machine == "" {
		return nil // the data root is of another machine
	}
	branches, err := filepath.Glob(filepath.Join(machine, "sys/fs/aufs/si_*/br*"))
	if err != nil {
		return err
	}
	for _, file := range branches {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // unmounted meanwhile
		}
		if err != nil {
			return err
		}
		h.named(strings.TrimSpace(string(data)), func() (string, string) { return "a branch of a mounted aufs", file })
	}
	return nil
}

// keeper says what keeps a namespace that no process lives in.
func keeper(pin string, v *mount.View) string {
	if pin == v.File {
		return fmt.Sprintf("kept by a descriptor of %s (pid %d)", v.Name, v.PID)
	}
	return "pinned at " + scan.Printable(pin)
}

// maxDoubts is how many doubts of a kind are written out: each covers
// everything, and a person needs to see a few.
const maxDoubts = 8

// unreadViews makes doubts of mount tables that could not be read.
func unreadViews(g *scan.Graph, survey *mount.Survey) error {
	for i, p := range survey.Problems {
		if i == maxDoubts {
			break
		}
		g.Doubt(scan.Doubt{
			Source: scan.SourceMounts, Where: p.View.File,
			Err:  fmt.Sprintf("what %s (pid %d) has mounted cannot be read: %v", p.View.Name, p.View.PID, cause(p.Err)),
			Hint: fmt.Sprintf("run as root on the machine itself, or end process %d", p.View.PID),
		})
	}
	if n := len(survey.Problems); n > 0 {
		return fmt.Errorf("%d mount tables could not be read", n)
	}
	return nil
}

// unseenNamespaces makes doubts of namespaces that no process lives in and
// that could not be entered.
func unseenNamespaces(g *scan.Graph, source scan.SourceID, pins []mount.Pin) error {
	for i, p := range pins {
		if i == maxDoubts {
			break
		}
		hint := "umount " + scan.Printable(p.Path)
		if p.Path == p.View.File {
			hint = fmt.Sprintf("end process %d", p.View.PID)
		}
		why := ""
		if p.Err != nil {
			why = fmt.Sprintf(": %v", p.Err)
		}
		if errors.Is(p.Err, fs.ErrPermission) {
			hint = "run as root on the machine itself, or " + hint
		}
		g.Doubt(scan.Doubt{
			Source: source, Where: p.View.File,
			Err:  fmt.Sprintf("a mount namespace without a process is %s: its mounts cannot be seen%s", keeper(p.Path, &p.View), why),
			Hint: hint,
		})
	}
	if len(pins) > 0 {
		return fmt.Errorf("%d mount namespaces without a process could not be read", len(pins))
	}
	return nil
}

// A holder marks what a text names as held, each node once.
type holder struct {
	g     *scan.Graph
	index *mount.Index
	roots []string // absolute paths of the data root
	held  map[scan.Node]bool

	offline bool // there is no daemon that could be using what is held
	found   bool // something was held that was not before, and is no volume: those are mounted by others, too
}

func newHolder(in *scan.Input, g *scan.Graph) *holder {
	h := &holder{
		g: g, index: mount.NewIndex(g.NodeList()),
		roots: append([]string{in.DataRoot}, in.Aliases...), held: map[scan.Node]bool{},
		offline: in.Daemon == nil && in.Host.Owner == nil,
	}
	for _, d := range in.Dormant {
		for _, id := range d.IDs {
			h.index.Add(id, d.Node)
		}
		for _, p := range d.Paths {
			if strings.Contains(p, "/") { // a single name stands in other paths too; the node has it
				h.index.Add(p, d.Node)
			}
		}
	}
	return h
}

// hold marks a node. what says what holds it and where that was read; the
// first to say so counts.
func (h *holder) hold(n scan.Node, what func() (what, where string)) {
	if !h.held[n] {
		h.held[n] = true
		// A directory that somebody made among the layers has a name that
		// stands elsewhere, too.
		byHand := n.Kind == scan.KindLayer && !scan.IsLayerID(path.Base(n.Name))
		h.found = h.found || n.Kind != scan.KindVolume && !byHand
		words, where := what()
		h.g.Hold(n, words, where)
	}
}

// named holds every node that a text names by its id.
func (h *holder) named(text string, what func() (string, string)) {
	h.index.Named(text, func(n scan.Node) { h.hold(n, what) })
}

// below holds every node that an absolute path leads to or through.
func (h *holder) below(path string, what func() (string, string)) {
	if name, ok := h.name(path); ok {
		h.index.At(name, func(n scan.Node) { h.hold(n, what) })
	}
}

// name is an absolute path's name below the data root.
func (h *holder) name(path string) (name string, ok bool) {
	for _, root := range h.roots {
		if name, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/"); ok {
			return name, true
		}
	}
	return "", false
}

// cause is an error without the path that stands beside it anyway.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
