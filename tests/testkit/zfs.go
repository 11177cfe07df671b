package testkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/tool"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// A DatasetState is what a dataset of [Pools] is beside what a list tells.
type DatasetState struct {
	Mounted    bool
	Mountpoint string // "" is legacy
	Holds      int
	Stays      bool // of a snapshot: Docker was killed before it marked it to go with its clones
}

// Of is the state of a dataset, to change it.
func (p *Pools) Of(name string) *DatasetState {
	if p.states == nil {
		p.states = map[string]*DatasetState{}
	}
	if p.states[name] == nil {
		p.states[name] = &DatasetState{}
	}
	return p.states[name]
}

// Dataset returns a dataset by its name; nil if there is none.
func (p *Pools) Dataset(name string) *zfs.Dataset {
	at := slices.IndexFunc(p.Datasets, func(d zfs.Dataset) bool { return d.Name == name })
	if at < 0 {
		return nil
	}
	return &p.Datasets[at]
}

// Run implements [zfs.Runner]: it does what zfs 2.1 does on the command lines
// that it is given, and fails as that does, in its words.
func (p *Pools) Run(_ context.Context, args ...string) ([]byte, error) {
	var out, said string
	switch line := strings.Join(args, " "); {
	case p.Err != nil:
		return nil, p.Err
	case strings.HasPrefix(line, "list -H -p -r -d 1 -t all -o guid,creation,origin,mounted,mountpoint,clones,userrefs,defer_destroy,name -- "):
		out, said = p.list(args[len(args)-1])
	case len(args) == 4 && strings.HasPrefix(line, "rename -- "):
		said = p.rename(args[2], args[3])
	case len(args) == 3 && strings.HasPrefix(line, "destroy -- "):
		said = p.destroy(args[2])
	case len(args) == 4 && strings.HasPrefix(line, "destroy -d -- "):
		said = p.destroyLater(args[3])
	default:
		said = "unrecognized command line: " + line
	}
	if said != "" {
		return nil, &tool.Error{Command: "zfs " + strings.Join(args, " "), Said: strings.Join(strings.Fields(said), " "), Err: errors.New("exit status 1")}
	}
	return []byte(out), nil
}

// clones are the datasets that began as a snapshot.
func (p *Pools) clones(snapshot string) []string {
	var names []string
	for i := range p.Datasets {
		if p.Datasets[i].Origin == snapshot {
			names = append(names, p.Datasets[i].Name)
		}
	}
	return names
}

// in are the names of all that is in a dataset: those below, and snapshots.
func (p *Pools) in(name string) []string {
	var names []string
	for i := range p.Datasets {
		if rest, ok := strings.CutPrefix(p.Datasets[i].Name, name); ok && rest != "" && strings.ContainsAny(rest[:1], "/@#") {
			names = append(names, p.Datasets[i].Name)
		}
	}
	return names
}

func (p *Pools) list(name string) (out, said string) {
	if p.Dataset(name) == nil {
		return "", fmt.Sprintf("cannot open '%s': dataset does not exist", name)
	}
	for _, n := range append([]string{name}, p.in(name)...) {
		if strings.ContainsAny(strings.TrimPrefix(n[len(name):], "/"), "/") || n != name && strings.Count(n[len(name):], "@")+strings.Count(n[len(name):], "/") > 1 {
			continue // deeper
		}
		d, s := p.Dataset(n), p.Of(n)
		columns := []string{fmt.Sprint(d.GUID), fmt.Sprint(d.Created.Unix()), "-", "no", "legacy", "-", "-", "-", n}
		if d.Origin != "" {
			columns[2] = d.Origin
		}
		if s.Mounted {
			columns[3] = "yes"
		}
		if s.Mountpoint != "" {
			columns[4] = s.Mountpoint
		}
		if strings.Contains(n, "@") {
			clones := p.clones(n)
			columns[3], columns[4], columns[5], columns[6], columns[7] = "-", "-", strings.Join(clones, ","), fmt.Sprint(s.Holds), "off"
			if len(clones) > 0 && !s.Stays {
				columns[7] = "on"
			}
		}
		out += strings.Join(columns, "\t") + "\n"
	}
	return out, ""
}

func (p *Pools) rename(from, to string) string {
	switch {
	case p.Dataset(from) == nil:
		return fmt.Sprintf("cannot open '%s': dataset does not exist", from)
	case p.Dataset(to) != nil:
		return fmt.Sprintf("cannot rename to '%s': dataset already exists", to)
	case len(to) > 255 || strings.Trim(to, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.: /") != "":
		return fmt.Sprintf("cannot create '%s': invalid name", to)
	}
	names := append([]string{from}, p.in(from)...)
	for i := range p.Datasets {
		for _, name := range []*string{&p.Datasets[i].Name, &p.Datasets[i].Origin} {
			if slices.Contains(names, *name) {
				*name = to + strings.TrimPrefix(*name, from)
			}
		}
	}
	for _, name := range names {
		p.states[to+strings.TrimPrefix(name, from)] = p.Of(name)
		delete(p.states, name)
	}
	return ""
}

func (p *Pools) destroy(name string) string {
	d := p.Dataset(name)
	switch clones := p.clones(name); {
	case d == nil && strings.Contains(name, "@"):
		return "could not find any snapshots to destroy; check snapshot names."
	case d == nil:
		return fmt.Sprintf("cannot open '%s': dataset does not exist", name)
	case len(clones) > 0:
		return fmt.Sprintf("cannot destroy '%s': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n%s", name, strings.Join(clones, "\n"))
	case p.Of(name).Holds > 0:
		return fmt.Sprintf("cannot destroy snapshot %s: dataset is busy", name)
	case len(p.in(name)) > 0:
		return fmt.Sprintf("cannot destroy '%s': filesystem has children\nuse '-r' to destroy the following datasets:\n%s", name, strings.Join(p.in(name), "\n"))
	case p.Of(name).Mounted:
		return fmt.Sprintf("cannot destroy '%s': dataset is busy", name)
	}
	origin := d.Origin
	p.Datasets = slices.DeleteFunc(slices.Clone(p.Datasets), func(d zfs.Dataset) bool { return d.Name == name })
	if origin != "" && len(p.clones(origin)) == 0 && !p.Of(origin).Stays && p.Of(origin).Holds == 0 {
		p.Datasets = slices.DeleteFunc(p.Datasets, func(d zfs.Dataset) bool { return d.Name == origin })
	}
	return ""
}

func (p *Pools) destroyLater(snapshot string) string {
	if p.Dataset(snapshot) != nil && len(p.clones(snapshot)) > 0 {
		p.Of(snapshot).Stays = false
		return ""
	}
	return p.destroy(snapshot)
}
