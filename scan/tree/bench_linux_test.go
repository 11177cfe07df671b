package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// plantLayers makes the part of a data root that a scan reads most.
func plantLayers(b *testing.B) *Disk {
	b.Helper()
	root := b.TempDir()
	layer := filepath.Join(root, "overlay2", "layer")
	assert.NilError(b, os.MkdirAll(filepath.Join(layer, "diff"), 0o755))
	assert.NilError(b, os.WriteFile(filepath.Join(layer, "link"), []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 0o644))
	return opened(b, root, modes[0].calls)
}

func BenchmarkReadFile(b *testing.B) {
	d := plantLayers(b)
	b.ReportAllocs()
	for b.Loop() {
		_, err := d.ReadFile("overlay2/layer/link", 1<<20)
		assert.NilError(b, err)
	}
}

// BenchmarkReadFileStandard is what the standard library needs, unconfined.
func BenchmarkReadFileStandard(b *testing.B) {
	d := plantLayers(b)
	name := filepath.Join(d.Path(), "overlay2/layer/link")
	b.ReportAllocs()
	for b.Loop() {
		_, err := os.ReadFile(name)
		assert.NilError(b, err)
	}
}

func BenchmarkStat(b *testing.B) {
	d := plantLayers(b)
	b.ReportAllocs()
	for b.Loop() {
		_, err := d.Stat("overlay2/layer/diff")
		assert.NilError(b, err)
	}
}

func BenchmarkReadDir(b *testing.B) {
	root := b.TempDir()
	const entries = 100_000
	for i := range entries {
		file, err := os.Create(filepath.Join(root, fmt.Sprintf("%064x", i*7919)))
		assert.NilError(b, err)
		assert.NilError(b, file.Close())
	}
	b.Run("tree", func(b *testing.B) {
		d := opened(b, root, modes[0].calls)
		b.ReportAllocs()
		for b.Loop() {
			got, err := d.ReadDir(".")
			assert.NilError(b, err)
			assert.Equal(b, len(got), entries)
		}
	})
	b.Run("standard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			got, err := os.ReadDir(root)
			assert.NilError(b, err)
			assert.Equal(b, len(got), entries)
		}
	})
}
