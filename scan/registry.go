package scan

import (
	"context"
	"fmt"
	"time"
)

// A Backend is what holds layers. It says what there is; it does not judge
// and carries no code that deletes.
type Backend struct {
	Name string // as `docker info` has it
	Doc  string // one line: what its layers are made of
	Dir  string // where its layers are, below the data root
	// Medium is what its layers are; "" is Directory.
	Medium Medium
	// Enumerate adds every layer, every physical edge between layers and
	// every name it does not recognise. An error means that the list is not
	// complete; what could be read is in the graph all the same.
	Enumerate func(ctx context.Context, in *Input, g *Graph) error
	// Layer returns the node of a layer's id.
	Layer func(id string) Node
	// Verify compares what the layers say with what was read of records, when
	// all sources have been. nil: there is nothing to compare.
	Verify func(ctx context.Context, in *Input, g *Graph)
	// Own reports names in Dir that are records of the driver itself, not
	// layers. nil: there are none of its own.
	Own func(name string) bool
	// Lookup asks once more what layers there are, and returns what tells of any
	// that Enumerate did not list: it was made since, or it is gone, which is an
	// error that satisfies errors.Is(err, fs.ErrNotExist). nil: a layer is the
	// directory of its name. It is not asked if Enumerate failed.
	Lookup func(ctx context.Context, in *Input) (func(n Node) (Object, error), error)
	// Created tells when a layer was made, for media whose files carry the
	// times of another: a subvolume of btrfs (its otime) and a dataset of zfs
	// (its creation) begin as copies of their origin, times and all. nil: a
	// layer is as old as its directory.
	Created func(ctx context.Context, in *Input, o *Object) (time.Time, error)
	// Sizes tells how many bytes each layer has that lies apart and that no
	// other has, by the name of its [Handle]. nil: that is not told.
	Sizes func(in *Input) (map[string]int64, error)
}

// source is the name under which the backend reports.
func (b *Backend) source() SourceID { return backendSource(b.Name) }

func backendSource(name string) SourceID { return SourceID("backend " + name) }

// A Source says what is in use.
type Source struct {
	ID  SourceID
	Doc string // one line: what it reads
	// Collect adds references, marks and the records it finds. An error
	// means that it was not read to the end; a Doubt in the graph says what
	// that keeps from being judged. The note says what was read.
	Collect func(ctx context.Context, in *Input, g *Graph) (note string, err error)
	// Late reads a record that something names and that Collect did not see: it
	// was made since, or is gone. It reports whether the record is one of this
	// source's. nil: it has none that say what they need.
	Late func(ctx context.Context, in *Input, g *Graph, n Node) (own bool, err error)
}

// Validate checks the lists of backends and sources: a mistake there would
// make things look unowned.
func Validate(backends []*Backend, sources []*Source) error {
	seen := map[string]bool{}
	for _, b := range backends {
		if b.Name == "" || b.Doc == "" || b.Dir == "" || b.Enumerate == nil || b.Layer == nil {
			return fmt.Errorf("backend %q: incomplete", b.Name)
		}
		if seen[b.Name] {
			return fmt.Errorf("backend %q: listed twice", b.Name)
		}
		seen[b.Name] = true
	}
	known := map[SourceID]bool{}
	for _, s := range sources {
		if s.ID == "" || s.Doc == "" || s.Collect == nil {
			return fmt.Errorf("source %q: incomplete", s.ID)
		}
		if known[s.ID] {
			return fmt.Errorf("source %q: listed twice", s.ID)
		}
		known[s.ID] = true
	}
	for _, c := range Contracts {
		for _, id := range c.Needs {
			if !known[id] {
				return fmt.Errorf("type %q needs source %q, which is not listed", c.Type, id)
			}
		}
	}
	return nil
}
