package thin_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// mappings are the blocks of a pool with three devices: 1 and 4 share a leaf,
// and a block of data that two leaves name; 7 is 4 as it was snapshotted.
func mappings() [][]byte {
	blocks := pool(3, 0).Blocks()
	add := func(leaf bool, values ...uint64) {
		keys := make([]uint64, len(values))
		for i := range keys {
			keys[i] = uint64(3*i + 1)
		}
		blocks = append(blocks, testkit.ThinNode(uint64(len(blocks)), leaf, 8, keys, func(i int) []byte {
			return binary.LittleEndian.AppendUint64(nil, values[i])
		}))
	}
	const data = 1 << 24                         // a block of data, and when it was mapped
	add(true, 3, 4, 8)                           // 2: the devices
	add(false, 5, 6)                             // 3: device 1
	add(false, 5, 7)                             // 4: device 4
	add(true, 10*data+1, 11*data+1)              // 5: of both
	add(true, 12*data+1, 13*data+2, 20*data+2)   // 6
	add(true, 12*data+1, 14*data+3)              // 7
	add(false, 5, 9)                             // 8: device 7
	add(true, 12*data+1, 15*data+3, 16*data, 17) // 9
	binary.LittleEndian.PutUint64(blocks[0][320:], 2)
	testkit.ThinSum(blocks[0], true)
	return blocks
}

func TestOwn(t *testing.T) {
	own, err := thin.Own(file(mappings()))
	assert.NilError(t, err)
	assert.DeepEqual(t, own, map[uint32]int64{1: 2 << 16, 4: 1 << 16, 7: 3 << 16})
	same := mappings()
	binary.LittleEndian.PutUint64(same[2][32+8*254+16:], 4) // device 7 is device 4
	testkit.ThinSum(same[2], false)
	own, err = thin.Own(file(same))
	assert.NilError(t, err)
	assert.DeepEqual(t, own, map[uint32]int64{1: 2 << 16, 4: 0, 7: 0})
}

// Whatever is damaged is an error, never another size.
func TestOwnDamaged(t *testing.T) {
	good := mappings()
	for i := range good {
		if i == 1 {
			continue // the list of devices, which is not read
		}
		for _, at := range []int{0, 5, 9, 17, 33, 2000} {
			blocks := slices.Clone(good)
			blocks[i] = slices.Clone(good[i])
			blocks[i][at] ^= 0x40
			_, err := thin.Own(file(blocks))
			assert.Assert(t, err != nil, "byte %d of block %d", at, i)
		}
	}
	circle := mappings()
	binary.LittleEndian.PutUint64(circle[3][32+8*254:], 3)
	testkit.ThinSum(circle[3], false)
	_, err := thin.Own(file(circle))
	assert.NilError(t, err, "it ends")
}
