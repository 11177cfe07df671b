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

func findHeld(held []prune.Held, text string) ([]prune.Held, error) {
	if run, id, ok := strings.Cut(text, "/"); ok {
		if of := heldOf(held, func(h prune.Held) bool { return h.Run.ID == run }); len(of) > 0 {
			held, text = of, id
		}
	}
	if before, id, ok := strings.Cut(text, ":"); ok && before != "sha256" {
		held, text = heldOf(held, func(h prune.Held) bool { return string(h.Step.Type) == before }), id
	}
	for _, match := range []func(prune.Held) bool{
		func(h prune.Held) bool { return h.Run.ID == text },
		func(h prune.Held) bool { return h.Step.Finding == strings.TrimPrefix(text, "sha256:") },
		func(h prune.Held) bool { return scan.Short(h.Step.Finding) == text },
		func(h prune.Held) bool { return text != "" && strings.HasPrefix(h.Run.ID, text) },
		func(h prune.Held) bool { return text != "" && strings.HasPrefix(h.Step.Finding, text) },
	} {
		found := heldOf(held, match)
		if len(found) == 0 {
			continue
		}
		if err := ambiguousHeld(text, found); err != nil {
			return nil, err
		}
		return found, nil
	}
	return nil, fmt.Errorf("no such run or object in quarantine: %s", text)
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

// ambiguousHeld is an error if what was found is neither of one run, which
// the text names, nor one thing.
func ambiguousHeld(text string, found []prune.Held) error {
	ofOne := func(key func(prune.Held) string) bool {
		return !slices.ContainsFunc(found, func(h prune.Held) bool { return key(h) != key(found[0]) })
	}
	run := func(h prune.Held) string { return h.Run.ID }
	if len(found) == 1 || ofOne(run) && strings.HasPrefix(found[0].Run.ID, text) {
		return nil
	}
	var names []string
	for i, h := range found {
		if i == ambiguousShown {
			names = append(names, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		names = append(names, h.Run.ID+"/"+h.Step.Finding)
	}
	return fmt.Errorf("ambiguous id %s: it may be %s", text, strings.Join(names, ", "))
}

// lastHeld is all of the newest run that has something in quarantine.
func lastHeld(held []prune.Held) []prune.Held {
	if len(held) == 0 {
		return nil
	}
	last := slices.MaxFunc(held, func(a, b prune.Held) int { return cmp.Compare(a.Run.ID, b.Run.ID) }).Run.ID
	return heldOf(held, func(h prune.Held) bool { return h.Run.ID == last })
}
