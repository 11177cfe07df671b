package plugin

import (
	"testing"

	"github.com/docker/cli/cli/config/configfile"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func TestPruneFilter(t *testing.T) {
	labelled := &scan.Finding{
		Type: scan.TypeRWLayer, Verdict: scan.Orphan, ID: id64("1"),
		Labels: scan.Labels{Known: true, Values: map[string]string{"keep": "", "team": "a"}},
	}
	for name, tc := range map[string]struct {
		own    []string
		config []string
		want   bool
		lines  []string
	}{
		"none":                       {want: true},
		"a label of the config":      {config: []string{"label!=keep"}, lines: []string{"label!=keep (1 carry that label) (from config.json)"}},
		"the command line wins":      {own: []string{"label=keep"}, config: []string{"label!=keep"}, want: true, lines: []string{"label=keep (1 carry that label)"}},
		"the other way too":          {own: []string{"label!=x"}, config: []string{"label=x"}, want: true, lines: []string{"label!=x (0 carry that label)"}},
		"other labels protect still": {own: []string{"label=team"}, config: []string{"label!=keep"}, lines: []string{"label=team (1 carry that label)", "label!=keep (1 carry that label) (from config.json)"}},
		"both labels must match":     {own: []string{"label=team"}, config: []string{"label=x"}, lines: []string{"label=team (1 carry that label)", "label=x (0 carry that label) (from config.json)"}},
		"all labels of a kind":       {config: []string{"label=keep", "label=x"}, lines: []string{"label=keep (1 carry that label) (from config.json)", "label=x (0 carry that label) (from config.json)"}},
		"another key is replaced":    {own: []string{"type=rw-layer"}, config: []string{"type=layer"}, want: true, lines: []string{"type=rw-layer"}},
		"a key without a value":      {config: []string{"label"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			var own filter
			for _, text := range tc.own {
				assert.NilError(t, own.Set(text))
			}
			p, err := newPruneFilter(own, &configfile.ConfigFile{PruneFilters: tc.config})
			assert.NilError(t, err)
			assert.Equal(t, p.matchName(labelled, &scan.Host{}), tc.want)
			assert.DeepEqual(t, p.lines([]*scan.Finding{labelled}), tc.lines)
		})
	}
	_, err := newPruneFilter(filter{}, &configfile.ConfigFile{PruneFilters: []string{"until=24h", "until=48h"}})
	assert.ErrorContains(t, err, "more than one until filter specified")
	_, err = newPruneFilter(filter{}, &configfile.ConfigFile{PruneFilters: []string{"dangling=true"}})
	assert.ErrorContains(t, err, "pruneFilters: invalid filter 'dangling'")
}
