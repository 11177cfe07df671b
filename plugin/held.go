package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// chooseHeld finds what of the quarantine a user means: all of a run, by its
// name or the beginning of it, or one thing by its id, as tables show it or
// the beginning of it. RUN/ID is that thing of that run, TYPE:ID that of that
// type. What was chosen is in the quarantine's order.
func chooseHeld(held []prune.Held, texts []string) ([]prune.Held, error) {
	type key struct {
		run  string
		step int
	}
	keyOf := func(h prune.Held) key { return key{h.Run.ID, h.Step.ID} }
	meant := map[key]bool{}
	var problems []error
	for _, text := range texts {
		found, err := findHeld(held, text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, h := range found {
			meant[keyOf(h)] = true
		}
	}
	return heldOf(held, func(h prune.Held) bool { return meant[keyOf(h)] }), errors.Join(problems...)
}

// A meaning is what of the quarantine a text may be about.
type meaning struct {
	name string // that means nothing else
	held []prune.Held
}

func findHeld(held []prune.Held, text string) ([]prune.Held, error) {
	id, runs := text, held // those runs may be meant
	if run, rest, ok := strings.Cut(id, "/"); ok {
		if of := heldOf(held, func(h prune.Held) bool { return h.Run.ID == run }); len(of) > 0 {
			held, id, runs = of, rest, nil
		}
	}
	if of, rest, ok := cutType(id); ok {
		held, id, runs = heldOf(held, func(h prune.Held) bool { return h.Step.Type == of }), rest, nil
	}
	id = strings.TrimPrefix(id, "sha256:")
	begins := func(name string) bool { return id != "" && strings.HasPrefix(name, id) }
	for _, found := range [][]meaning{
		runsOf(runs, func(run string) bool { return run == id }),
		thingsOf(held, func(finding string) bool { return finding == id }),
		thingsOf(held, func(finding string) bool { return scan.Short(finding) == id }),
		append(runsOf(runs, begins), thingsOf(held, begins)...),
	} {
		if len(found) > 0 {
			return onlyMeaning(text, found)
		}
	}
	return nil, fmt.Errorf("no such run or object in quarantine: %s", text)
}

// runsOf are the runs whose names match.
func runsOf(held []prune.Held, match func(run string) bool) []meaning {
	var found []meaning
	for _, h := range held {
		run := h.Run.ID
		if match(run) && !slices.ContainsFunc(found, func(m meaning) bool { return m.name == run }) {
			found = append(found, meaning{run, heldOf(held, func(h prune.Held) bool { return h.Run.ID == run })})
		}
	}
	return found
}

// thingsOf are the single things whose ids match.
func thingsOf(held []prune.Held, match func(finding string) bool) []meaning {
	var found []meaning
	for _, h := range held {
		if match(h.Step.Finding) {
			found = append(found, meaning{h.Run.ID + "/" + h.Step.Finding, []prune.Held{h}})
		}
	}
	return found
}

func heldOf(held []prune.Held, match func(prune.Held) bool) []prune.Held {
	var found []prune.Held
	for _, h := range held {
		if match(h) {
			found = append(found, h)
		}
	}
	return found
}

// onlyMeaning is what a text means, or an error if that may be one thing or
// another.
func onlyMeaning(text string, found []meaning) ([]prune.Held, error) {
	if !slices.ContainsFunc(found, func(m meaning) bool { return !slices.Equal(m.held, found[0].held) }) {
		return found[0].held, nil // as a run is that has only this one thing
	}
	var names []string
	for i, m := range found {
		if i == ambiguousShown {
			names = append(names, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		names = append(names, m.name)
	}
	return nil, fmt.Errorf("ambiguous id %s: it may be %s", text, strings.Join(names, ", "))
}

// lastHeld is all of the newest run that has something in quarantine.
func lastHeld(held []prune.Held) []prune.Held {
	if len(held) == 0 {
		return nil
	}
	last := slices.MaxFunc(held, func(a, b prune.Held) int { return cmp.Compare(a.Run.ID, b.Run.ID) }).Run.ID
	return heldOf(held, func(h prune.Held) bool { return h.Run.ID == last })
}
