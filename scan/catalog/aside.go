package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// An Aside is a data root to be read as if what earlier runs have put aside
// were in its place still.
type Aside struct {
	scan.Tree
	places map[string]string // name in the data root → where it is now
}

// PutBack returns a data root with what is in quarantine in its place, unless
// something else is there now. If the error says that it cannot be told what is
// in quarantine, it is the data root without that.
func PutBack(tree scan.Tree) (*Aside, error) {
	a := &Aside{tree, map[string]string{}}
	runs, err := journal.Read(tree)
	if err != nil {
		return a, fmt.Errorf("what is in quarantine cannot be told: %w", err)
	}
	for _, run := range runs {
		if run.Plan == nil {
			continue
		}
		for i := range run.Plan.Steps {
			s := &run.Plan.Steps[i]
			for m := range s.Moves {
				a.put(s.Moves[m].From, s.Place(run.ID, m))
			}
		}
	}
	return a, nil
}

// put notes where something is, if it is there and nothing is in its place.
func (a *Aside) put(name, place string) {
	_, gone := a.Tree.Stat(name)
	if _, err := a.Tree.Stat(place); err == nil && errors.Is(gone, fs.ErrNotExist) {
		a.places[name] = place
	}
}

// Place is where a name's file is.
func (a *Aside) Place(name string) string {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		if place, ok := a.places[dir]; ok {
			return path.Join(place, strings.TrimPrefix(name, dir))
		}
	}
	return name
}

// ReadDir implements [scan.Tree].
func (a *Aside) ReadDir(name string) ([]scan.Entry, error) {
	entries, err := a.Tree.ReadDir(a.Place(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for from, place := range a.places {
		if path.Dir(from) != name {
			continue
		}
		info, errStat := a.Tree.Stat(place)
		if errStat != nil {
			return nil, errStat
		}
		entries, err = append(entries, scan.Entry{Name: path.Base(from), Type: info.Mode.Type()}), nil
	}
	slices.SortFunc(entries, func(a, b scan.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, err
}

// ReadFile implements [scan.Tree].
func (a *Aside) ReadFile(name string, limit int64) ([]byte, error) {
	return a.Tree.ReadFile(a.Place(name), limit)
}

// ReadLink implements [scan.Tree].
func (a *Aside) ReadLink(name string) (string, error) { return a.Tree.ReadLink(a.Place(name)) }

// Stat implements [scan.Tree].
func (a *Aside) Stat(name string) (scan.Info, error) { return a.Tree.Stat(a.Place(name)) }

// Open implements [scan.Tree].
func (a *Aside) Open(name string) (scan.ReaderAt, error) { return a.Tree.Open(a.Place(name)) }
