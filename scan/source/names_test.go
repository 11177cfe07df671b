package source

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A layer was made together with a write-set if it alone was born within a second
// of it.
func TestWrittenLayers(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, tc := range map[string]struct {
		births []time.Duration // of layers, as seen from that of the write-set
		want   int             // which of them was written; -1: none is known
	}{
		"none":           {nil, -1},
		"at once":        {[]time.Duration{0}, 0},
		"before":         {[]time.Duration{-time.Minute, 1 - time.Second, time.Minute}, 1},
		"after":          {[]time.Duration{-time.Minute, time.Second - 1}, 1},
		"too early":      {[]time.Duration{-time.Second}, -1},
		"too late":       {[]time.Duration{time.Second}, -1},
		"several":        {[]time.Duration{500 * time.Millisecond, -500 * time.Millisecond}, -1},
		"far from it":    {[]time.Duration{time.Hour, -time.Hour}, -1},
		"not the oldest": {[]time.Duration{time.Hour, 0, -time.Hour}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := scan.NewGraph()
			set := scan.Object{Node: scan.Node{Kind: scan.KindDownload, Name: "set"}, Backend: "vfs"}
			set.Stamp.Birth = at
			g.Add(set)
			want := map[scan.Node]bool{}
			for i, after := range tc.births {
				o := scan.Object{Node: scan.Node{Kind: scan.KindLayer, Name: fmt.Sprint(i)}}
				o.Stamp.Birth = at.Add(after)
				g.Add(o)
				if i == tc.want {
					want[o.Node] = true
				}
			}
			assert.DeepEqual(t, newNames(&scan.Input{}, g).written, want)
		})
	}
}
