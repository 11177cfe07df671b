package bolt

import (
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// FuzzCopy feeds Copy with files that are no database any more. Whatever it
// returns must be readable to the end without a panic: check runs in a
// goroutine of bbolt's, where a panic that verify did not foresee ends the
// test.
func FuzzCopy(f *testing.F) {
	for _, options := range []*bbolt.Options{{PageSize: 1 << 10}, {PageSize: 1 << 10, NoFreelistSync: true}} {
		data := image(f, options, few)
		f.Add(data, true)
		f.Add(data[:len(data)/2], false)
		f.Add(data[:len(data)*3/4], true)
		flipped := append([]byte(nil), data...)
		flipped[len(data)/3] ^= 0x10
		f.Add(flipped, true)
		f.Add(image(f, options, func(*bbolt.Tx) error { return nil }), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, signed bool) {
		if signed && len(data) > 4096+80 {
			// Without this, hardly any input gets past the checksum.
			size := int(native.Uint32(data[headerSize+8:]))
			if size >= minPageSize && size+80 <= len(data) {
				sign(data, size)
			}
		}
		db, err := copyImage(t, data)
		if err != nil {
			return
		}
		defer db.Close()
		assert.NilError(t, View(db, func(tx *bbolt.Tx) error {
			_, err := visit(tx)
			return err
		}))
	})
}
