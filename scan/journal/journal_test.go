package journal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func step(id int, from string) Step {
	return Step{
		ID: id, Finding: "f", Type: scan.TypeLayer, Remover: Free,
		Objects: []*scan.Object{{Node: scan.Node{Kind: scan.KindLayer, Name: from}, Medium: scan.Directory}},
		Moves:   []Move{{From: from, Is: Identity{Inode: 7}}},
	}
}

func journalOf(t testing.TB, records ...Record) []byte {
	t.Helper()
	var out []byte
	for _, r := range records {
		r.Version = Version
		line, err := r.Line()
		assert.NilError(t, err)
		out = append(out, line...)
	}
	return out
}

func begun(steps ...Step) Record {
	return Record{Kind: Begun, Time: time.Unix(7, 0).UTC(), Plan: &Plan{Version: PlanVersion, Steps: steps}}
}

func TestParse(t *testing.T) {
	whole := journalOf(t, begun(step(1, "overlay2/a"), step(2, "overlay2/b")), Record{Kind: Looked, Steps: []int{1}},
		Record{Kind: Done, Results: []Outcome{{Step: 1, End: Freed}}}, Record{Kind: Restore, Steps: []int{2}}, Record{Kind: Purge, Steps: []int{2}})
	run, err := Parse("r", whole)
	assert.NilError(t, err)
	assert.Assert(t, run.Looked && run.Done && run.Taken(1) && !run.Taken(2) && run.Purged(2) && !run.Restored(2))

	// Cut off anywhere, it says no more than its whole lines do, and no less.
	for n := range whole {
		part, err := Parse("r", whole[:n])
		assert.NilError(t, err)
		assert.Equal(t, part.Plan != nil, bytes.Count(whole[:n], []byte("\n")) >= 1)
		assert.Equal(t, part.Done, bytes.Count(whole[:n], []byte("\n")) >= 3)
	}
}

// A journal that is not understood is an error: it may say what must not be
// touched. A path that leads out of the data root, or to the journals, is none.
func TestParseRefuses(t *testing.T) {
	good := string(journalOf(t, begun(step(1, "overlay2/a"))))
	for name, text := range map[string]string{
		"garbage":          "{\n",
		"no plan":          string(journalOf(t, Record{Kind: Looked})),
		"two plans":        good + good,
		"another version":  strings.Replace(good, `{"version":1`, `{"version":2`, 1),
		"another plan":     strings.Replace(good, `"plan":{"version":1`, `"plan":{"version":3`, 1),
		"unknown record":   good + `{"version":1,"record":"sing"}` + "\n",
		"step not in plan": good + `{"version":1,"record":"purge","steps":[2]}` + "\n",
		"name of a volume": good + `{"version":1,"record":"restore","steps":[1],"as":"../etc"}` + "\n",
		"step misnumbered": string(journalOf(t, begun(step(3, "overlay2/a")))),
		"out of the root":  string(journalOf(t, begun(step(1, "overlay2/../../etc")))),
		"absolute":         string(journalOf(t, begun(step(1, "/etc")))),
		"the root":         string(journalOf(t, begun(step(1, ".")))),
		"our own":          string(journalOf(t, begun(step(1, Dir+"/runs")))),
	} {
		_, err := Parse("r", []byte(text))
		assert.Assert(t, err != nil, name)
	}
}

// Whatever a journal holds, reading it does not fail otherwise than by an
// error, and no place leads out of the run.
func FuzzParse(f *testing.F) {
	f.Add(journalOf(f, begun(step(1, "overlay2/a")), Record{Kind: Looked, Steps: []int{1}}))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Parse("r", data)
		if err != nil || run.Plan == nil {
			return
		}
		for i := range run.Plan.Steps {
			s := &run.Plan.Steps[i]
			for m := range s.Moves {
				if place := s.Place("r", m); !strings.HasPrefix(place, RunDir("r")+"/") || strings.Contains(place, "/../") {
					t.Fatalf("place %q", place)
				}
			}
		}
	})
}
