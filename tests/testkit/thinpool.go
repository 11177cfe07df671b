package testkit

import (
	"encoding/binary"
	"hash/crc32"
	"os"

	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// ThinPool is the metadata of a thin pool, to be written as the kernel has
// them on disk (linux drivers/md/dm-thin-metadata.c).
type ThinPool struct {
	Transaction uint64
	Devices     []thin.Device // in the order of their numbers
	PerNode     int           // how many entries a node of the tree gets; 0: as many as fit
}

// Blocks returns the superblock and the tree of devices.
func (p ThinPool) Blocks() [][]byte {
	blocks := [][]byte{nil}
	most := p.PerNode
	if most == 0 {
		most = 120
	}
	var keys, values []uint64 // of the level above
	add := func(leaf bool, keys []uint64, value func(i int) []byte) {
		size := 8
		if leaf {
			size = 24
		}
		blocks = append(blocks, ThinNode(uint64(len(blocks)), leaf, size, keys, value))
	}
	for i := 0; i == 0 || i < len(p.Devices); i += most {
		part := p.Devices[i:min(i+most, len(p.Devices))]
		ids := make([]uint64, len(part))
		for j, d := range part {
			ids[j] = uint64(d.ID)
		}
		keys, values = append(keys, firstOf(ids)), append(values, uint64(len(blocks)))
		add(true, ids, func(j int) []byte {
			v := binary.LittleEndian.AppendUint64(nil, part[j].Mapped)
			return append(binary.LittleEndian.AppendUint64(v, part[j].Transaction), make([]byte, 8)...)
		})
	}
	for len(keys) > 1 {
		var above, at []uint64
		for i := 0; i < len(keys); i += most {
			end := min(i+most, len(keys))
			above, at = append(above, keys[i]), append(at, uint64(len(blocks)))
			below := values[i:end]
			add(false, keys[i:end], func(j int) []byte { return binary.LittleEndian.AppendUint64(nil, below[j]) })
		}
		keys, values = above, at
	}
	blocks[0] = thinSuper(p.Transaction, values[0])
	return blocks
}

// Write makes a file of the metadata.
func (p ThinPool) Write(path string) error {
	var data []byte
	for _, b := range p.Blocks() {
		data = append(data, b...)
	}
	return os.WriteFile(path, data, 0o600)
}

func firstOf(ids []uint64) uint64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[0]
}

func thinSuper(transaction, details uint64) []byte {
	b := make([]byte, 4096)
	le := binary.LittleEndian
	le.PutUint64(b[32:], 27022010)
	le.PutUint32(b[40:], 2)
	le.PutUint64(b[48:], transaction)
	le.PutUint64(b[328:], details)
	le.PutUint32(b[336:], 128)
	le.PutUint32(b[340:], 8)
	return ThinSum(b, true)
}

// ThinNode is one block of a tree, whose values have a size in bytes.
func ThinNode(number uint64, leaf bool, size int, keys []uint64, value func(i int) []byte) []byte {
	b := make([]byte, 4096)
	le := binary.LittleEndian
	flags := uint32(1)
	if leaf {
		flags = 2
	}
	most := (4096 - 32) / (8 + size)
	le.PutUint32(b[4:], flags)
	le.PutUint64(b[8:], number)
	le.PutUint32(b[16:], uint32(len(keys)))
	le.PutUint32(b[20:], uint32(most))
	le.PutUint32(b[24:], uint32(size))
	for i, k := range keys {
		le.PutUint64(b[32+8*i:], k)
		copy(b[32+8*most+size*i:], value(i))
	}
	return ThinSum(b, false)
}

// ThinSum writes a block's checksum into it.
func ThinSum(b []byte, super bool) []byte {
	xor := uint32(121107)
	if super {
		xor = 160774
	}
	binary.LittleEndian.PutUint32(b, ^crc32.Checksum(b[4:], crc32.MakeTable(crc32.Castagnoli))^xor)
	return b
}
