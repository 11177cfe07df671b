package bolt

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// TestCopyOfDamagedFiles damages one byte at a time, all over the file. A
// copy that is returned all the same must be readable to the end: verify
// must have seen whatever bbolt would stumble over.
func TestCopyOfDamagedFiles(t *testing.T) {
	data := image(t, &bbolt.Options{PageSize: 1 << 10}, buckets)
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	const rounds = 300
	for range rounds {
		damaged := bytes.Clone(data)
		// Heads of pages are where damage is dangerous: prefer them.
		at := rnd.IntN(len(data)/1024)*1024 + rnd.IntN(1024)>>rnd.IntN(6)
		damaged[at] ^= byte(1 + rnd.IntN(255))
		db, err := copyImage(t, damaged)
		if err != nil {
			assert.ErrorIs(t, err, ErrDamaged, "byte %d", at)
			refused++
			continue
		}
		content(t, db)
		assert.NilError(t, db.Close())
	}
	assert.Assert(t, refused > rounds/4, "%d of %d", refused, rounds)
}

func TestCopyOfTruncatedFiles(t *testing.T) {
	data := image(t, nil, buckets)
	for _, n := range []int{0, 1, 15, 16, 79, 80, 4095, 4096, 4200, 8191, 8192, 12288, len(data) / 2} {
		_, err := copyImage(t, data[:n])
		assert.ErrorIs(t, err, ErrDamaged, "%d bytes", n)
	}
}
