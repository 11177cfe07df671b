package plugin

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// filterOf sets each word of text.
func filterOf(t *testing.T, text string) filter {
	t.Helper()
	var f filter
	for _, word := range strings.Fields(text) {
		assert.NilError(t, f.Set(word), word)
	}
	return f
}

func TestFilterMatches(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "123456",
		"type=layer":                         "12345",
		"type=layer type=rw-layer":           "123456",
		"type=rw-layer backend=overlay2":     "6",
		"backend=vfs":                        "",
		"verdict=orphan":                     "16",
		"verdict=young verdict=held":         "23",
		"id=1":                               "1",
		"id=1111 id=2":                       "12",
		"id=sha256:1":                        "1",
		"id=111111111111":                    "1",
		"id=f":                               "",
		"until=24h":                          "23456",
		"until=2d":                           "23456",
		"until=2024-05-20T10:00:00Z":         "3456",
		"until=2024-01-01":                   "",
		"until=1716199200":                   "3456",
		"min-size=1MB":                       "123456",
		"min-size=1.05MB":                    "6",
		"min-size=2MB min-size=1.05MB":       "6",
		"label=team":                         "1",
		"label=team=a":                       "1",
		"label=team=b":                       "",
		"label=team=b label=team=a":          "",
		"label=team label=team=a":            "1",
		"label=team type=rw-layer":           "",
		"label!=team":                        "2345",
		"label!=team=b":                      "12345",
		"label!=team=b label!=team=a":        "2345",
		"TYPE=layer verdict=orphan":          "1",
		"verdict=orphan until=24h id=1 id=6": "6",
	} {
		t.Run(text, func(t *testing.T) {
			seen := fixture(t)
			f := filterOf(t, text)
			var got []string
			for _, found := range seen.findings {
				if f.matchName(found, &seen.graph.Host) && f.matchVerdict(found) && f.matchDeep(found) {
					got = append(got, found.ID[:1])
				}
			}
			assert.Equal(t, strings.Join(got, ""), want)
		})
	}
}

func TestFilterRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"type":            "bad format of filter (expected name=value)",
		"colour=red":      "invalid filter 'colour' (valid: type, backend, verdict, id, until, min-size, label, label!)",
		"type=bogus":      "invalid filter 'type=bogus' (valid: layer, image-layer, rw-layer, container, volume, builder, download, link, build, backend, root, metadata)",
		"verdict=dead":    "invalid filter 'verdict=dead' (valid: orphan, damaged, young, kept, held, used, unknown, unsure)",
		"backend=ext4":    "invalid filter 'backend=ext4' (valid: ",
		"until=yesterday": "invalid filter 'until=yesterday' (examples: ",
		"min-size=-1":     "invalid filter 'min-size=-1'",
		"min-size=big":    "invalid filter 'min-size=big'",
		"type=":           "invalid filter 'type='",
		"backend=":        "invalid filter 'backend='",
		"verdict=":        "invalid filter 'verdict='",
		"until=":          "invalid filter 'until='",
		"min-size=":       "invalid filter 'min-size='",
		"id=":             "invalid filter 'id=': the id is missing",
		"id=sha256:":      "invalid filter 'id=sha256:': the id is missing",
		"label=":          "the label has no name",
		"label!==x":       "the label has no name",
	} {
		var f filter
		assert.ErrorContains(t, f.Set(text), want)
	}
}

func TestFilterUntilOnce(t *testing.T) {
	f := filterOf(t, "until=7d")
	assert.Error(t, f.Set("until=24h"), "invalid filter 'until=24h': more than one until filter specified")
}

func TestFilterUntilCountsFromNow(t *testing.T) {
	f := filterOf(t, "until=7d")
	ago := time.Since(f.until[0])
	assert.Check(t, ago >= 7*24*time.Hour && ago < 7*24*time.Hour+time.Minute, "%s", ago)
}

// Labels that are not known match label!= only where the contract says so.
func TestFilterUnknownLabels(t *testing.T) {
	record := func(k scan.Kind, name string) []*scan.Object {
		return []*scan.Object{{Node: scan.Node{Kind: k, Name: name}}}
	}
	lost := &scan.Host{LostTags: []string{"app:1"}}
	for name, tc := range map[string]struct {
		f    scan.Finding
		host *scan.Host
		want bool
	}{
		"layer":                           {scan.Finding{Type: scan.TypeLayer, Parts: record(scan.KindLayer, "overlay2/"+id64("1"))}, lost, true},
		"layer with an -init":             {scan.Finding{Type: scan.TypeLayer, Parts: record(scan.KindLayer, "overlay2/"+id64("1")+"-init")}, lost, false},
		"image-layer, no tag lost":        {scan.Finding{Type: scan.TypeImageLayer}, &scan.Host{}, true},
		"image-layer, a tag lost":         {scan.Finding{Type: scan.TypeImageLayer}, lost, false},
		"image-layer, a registry has it":  {scan.Finding{Type: scan.TypeImageLayer, Origin: "docker.io/app"}, lost, true},
		"rw-layer":                        {scan.Finding{Type: scan.TypeRWLayer}, &scan.Host{}, false},
		"container":                       {scan.Finding{Type: scan.TypeContainer}, &scan.Host{}, false},
		"download":                        {scan.Finding{Type: scan.TypeDownload}, &scan.Host{}, true},
		"link":                            {scan.Finding{Type: scan.TypeLink}, &scan.Host{}, true},
		"known to lack it":                {scan.Finding{Type: scan.TypeRWLayer, Labels: scan.Labels{Known: true}}, lost, true},
		"partly known, and it is there":   {scan.Finding{Type: scan.TypeLink, Labels: scan.Labels{Values: map[string]string{"keep": ""}}}, lost, false},
		"known, and it is there":          {scan.Finding{Type: scan.TypeLink, Labels: scan.Labels{Known: true, Values: map[string]string{"keep": "1"}}}, lost, false},
		"known, with another value there": {scan.Finding{Type: scan.TypeRWLayer, Labels: scan.Labels{Known: true, Values: map[string]string{"kept": "1"}}}, lost, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := filterOf(t, "label!=keep")
			assert.Equal(t, f.matchName(&tc.f, tc.host), tc.want)
		})
	}
}
