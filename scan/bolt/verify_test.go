package bolt

import (
	"bytes"
	"hash/fnv"
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// pageOf is the page of an image that holds some bytes, and several keys.
func pageOf(t *testing.T, data []byte, pageSize int, flags uint16, has string) []byte {
	t.Helper()
	for off := 2 * pageSize; off < len(data); off += pageSize {
		p := data[off : off+pageSize]
		// bbolt writes the pages in no order of its own, some with one key, whose
		// place nothing limits.
		if native.Uint16(p[8:]) == flags && native.Uint64(p) == uint64(off/pageSize) && native.Uint16(p[10:]) > 1 && bytes.Contains(p, []byte(has)) {
			return p
		}
	}
	t.Fatalf("no page of type %#x has %q", flags, has)
	return nil
}

// sign makes the checksum of the meta page of the newest transaction right,
// as that of a file which was damaged before it was written.
func sign(data []byte, pageSize int) {
	for _, m := range [][]byte{data[headerSize:], data[pageSize+headerSize:]} {
		sum := fnv.New64a()
		sum.Write(m[:56])
		native.PutUint64(m[56:], sum.Sum64())
	}
}

func TestVerify(t *testing.T) {
	const pageSize = 1 << 10
	intact := image(t, &bbolt.Options{PageSize: pageSize}, buckets)
	newest := func(data []byte) []byte {
		a, b := data[headerSize:], data[pageSize+headerSize:]
		if native.Uint64(a[48:]) > native.Uint64(b[48:]) {
			return a
		}
		return b
	}
	leaf := func(data []byte) []byte { return pageOf(t, data, pageSize, leafPage, "nested") }
	branch := func(data []byte) []byte { return pageOf(t, data, pageSize, branchPage, "bucket") }
	freelist := func(data []byte) []byte { return data[native.Uint64(newest(data)[32:])*pageSize:] }
	tests := []struct {
		name   string
		damage func(data []byte)
		err    string
	}{
		{"checksum", func(d []byte) { newest(d)[48]++ }, "does not match its checksum"},
		{"magic", func(d []byte) { newest(d)[0]++ }, "no bolt database"},
		{"version", func(d []byte) { newest(d)[4]++; sign(d, pageSize) }, "version 3 is unknown"},
		{"page size", func(d []byte) { d[headerSize+8] = 1; sign(d, pageSize) }, "pages of 1025 bytes"},
		{"meta in the other's place", func(d []byte) { copy(d[pageSize:], d[:pageSize]) }, "of another place"},
		{"old meta", func(d []byte) { newest(d)[48] += 2; sign(d, pageSize) }, "do not follow each other"},
		{"more pages than the file has", func(d []byte) { newest(d)[42] = 1; sign(d, pageSize) }, "bytes long, its pages need"},
		{"absurdly many pages", func(d []byte) { newest(d)[46] = 1; sign(d, pageSize) }, " pages"},
		{"no pages", func(d []byte) { native.PutUint64(newest(d)[40:], 2); sign(d, pageSize) }, "2 pages"},
		{"root", func(d []byte) { native.PutUint64(newest(d)[16:], 1<<30); sign(d, pageSize) }, "out of bounds"},
		{"root is a meta", func(d []byte) { native.PutUint64(newest(d)[16:], 1); sign(d, pageSize) }, "used twice"},
		{"freelist", func(d []byte) { native.PutUint64(newest(d)[32:], 1<<30); sign(d, pageSize) }, "out of bounds"},
		{"page number", func(d []byte) { leaf(d)[0]++ }, "says that it is page"},
		{"page type", func(d []byte) { leaf(d)[8] = 8 }, "page type 0x8"},
		{"page type is meta", func(d []byte) { leaf(d)[8] = metaPage }, "page type 0x4"},
		{"overflow", func(d []byte) { leaf(d)[14] = 1 }, "more pages"},
		{"overflow into another page", func(d []byte) { leaf(d)[12]++ }, "used twice"},
		{"count", func(d []byte) { leaf(d)[11] = 1 }, "elements do not fit"},
		{"branch without children", func(d []byte) { native.PutUint16(branch(d)[10:], 0) }, "branch without children"},
		{"child", func(d []byte) { native.PutUint64(branch(d)[headerSize+8:], 1<<40) }, "out of bounds"},
		{"child is its parent", func(d []byte) { copy(branch(d)[headerSize+8:], branch(d)[:8]) }, "used twice"},
		{"element flags", func(d []byte) { leaf(d)[headerSize] |= 2 }, "flags 0x"},
		{"key position", func(d []byte) { leaf(d)[headerSize+7] = 1 }, "out of bounds"},
		{"key size", func(d []byte) { leaf(d)[headerSize+11] = 255 }, "out of bounds"},
		{"value size", func(d []byte) { leaf(d)[headerSize+15] = 255 }, "out of bounds"},
		{"key order", func(d []byte) {
			p := leaf(d)
			p[headerSize+int(native.Uint32(p[headerSize+4:]))] = 0xFF
		}, "out of order"},
		{"bucket value", func(d []byte) {
			p := pageOf(t, d, pageSize, leafPage, "empty")
			i := bytes.Index(p, []byte("empty")) + len("empty")
			p[i+bucketHeader+8] = branchPage
		}, "inline bucket: page type 0x1"},
		{"no bucket at the top", func(d []byte) {
			p := pageOf(t, d, pageSize, leafPage, "empty") // the last of the page
			p[headerSize+elementSize*(int(native.Uint16(p[10:]))-1)] = 0
		}, "key 656d707479 is no bucket"},
		{"freelist type", func(d []byte) { freelist(d)[8] = leafPage }, "instead of a freelist"},
		{"free page is used", func(d []byte) { native.PutUint64(freelist(d)[headerSize:], native.Uint64(newest(d)[16:])) }, "used twice"},
		{"free page out of bounds", func(d []byte) { native.PutUint64(freelist(d)[headerSize:], 1<<50) }, "out of bounds"},
		{"lost page", func(d []byte) { native.PutUint16(freelist(d)[10:], native.Uint16(freelist(d)[10:])-1) }, "neither used nor free"},
		{"long freelist", func(d []byte) { native.PutUint16(freelist(d)[10:], 0xFFFF) }, "freelist: page 0: used twice"},
		{"freelist count", func(d []byte) { native.PutUint16(freelist(d)[10:], 0xFFFE) }, "free pages do not fit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := bytes.Clone(intact)
			test.damage(data)
			assert.Assert(t, !bytes.Equal(data, intact))
			_, err := copyImage(t, data)
			assert.ErrorIs(t, err, ErrDamaged)
			assert.ErrorContains(t, err, test.err)
		})
	}
}

// TestVerifyAgreesWithCheck makes sure that what bbolt writes passes, with
// deletions that leave pages free and a freelist that overflows its page.
func TestVerifyAgreesWithCheck(t *testing.T) {
	options := &bbolt.Options{PageSize: 1 << 10, NoSync: true}
	l := openLedger(t, options)
	for i := range 200 {
		assert.NilError(t, l.write())
		if i%40 != 0 {
			continue
		}
		assert.NilError(t, l.Update(func(tx *bbolt.Tx) error {
			if b := tx.Bucket([]byte("debit")); b != nil {
				for c, n := b.Cursor(), 0; n < 5; n++ {
					k, _ := c.First()
					assert.NilError(t, tx.Bucket([]byte("credit")).Delete(k))
					assert.NilError(t, c.Delete())
				}
			}
			return nil
		}))
		db, err := Copy(t.Context(), dir{root: l.root}, "x.db")
		assert.NilError(t, err)
		assert.NilError(t, db.Close())
	}
}
