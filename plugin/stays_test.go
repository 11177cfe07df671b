package plugin

import (
	"testing"

	"github.com/docker/cli/cli/config/configfile"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// What is in quarantine has the labels that it had when it went there.
func TestStaysFor(t *testing.T) {
	for given, want := range map[string]bool{
		"label!=protected": true, "label=protected": false, "label!=other": false, "label=other": true, "label!=protected=no": false,
		"type=volume": false, "type=layer": true, "id=dat": false, "id=x": true, "verdict=orphan": false,
	} {
		labels := scan.Labels{Known: true, Values: map[string]string{"protected": "yes"}}
		o := &scan.Object{Node: scan.VolumeNode("data"), Notes: &scan.Notes{Labels: labels}}
		h := prune.Held{Run: &journal.Run{ID: "r"}, Step: &prune.Step{ID: 1, Type: scan.TypeVolume, Finding: "data", Objects: []*scan.Object{o}}}
		var own filter
		assert.NilError(t, own.Set(given))
		for _, p := range []*pruneFilter{{own: own}, {config: own}} {
			assert.Equal(t, staysFor(h, nil, p, &scan.Host{}) != "", want, "%s", given)
		}
		o.Annotate().Labels = scan.Labels{}
		notTold, err := newPruneFilter(filter{}, &configfile.ConfigFile{PruneFilters: []string{"label!=protected"}})
		assert.NilError(t, err)
		assert.Assert(t, staysFor(h, nil, notTold, &scan.Host{}) != "")
	}
}
