// Package thin reads the metadata of a thin pool that is not active: which
// devices it has, and what made each. It is what thin_dump prints of the
// devices, read by ourselves, so that the root of a stopped daemon can be
// looked at on a machine without a device mapper and without tools.
//
// The metadata are blocks of 4096 bytes (linux
// drivers/md/dm-thin-metadata.c, drivers/md/persistent-data/dm-btree*):
// a superblock, and trees below it. Each block has a checksum and its own
// number, and whatever does not fit is an error: a pool that is in use while
// its metadata are copied gives a copy that contradicts itself.
package thin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// MaxDevice is the highest number that a thin device can have.
const MaxDevice = 1<<24 - 1

// Metadata are what a pool knows of itself.
type Metadata struct {
	Transaction uint64 // of the last change that its owner counted
	NeedsCheck  bool
	BlockSize   int64 // bytes of a block of data
	Data        Fill
	Meta        Fill
	Devices     []Device
}

// A Fill is how full something is, in bytes.
type Fill struct{ Used, Size int64 }

// A Device is a thin device of a pool.
type Device struct {
	ID          uint32
	Mapped      uint64 // blocks of data that it shows; others may share them
	Transaction uint64 // the pool's, when it was made
}

// Device returns the device of a number; nil if the pool has none.
func (m *Metadata) Device(id uint32) *Device {
	for i := range m.Devices {
		if m.Devices[i].ID == id {
			return &m.Devices[i]
		}
	}
	return nil
}

const (
	blockSize = 4096
	reserved  = 4096 // blocks at most
	sector    = 512

	magic        = 27022010
	version      = 2
	superXOR     = 160774
	nodeXOR      = 121107
	needsCheck   = 1 << 0
	internalNode = 1 << 0
	leafNode     = 1 << 1
	headerSize   = 32
	detailSize   = 24
	maxDepth     = 8 // 126 entries a node at least: more than there can be devices
)

// Offsets in the superblock.
const (
	superFlags       = 4
	superNumber      = 8
	superMagic       = 32
	superVersion     = 40
	superTransaction = 48
	superData        = 64       // a space map: how many blocks there are, how many are in use
	superMeta        = 64 + 128 // the same of the metadata
	superMappings    = 64 + 128 + 128
	superDetails     = superMappings + 8
	superDataBlock   = superDetails + 8
	superMetaBlock   = superDataBlock + 4
	superIncompat    = superMetaBlock + 4 + 8 + 4 + 4
)

// Read reads the metadata of a pool that nothing writes.
func Read(r io.ReaderAt) (*Metadata, error) {
	m, block, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	t := &tree{r: r, leaf: detailSize, seen: map[uint64]bool{0: true}}
	err = t.walk(binary.LittleEndian.Uint64(block[superDetails:]), 0, func(id uint64, value []byte) error {
		if last := len(m.Devices) - 1; id > MaxDevice || last >= 0 && uint64(m.Devices[last].ID) >= id {
			return fmt.Errorf("device %d is out of order", id)
		}
		m.Devices = append(m.Devices, Device{
			ID: uint32(id), Mapped: binary.LittleEndian.Uint64(value), Transaction: binary.LittleEndian.Uint64(value[8:]),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// ReadFill reads how full a pool is: nothing but its superblock, which the
// kernel writes at once, so that the pool may be in use.
func ReadFill(r io.ReaderAt) (data, meta Fill, err error) {
	m, _, err := readSuper(r)
	if err != nil {
		return Fill{}, Fill{}, err
	}
	return m.Data, m.Meta, nil
}

// readSuper reads what the superblock says, and returns it too.
func readSuper(r io.ReaderAt) (*Metadata, []byte, error) {
	block, err := read(r, 0, superXOR)
	if err != nil {
		return nil, nil, fmt.Errorf("superblock: %w", err)
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(block[at:]) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(block[at:]) }
	switch {
	case u64(superMagic) != magic:
		return nil, nil, errors.New("superblock: is not that of a thin pool")
	case u64(superNumber) != 0:
		return nil, nil, fmt.Errorf("superblock: says that it is block %d", u64(superNumber))
	case u32(superVersion) == 0 || u32(superVersion) > version:
		return nil, nil, fmt.Errorf("superblock: version %d is not known", u32(superVersion))
	case u32(superIncompat) != 0:
		return nil, nil, fmt.Errorf("superblock: features %#x are not known", u32(superIncompat))
	case u32(superMetaBlock) != blockSize/sector:
		return nil, nil, fmt.Errorf("superblock: blocks of %d sectors", u32(superMetaBlock))
	}
	m := &Metadata{
		Transaction: u64(superTransaction), NeedsCheck: u32(superFlags)&needsCheck != 0,
		BlockSize: int64(u32(superDataBlock)) * sector,
	}
	if m.Data, err = readFill(block[superData:], m.BlockSize); err != nil {
		return nil, nil, fmt.Errorf("superblock: data: %w", err)
	}
	if m.Meta, err = readFill(block[superMeta:], blockSize); err != nil {
		return nil, nil, fmt.Errorf("superblock: metadata: %w", err)
	}
	// What the kernel keeps for deleting devices of a full pool counts as used, as
	// dmsetup status says it (__set_metadata_reserve).
	m.Meta.Used = min(m.Meta.Used+min(m.Meta.Size/blockSize/10, reserved)*blockSize, m.Meta.Size)
	return m, block, nil
}

// readFill reads the root of a space map.
func readFill(root []byte, size int64) (Fill, error) {
	all, used := binary.LittleEndian.Uint64(root), binary.LittleEndian.Uint64(root[8:])
	if used > all || all > math.MaxInt64/uint64(max(size, 1)) {
		return Fill{}, fmt.Errorf("%d of %d blocks in use", used, all)
	}
	return Fill{Used: int64(used) * size, Size: int64(all) * size}, nil
}

// A tree is the reading of one.
type tree struct {
	r    io.ReaderAt
	leaf uint32 // bytes of a value in its leaves
	seen map[uint64]bool
}

// walk calls f for each entry at and below a node, in the order of their keys.
func (t *tree) walk(number uint64, depth int, f func(key uint64, value []byte) error) error {
	if t.seen[number] || depth > maxDepth {
		return fmt.Errorf("block %d: is part of a circle", number)
	}
	t.seen[number] = true
	n, err := t.node(number)
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	for i := range n.entries {
		if !n.leaf {
			err = t.walk(binary.LittleEndian.Uint64(n.value(i)), depth+1, f)
		} else if err = f(n.key(i), n.value(i)); err != nil {
			err = fmt.Errorf("block %d: %w", number, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A node is one block of a tree: a header, the keys, and from where they end
// if there were as many as there can be, the values.
type node struct {
	block        []byte
	leaf         bool
	entries, max int
	size         int // of a value
}

func (n *node) key(i int) uint64 {
	return binary.LittleEndian.Uint64(n.block[headerSize+8*i:])
}

func (n *node) value(i int) []byte {
	at := headerSize + 8*n.max + n.size*i
	return n.block[at : at+n.size]
}

func (t *tree) node(number uint64) (*node, error) {
	block, err := read(t.r, number, nodeXOR)
	if err != nil {
		return nil, err
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(block[at:]) }
	flags, entries, most, size := u32(4), u32(16), u32(20), u32(24)
	n := &node{block: block, leaf: flags == leafNode, entries: int(entries), max: int(most), size: int(size)}
	want := uint32(8)
	if n.leaf {
		want = t.leaf
	}
	switch {
	case binary.LittleEndian.Uint64(block[8:]) != number:
		return nil, errors.New("has the number of another")
	case flags != leafNode && flags != internalNode:
		return nil, fmt.Errorf("flags %#x are not known", flags)
	case size != want:
		return nil, fmt.Errorf("values of %d bytes", size)
	case entries > most || uint64(most) > (blockSize-headerSize)/uint64(8+size):
		return nil, fmt.Errorf("%d of %d entries do not fit", entries, most)
	}
	return n, nil
}

// castagnoli is the polynomial of the checksums.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// read reads a block and checks its sum: that of all that follows it, not
// inverted at the end, mixed with a number for each kind of block.
func read(r io.ReaderAt, number uint64, xor uint32) ([]byte, error) {
	const most = 16 << 30 / blockSize // metadata are 16 GB at most
	if number >= most {
		return nil, errors.New("lies behind the end")
	}
	block := make([]byte, blockSize)
	if _, err := r.ReadAt(block, int64(number)*blockSize); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("lies behind the end")
		}
		return nil, err
	}
	if sum := ^crc32.Checksum(block[4:], castagnoli) ^ xor; sum != binary.LittleEndian.Uint32(block) {
		return nil, errors.New("its checksum is wrong")
	}
	return block, nil
}
