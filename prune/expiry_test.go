package prune

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// What something lies on that stays in quarantine stays there too, in that run.
func TestWithin(t *testing.T) {
	step := func(id int, finding string, after ...int) journal.Step {
		o := &scan.Object{Node: layer(finding), Usage: &scan.Usage{Bytes: 10, Complete: true}}
		return journal.Step{ID: id, Finding: finding, Type: scan.TypeLayer, Objects: []*scan.Object{o}, After: after}
	}
	var held []Held
	for _, run := range []string{"one", "two"} {
		plan := &Plan{Steps: []Step{step(1, run+"-top"), step(2, run+"-base", 1), step(3, run+"-other")}}
		r := &journal.Run{ID: run, Plan: plan}
		for i := range plan.Steps {
			held = append(held, Held{r, &plan.Steps[i]})
		}
	}
	for _, tc := range []struct {
		keep   string
		limits Limits
		goes   string
		stays  string
	}{
		{goes: "one-top one-base one-other two-top two-base two-other"},
		{keep: "one-top", goes: "one-other two-top two-base two-other", stays: "one-top one-base"},
		{keep: "two-base", goes: "one-top one-base one-other two-top two-other", stays: "two-base"},
		{keep: "layer:*-t?p", goes: "one-other two-other", stays: "one-top one-base two-top two-base"},
		{limits: Limits{Items: 2}, goes: "one-top one-base", stays: "one-other two-top two-base two-other"},
		{limits: Limits{Space: 35}, goes: "one-top one-base one-other", stays: "two-top two-base two-other"},
		{limits: Limits{Free: 1}, goes: "one-top", stays: "one-base one-other two-top two-base two-other"},
	} {
		var list []scan.KeepEntry
		if pattern, typed := strings.CutPrefix(tc.keep, "layer:"); typed {
			list = []scan.KeepEntry{{Type: scan.TypeVolume, Pattern: "*"}, {Type: scan.TypeLayer, Pattern: pattern}}
		} else if pattern != "" {
			list = []scan.KeepEntry{{Pattern: pattern}}
		}
		goes, stays := Within(held, func(h Held) string { return h.KeptBy(list) }, tc.limits.Budget())
		var left []Held
		for _, s := range stays {
			assert.Assert(t, s.Why != "")
			left = append(left, s.Held)
		}
		names := func(held []Held) string {
			var all []string
			for _, h := range held {
				all = append(all, h.Step.Finding)
			}
			return strings.Join(all, " ")
		}
		assert.Equal(t, names(goes), tc.goes, "%+v", tc)
		assert.Equal(t, names(left), tc.stays, "%+v", tc)
	}
}
