package scan

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func TestVolumeNames(t *testing.T) {
	for name, want := range map[string]bool{
		"ab": true, "a.b_c-d": true, "0x": true, strings.Repeat("a", 64): true,
		"a": false, "": false, ".ab": false, "_ab": false, "-ab": false, "a b": false, "a\nb": false, "a/b": false, "ä0": false,
	} {
		assert.Equal(t, IsVolumeName(name), want, "%q", name)
	}
	for name, want := range map[string]Type{
		"buildx_buildkit_b0_state": TypeBuilder, "buildx_buildkit__state": TypeVolume, "buildx_buildkit_b0": TypeVolume, "data": TypeVolume,
	} {
		assert.Equal(t, TypeOf(VolumeNode(name)), want, name)
	}
}

// Nobody named a volume if its name is an id; where the daemon says so by a
// label, only with that.
func TestAnonymousVolumes(t *testing.T) {
	id := strings.Repeat("a", 64)
	known := Labels{Known: true}
	labelled := Labels{Known: true, Values: map[string]string{AnonymousLabel: ""}}
	other := Labels{Known: true, Values: map[string]string{"keep": "1"}}
	for _, tc := range []struct {
		name, version string
		labels        Labels
		want          bool
	}{
		{id, "20.10.24", known, true},
		{id, "", known, true},
		{id, "28.5.2", known, false},
		{id, "28.5.2", labelled, true},
		{id, "28.5.2", Labels{}, true},
		{id, "20.10.24", other, false},
		{"data", "20.10.24", known, false},
		{"data", "28.5.2", labelled, false},
	} {
		h := Host{Info: HostInfo{Version: tc.version}}
		o := &Object{Node: VolumeNode(tc.name), Notes: &Notes{Labels: tc.labels}}
		assert.Equal(t, h.anonymous(o), tc.want, "%s on %s: %v", tc.name, tc.version, tc.labels)
	}
}

// With --all-volumes prune takes what somebody named, too, but nothing that is
// precious.
func TestAllVolumes(t *testing.T) {
	for name, tc := range map[string]struct {
		telling         []string
		without, within bool
	}{
		"data":                     {nil, false, true},
		"buildx_buildkit_b0_state": {nil, false, true},
		"precious":                 {[]string{"volumes/precious/_data/PG_VERSION"}, false, false},
		strings.Repeat("a", 64):    {nil, true, true},
	} {
		for _, all := range []bool{false, true} {
			g := testGraph()
			g.Add(Object{Node: VolumeNode(name), Medium: Directory, Stamp: Stamp{Change: now.Add(-48 * time.Hour)}, Usage: &Usage{Complete: true, Telling: tc.telling}, Notes: &Notes{Volume: &Volume{}}})
			findings := Classify(g, Policy{Now: now, Grace: DefaultGrace, AllVolumes: all})
			assert.Equal(t, findings[0].Verdict, Orphan)
			want := tc.without
			if all {
				want = tc.within
			}
			assert.Equal(t, findings[0].Default, want, "%s, all: %v: %s", name, all, findings[0].NotMine)
		}
	}
}

// A volume that the daemon has a record of waits for it, whatever is asked for.
func TestRecordedVolumeWaits(t *testing.T) {
	for online, want := range map[bool]string{
		false: "the daemon has a record of it, and removes it itself: it goes while the daemon runs",
		true:  "the daemon has a record of it and does not list it: it goes after a restart of the daemon",
	} {
		f := &Finding{Type: TypeVolume, Parts: []*Object{{Node: VolumeNode("data"), Notes: &Notes{Volume: &Volume{Recorded: true}}}}}
		assert.Equal(t, f.Stays(&Host{Online: online}), want)
		f.Parts[0].Notes.Volume.Recorded = false
		assert.Equal(t, f.Stays(&Host{Online: online}), "")
	}
}

// What may be another machine's is not walked.
func TestDataElsewhereIsNotWalked(t *testing.T) {
	o := &Object{Node: VolumeNode("data"), Notes: &Notes{Volume: &Volume{}}}
	assert.Equal(t, o.away(Orphan), "")
	assert.Assert(t, o.away(Held) != "")
	o.Notes.Volume.Mounts = "nfs from nas:/x"
	assert.Assert(t, o.away(Unsure) != "")
	assert.Equal(t, (&Object{Node: layerNode("x")}).away(Held), "")
}

func TestWhatAVolumeIs(t *testing.T) {
	known := func(kv ...string) Labels {
		l := Labels{Known: true}
		for i := 0; i < len(kv); i += 2 {
			l.Add(kv[i], kv[i+1])
		}
		return l
	}
	for _, tc := range []struct {
		name    string
		labels  Labels
		telling []string
		want    string
	}{
		{"data", known(), nil, ""},
		{"shop_db", known(composeProject, "shop", composeVolume, "db"), []string{"volumes/shop_db/_data/PG_VERSION", "volumes/shop_db/_data/base/PG_VERSION"}, "compose shop/db, PostgreSQL"},
		{"shop_x", known(composeProject, "shop"), nil, "compose shop"},
		{"buildx_buildkit_b0_state", known(), nil, "cache of builder b0"},
		{strings.Repeat("a", 64), Labels{}, []string{"x/ibdata1", "x/dump.rdb", "x/.git", "x/a.sqlite", "x/wallet"}, "anonymous volume, MySQL or MariaDB, Redis, a git repository, SQLite, keys or passwords"},
	} {
		o := &Object{Node: VolumeNode(tc.name), Notes: &Notes{Labels: tc.labels}}
		assert.Equal(t, (&Host{}).known(o, tc.telling), tc.want)
	}
}

// Of several owners' labels none is lost, and it is told where each was read.
func TestLabelsOfSeveralOwners(t *testing.T) {
	var l Labels
	l.AddAll(map[string]string{"keep": "1"}, "one")
	l.AddAll(map[string]string{"keep": "2", "x": ""}, "two")
	l.AddAll(nil, "three")
	one, two := "1", "2"
	assert.Assert(t, l.Have("keep", &one) && l.Have("keep", &two) && l.Have("x", nil))
	assert.DeepEqual(t, l.From, []string{"one", "two"})
}
