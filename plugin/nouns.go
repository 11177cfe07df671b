package plugin

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// A noun is what a type is called where it is counted, and in a heading.
type noun struct{ one, many, heading string }

// nouns are those of the types whose own name is not a word for a person.
var nouns = map[scan.Type]noun{
	scan.TypeLayer:      {"layer", "layers", "Layers"},
	scan.TypeImageLayer: {"image-layer", "image-layers", "Image Layers"},
	scan.TypeRWLayer:    {"rw-layer", "rw-layers", "RW Layers"},
	scan.TypeContainer:  {"container directory", "container directories", "Container Directories"},
	scan.TypeVolume:     {"volume", "volumes", "Volumes"},
	scan.TypeBuilder:    {"builder's volume", "builders' volumes", "Builders' Volumes"},
	scan.TypeDownload:   {"download", "downloads", "Downloads"},
	scan.TypeLink:       {"link", "links", "Links"},
	scan.TypeBuild:      {"build cache", "build caches", "Build Caches"},
	scan.TypeBackend:    {"backend", "backends", "Backends"},
	scan.TypeRoot:       {"data root", "data roots", "Data Roots"},
	scan.TypeMetadata:   {"record", "records", "Records"},
}

func nounOf(t scan.Type) noun {
	if n, ok := nouns[t]; ok {
		return n
	}
	return noun{string(t), string(t) + "s", string(t) + "s"}
}

// A sum counts things of one type and their bytes.
type sum struct {
	count int
	bytes int64
}

func (s *sum) add(bytes int64) {
	s.count++
	s.bytes += bytes
}

// of is "2 rw-layers, 53kB".
func (s *sum) of(n noun) string {
	return fmt.Sprintf("%s, %s", n.count(s.count), units.HumanSize(float64(s.bytes)))
}

// count is "2 rw-layers".
func (n noun) count(number int) string {
	if number == 1 {
		return "1 " + n.one
	}
	return fmt.Sprintf("%d %s", number, n.many)
}

// anything is what things of several types are called.
var anything = noun{"thing", "things", "Things"}

// things is "3 things, 53kB".
func (s *sum) things() string { return s.of(anything) }

// A breakdown is a sum for each type.
type breakdown map[scan.Type]*sum

func (b breakdown) add(t scan.Type, bytes int64) {
	if b[t] == nil {
		b[t] = &sum{}
	}
	b[t].add(bytes)
}

// lines lists the sums in the contract's order.
func (b breakdown) lines() []string {
	var lines []string
	for i := range scan.Contracts {
		if s := b[scan.Contracts[i].Type]; s != nil {
			lines = append(lines, s.of(nounOf(scan.Contracts[i].Type)))
		}
	}
	return lines
}

// all adds them up.
func (b breakdown) all() sum {
	var all sum
	for _, s := range b {
		all.count += s.count
		all.bytes += s.bytes
	}
	return all
}

// sumHeld adds up what lies in quarantine, by type.
func sumHeld(held []prune.Held) breakdown {
	b := breakdown{}
	for _, h := range held {
		b.add(h.Step.Type, prune.Bytes(h.Step))
	}
	return b
}

// stamp is a moment for a person.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// indented is what an error says, two columns in.
func indented(err error) string {
	return "  " + strings.Join(errorLines(err), "\n  ")
}
