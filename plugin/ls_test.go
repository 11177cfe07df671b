package plugin

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func idsOf(findings []*scan.Finding) string {
	var ids []string
	for _, f := range findings {
		ids = append(ids, f.ID[:1])
	}
	return strings.Join(ids, "")
}

func TestChoose(t *testing.T) {
	const hidden = "Not shown: "
	for name, tc := range map[string]struct {
		options listOptions
		shown   string
		more    string
		status  int
	}{
		"orphans":                {listOptions{}, "16", hidden + "1 young, 1 held, 1 unsure (see them with --all)\n", 2},
		"all":                    {listOptions{all: true}, "123456", "", 2},
		"all of a type":          {listOptions{all: true, filter: filterOf(t, "type=rw-layer")}, "6", "", 2},
		"a verdict":              {listOptions{filter: filterOf(t, "verdict=used")}, "5", hidden + "1 young, 1 held, 1 unsure (see them with --all)\n", 3},
		"used, with nothing odd": {listOptions{filter: filterOf(t, "id=5")}, "", "", 0},
		"young":                  {listOptions{filter: filterOf(t, "id=2")}, "", hidden + "1 young (see them with --all)\n", 0},
		"only unsure":            {listOptions{filter: filterOf(t, "id=4")}, "", hidden + "1 unsure (see them with --all)\n", 3},
		"large":                  {listOptions{filter: filterOf(t, "min-size=1.05MB")}, "6", hidden + "1 young, 1 held, 1 unsure (see them with --all)\n", 2},
		"none so large":          {listOptions{filter: filterOf(t, "type=rw-layer min-size=1GB")}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			seen := fixture(t)
			tc.options.exitCode = true
			c, err := choose(t.Context(), seen, tc.options, &progress{})
			assert.NilError(t, err)
			assert.Equal(t, idsOf(c.shown), tc.shown)
			assert.Equal(t, c.more(), tc.more)

			doubts := doubtLines(c.unsure, unread(seen.graph))
			err = tc.options.status(c, len(doubts) > 0)
			if tc.status == 0 {
				assert.NilError(t, err)
			} else {
				assert.Equal(t, err, silentExit(tc.status))
			}
			tc.options.exitCode = false
			assert.NilError(t, tc.options.status(c, len(doubts) > 0))
		})
	}
}

func TestTotal(t *testing.T) {
	seen := fixture(t)
	for want, tc := range map[string]struct {
		ids   string
		sizes bool
		held  sum
	}{
		"Total: 0 orphans, 0B\n":                                   {"", true, sum{}},
		"Total: 0 orphans\n":                                       {"", false, sum{}},
		"Total: 1 orphan, >1.049MB\n":                              {"1", true, sum{}},
		"Total: 1 orphan\n":                                        {"1", false, sum{}},
		"Total: 1 orphan, >1.049MB \n":                             {"1 5", true, sum{}}, // what is used does not count
		"Total: 2 orphans, >2.101MB (1 not by default, 1.053MB)\n": {"1 6", true, sum{}},
		"Total: 2 orphans (1 not by default)\n":                    {"1 6", false, sum{}},
		"Total: 1 orphan, 1.053MB (1 not by default, 1.053MB)\n":   {"6", true, sum{}},
		"Total: 0 orphans, 0B; in quarantine: 2 things, 3MB\n":     {"", true, sum{2, 3e6}},
	} {
		var shown []*scan.Finding
		for _, id := range strings.Fields(tc.ids) {
			shown = append(shown, seen.find(t, id))
		}
		assert.Equal(t, total(shown, tc.held, tc.sizes), strings.Replace(want, " \n", "\n", 1))
	}
}

func TestListRefusesBeforeItScans(t *testing.T) {
	cli := newCLI(t, nil)
	err := runList(t.Context(), cli, &globalOptions{}, listOptions{format: "{{.Bogus}}"})
	assert.ErrorContains(t, err, "can't evaluate field Bogus")
}
