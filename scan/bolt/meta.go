package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of a bolt file (bbolt internal/common: page.go, meta.go,
// bucket.go), which is in the byte order of the machine that wrote it.
const (
	magic   = 0xED0CDAED
	version = 2

	headerSize   = 16 // id, flags, count, overflow
	metaSize     = 64
	elementSize  = 16
	bucketHeader = 16 // root page, sequence

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10

	bucketFlag = 1 // of a leaf element: its value is a bucket

	firstPage  = 2         // pages 0 and 1 are the metas
	noFreelist = 1<<64 - 1 // instead of a page: the freelist is not on disk

	// The page size is that of the machine that made the file. The bounds
	// are those between which bbolt looks for it.
	minPageSize = 1 << 10
	maxPageSize = 1 << 24

	// smallestFile is what bbolt needs to find the page size.
	smallestFile = 4 << 10
)

// native is the byte order of the file.
var native = binary.NativeEndian

// A meta says what one transaction left: where the tree begins, what is free,
// and how many pages there are.
type meta struct {
	pageSize int64
	root     uint64
	freelist uint64
	pages    uint64 // the high-water mark: no page of the transaction is at or above it
	txid     uint64
}

// metas are both meta pages: transactions write them in turn, so that one is
// whole at any moment.
type metas struct {
	both [2]meta
	raw  [2][headerSize + metaSize]byte
}

// newest is the meta of the newest transaction.
func (m *metas) newest() meta {
	if m.both[1].txid > m.both[0].txid {
		return m.both[1]
	}
	return m.both[0]
}

// bytes is the size of all pages of the newest transaction. It cannot
// overflow: see parseMeta.
func (m *metas) bytes() uint64 {
	return m.newest().pages * uint64(m.newest().pageSize)
}

// readMetas reads both meta pages. A file with only one that is valid is
// damaged: its newest transaction may be lost.
func readMetas(r io.ReaderAt) (metas, error) {
	var m metas
	var off int64
	for i := range m.both {
		if err := readFull(r, m.raw[i][:], off); err != nil {
			return metas{}, err
		}
		var err error
		if m.both[i], err = parseMeta(m.raw[i][:], uint64(i)); err != nil {
			return metas{}, err
		}
		off = m.both[0].pageSize
	}
	a, b := m.both[0], m.both[1]
	if a.pageSize != b.pageSize {
		return metas{}, fmt.Errorf("%w: pages of %d and of %d bytes", ErrDamaged, a.pageSize, b.pageSize)
	}
	if a.txid != b.txid+1 && b.txid != a.txid+1 {
		return metas{}, fmt.Errorf("%w: transactions %d and %d do not follow each other", ErrDamaged, a.txid, b.txid)
	}
	return m, nil
}

// parseMeta reads a meta page. Transactions with an even number write page 0.
func parseMeta(raw []byte, id uint64) (meta, error) {
	body := raw[headerSize:]
	m := meta{
		pageSize: int64(native.Uint32(body[8:])),
		root:     native.Uint64(body[16:]),
		freelist: native.Uint64(body[32:]),
		pages:    native.Uint64(body[40:]),
		txid:     native.Uint64(body[48:]),
	}
	sum := fnv.New64a()
	sum.Write(body[:56]) // a hash never fails to write
	switch {
	case native.Uint32(body) != magic:
		return m, fmt.Errorf("%w: no bolt database", ErrDamaged)
	case native.Uint32(body[4:]) != version:
		return m, fmt.Errorf("%w: version %d is unknown", ErrDamaged, native.Uint32(body[4:]))
	case native.Uint64(body[56:]) != sum.Sum64():
		return m, fmt.Errorf("%w: meta page %d does not match its checksum", ErrDamaged, id)
	case native.Uint64(raw) != id || native.Uint16(raw[8:]) != metaPage || m.txid%2 != id:
		return m, fmt.Errorf("%w: meta page %d is of another place", ErrDamaged, id)
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0:
		return m, fmt.Errorf("%w: pages of %d bytes", ErrDamaged, m.pageSize)
	case m.pages > 1<<36:
		return m, fmt.Errorf("%w: %d pages", ErrDamaged, m.pages)
	}
	return m, nil
}
