package plugin

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

func TestChooseHeld(t *testing.T) {
	var held []prune.Held
	add := func(run string, ids ...string) {
		r := &journal.Run{ID: run}
		for i, id := range ids {
			held = append(held, prune.Held{Run: r, Step: &prune.Step{ID: i + 1, Type: scan.TypeRWLayer, Finding: id}})
		}
	}
	add("20240101T000000-aaaaaa", id64("1"), id64("2"))
	add("20240101T000000-bbbbbb", id64("3"), id64("2"))
	add("20240101T000000-bbbbbb", "20vol")
	held[4].Step.ID = 3
	held[1].Step.Type, held[4].Step.Type = scan.TypeContainer, scan.TypeVolume
	for texts, want := range map[string]string{
		"20240101T000000-aaaaaa":                "a1 a2",
		"20240101T000000-b":                     "b3 b2 b2",
		"20240101T000000-b 20240101T000000-bbb": "b3 b2 b2",
		"111111111111 " + id64("3"):             "a1 b3",
		"1111":                                  "a1",
		"20240101T000000-aaaaaa/22":             "a2",
		"container:22":                          "a2",
		"rw-layer:22":                           "b2",
		"22":                                    "ambiguous id 22: it may be 20240101T000000-aaaaaa/222",
		"2024":                                  "ambiguous id 2024: it may be 20240101T000000-aaaaaa, 20240101T000000-bbbbbb",
		"20":                                    "ambiguous id 20: it may be 20240101T000000-aaaaaa, 20240101T000000-bbbbbb, 20240101T000000-bbbbbb/20vol",
		"20v":                                   "b2",
		"20240101T000000-bbbbbb/20":             "b2",
		"volume:2":                              "b2",
		"volume:2024":                           "no such run or object in quarantine: volume:2024",
		"bogus":                                 "no such run or object in quarantine: bogus",
	} {
		chosen, err := chooseHeld(held, strings.Fields(texts))
		if strings.Contains(want, " id ") || strings.HasPrefix(want, "no ") {
			assert.ErrorContains(t, err, want, "%s", texts)
			continue
		}
		var got []string
		for _, h := range chosen {
			got = append(got, h.Run.ID[16:17]+h.Step.Finding[:1])
		}
		assert.NilError(t, err, "%s", texts)
		assert.Equal(t, strings.Join(got, " "), want, "%s", texts)
	}
	last := lastHeld(held)
	assert.Check(t, len(last) == 3 && !slices.ContainsFunc(last, func(h prune.Held) bool { return h.Run.ID != "20240101T000000-bbbbbb" }))
}
