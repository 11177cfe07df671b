package scan

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"
)

// A usageTree answers walks from a list.
type usageTree struct {
	Tree
	of map[string]Usage
}

func (t usageTree) Walk(_ context.Context, _ Watch, names ...string) (Usage, error) {
	return t.of[names[0]], nil
}

// What several share is counted once, for the last of them, and only if all of
// its names are among what is measured.
func TestMeasureShares(t *testing.T) {
	shared := func(inode uint64, names, links int64) SharedFile {
		return SharedFile{FileKey: FileKey{Inode: inode}, Names: names, Links: links, Bytes: 100 * int64(inode)}
	}
	tree := usageTree{of: map[string]Usage{
		"a": {Bytes: 1, Inodes: 1, Shared: []SharedFile{shared(1, 1, 2), shared(2, 2, 3), shared(3, 1, 3)}},
		"b": {Bytes: 2, Inodes: 1, Shared: []SharedFile{shared(1, 1, 2), shared(3, 1, 3)}},
		"c": {Bytes: 3, Inodes: 1, Shared: []SharedFile{shared(2, 1, 3), shared(3, 1, 3)}},
	}}
	for _, tc := range []struct {
		names string
		want  []int64
	}{
		{"a", []int64{1}},
		{"ab", []int64{1, 102}},
		{"ba", []int64{2, 101}},
		{"ac", []int64{1, 203}},
		{"bc", []int64{2, 3}},
		{"abc", []int64{1, 102, 503}},
		{"cba", []int64{3, 2, 601}},
	} {
		var findings []*Finding
		for _, name := range tc.names {
			o := &Object{Node: Node{Kind: KindLayer, Name: string(name)}}
			findings = append(findings, &Finding{Parts: []*Object{o}})
		}
		assert.NilError(t, measure(t.Context(), &Input{Tree: tree}, NewGraph(), findings[:1], func(int, *Finding) {}))
		assert.NilError(t, Measure(t.Context(), &Input{Tree: tree}, NewGraph(), findings, nil))
		assert.NilError(t, Measure(t.Context(), &Input{Tree: tree}, NewGraph(), findings, nil), "what was counted is not counted again")
		for i, f := range findings {
			assert.Equal(t, f.Size().Bytes, tc.want[i], "%s of %s", f.Parts[0].Name, tc.names)
			assert.Equal(t, len(f.Parts[0].Usage.Shared), 0)
		}
	}
}
