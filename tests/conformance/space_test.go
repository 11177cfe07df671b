package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/space"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// hasFiles reports whether anything of a finding lies in the data root: of a
// thin device whose record was lost, nothing does.
func hasFiles(c *testkit.Case, f *scan.Finding) bool {
	return slices.ContainsFunc(f.Paths(), func(name string) bool {
		_, err := os.Lstat(filepath.Join(c.Dir, name))
		return err == nil
	})
}

// The accounts of every root add up to one walk of it; what is an orphan is in
// no other account; and of what Docker makes nothing is unknown.
func TestSpaceAddsUp(t *testing.T) {
	everyRoot(t, func(t *testing.T, c *testkit.Case) {
		g, findings := testkit.Judge(t, c)
		in := testkit.Input(t, c)
		all := make([]*scan.Finding, len(findings))
		orphans := 0
		for i := range findings {
			all[i] = &findings[i]
			if findings[i].Verdict == scan.Orphan && hasFiles(c, &findings[i]) {
				orphans++
			}
		}
		ledger, err := space.Measure(t.Context(), in, g, all, nil, nil, nil)
		assert.NilError(t, err)
		whole, err := in.Tree.Walk(t.Context(), nil, ".")
		assert.NilError(t, err)
		assert.Equal(t, ledger.Inodes, whole.Inodes)
		if whole.AtMost { // to a walk, each subvolume has what it shares
			assert.Assert(t, ledger.Bytes <= whole.Bytes && !ledger.AtMost)
		} else {
			assert.Equal(t, ledger.Bytes, whole.Bytes)
		}

		var sum int64
		for _, s := range ledger.Sums() {
			sum += s.Bytes
			if s.Account == space.Orphans {
				orphans -= s.Items
			}
		}
		assert.Equal(t, sum, ledger.Bytes)
		assert.Equal(t, orphans, 0)
		for _, i := range ledger.Items {
			if i.Finding != nil {
				assert.Equal(t, i.Account == space.Orphans, i.Finding.Verdict == scan.Orphan, "%s", i.Path)
			}
			if i.Account == space.Unknown && strings.Contains(t.Name(), "real/") {
				t.Errorf("%s is unknown", i.Path)
			}
		}
	})
}
