package thin_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

func pool(devices, perNode int) testkit.ThinPool {
	p := testkit.ThinPool{Transaction: 110, PerNode: perNode}
	for i := range devices {
		p.Devices = append(p.Devices, thin.Device{ID: uint32(3*i + 1), Mapped: uint64(100 + i), Transaction: uint64(i)})
	}
	return p
}

func file(blocks [][]byte) *bytes.Reader { return bytes.NewReader(slices.Concat(blocks...)) }

// Trees of one node, and of several levels.
func TestRead(t *testing.T) {
	for _, tc := range []struct{ devices, perNode int }{{0, 0}, {1, 0}, {36, 0}, {120, 0}, {1000, 0}, {30, 3}, {200, 3}} {
		p := pool(tc.devices, tc.perNode)
		got, err := thin.Read(file(p.Blocks()))
		assert.NilError(t, err)
		assert.DeepEqual(t, got, &thin.Metadata{Transaction: 110, BlockSize: 64 << 10, Devices: p.Devices})
		if tc.devices > 0 {
			assert.Equal(t, *got.Device(1), p.Devices[0])
		}
		assert.Assert(t, got.Device(2) == nil)
	}
}

// Whatever is damaged is an error, never another list.
func TestReadDamaged(t *testing.T) {
	good := pool(10, 3).Blocks()
	for i := range good {
		for at := range good[i] {
			blocks := slices.Clone(good)
			blocks[i] = slices.Clone(good[i])
			blocks[i][at] ^= 0x40
			_, err := thin.Read(file(blocks))
			assert.Assert(t, err != nil, "byte %d of block %d", at, i)
		}
		_, err := thin.Read(file(good[:i]))
		assert.Assert(t, err != nil, "cut off before block %d", i)
	}
}

// What has the right sums and is wrong all the same: the copy of a pool that
// was in use, or one of a kernel to come.
func TestReadContradicts(t *testing.T) {
	le := binary.LittleEndian
	root := len(pool(10, 3).Blocks()) - 1
	for name, tc := range map[string]struct {
		block int
		hurt  func(b []byte)
		says  string
	}{
		"no pool":           {0, func(b []byte) { le.PutUint64(b[32:], 1) }, "not that of a thin pool"},
		"another block":     {0, func(b []byte) { le.PutUint64(b[8:], 1) }, "says that it is block 1"},
		"version":           {0, func(b []byte) { le.PutUint32(b[40:], 3) }, "version 3"},
		"feature":           {0, func(b []byte) { le.PutUint32(b[360:], 1) }, "features"},
		"size of blocks":    {0, func(b []byte) { le.PutUint32(b[340:], 16) }, "16 sectors"},
		"root behind":       {0, func(b []byte) { le.PutUint64(b[328:], 1<<40) }, "behind the end"},
		"root is the super": {0, func(b []byte) { le.PutUint64(b[328:], 0) }, "circle"},
		"number":            {root, func(b []byte) { le.PutUint64(b[8:], 1) }, "number of another"},
		"flags":             {root, func(b []byte) { le.PutUint32(b[4:], 4) }, "flags"},
		"another tree":      {root, func(b []byte) { le.PutUint32(b[4:], 2) }, "values of 8 bytes"},
		"entries":           {root, func(b []byte) { le.PutUint32(b[16:], 1000) }, "do not fit"},
		"most":              {root, func(b []byte) { le.PutUint32(b[20:], 1<<30) }, "do not fit"},
		"circle":            {root, func(b []byte) { le.PutUint64(b[32+8*254:], uint64(root)) }, "circle"},
		"order":             {1, func(b []byte) { le.PutUint64(b[40:], 0) }, "out of order"},
		"no such device":    {1, func(b []byte) { le.PutUint64(b[48:], 1<<24) }, "out of order"},
	} {
		blocks := pool(10, 3).Blocks()
		tc.hurt(blocks[tc.block])
		testkit.ThinSum(blocks[tc.block], tc.block == 0)
		_, err := thin.Read(file(blocks))
		assert.ErrorContains(t, err, tc.says, name)
	}
	blocks := pool(3, 0).Blocks()
	le.PutUint32(blocks[0][4:], 1)
	testkit.ThinSum(blocks[0], true)
	got, err := thin.Read(file(blocks))
	assert.NilError(t, err)
	assert.Assert(t, got.NeedsCheck)
}

func FuzzRead(f *testing.F) {
	f.Add(slices.Concat(pool(10, 3).Blocks()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for at := 0; at+4096 <= len(data); at += 4096 { // with right sums the rest is asked
			testkit.ThinSum(data[at:at+4096], at == 0)
		}
		m, err := thin.Read(bytes.NewReader(data))
		assert.Assert(t, err != nil || slices.IsSortedFunc(m.Devices, func(a, b thin.Device) int { return int(a.ID) - int(b.ID) }))
	})
}
