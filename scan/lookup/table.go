// Package lookup finds things by a name, where a map of the names would take
// more memory than the things: a data root can have a million of them.
package lookup

import (
	"hash/maphash"
	"iter"
)

// A Table finds entries of a slice by their keys. It holds numbers alone, four
// bytes an entry and as much again to spare; the keys stay in the slice. Several
// entries may have one key. The zero value is empty.
type Table struct {
	seed  maphash.Seed
	slots []int32 // open addressing: an entry's number from 1; 0: free
	count int
}

// Add adds the entry of a number, which is one more than that of the entry
// before; key returns any entry's key.
func (t *Table) Add(number int32, key func(int32) string) {
	if t.count >= len(t.slots)/4*3 {
		t.grow(key)
	}
	t.put(number, key(number))
	t.count++
}

// Find calls yield for every entry whose key may be the given one, in the
// order in which they were added, until it returns false. Others that share
// its place may be among them: the caller compares.
func (t *Table) Find(key string) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		if len(t.slots) == 0 {
			return
		}
		for i := t.home(key); t.slots[i] != 0; i = (i + 1) & (len(t.slots) - 1) {
			if !yield(t.slots[i] - 1) {
				return
			}
		}
	}
}

func (t *Table) put(number int32, key string) {
	i := t.home(key)
	for t.slots[i] != 0 {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = number + 1
}

// home is the slot at which the search for a key begins.
func (t *Table) home(key string) int {
	return int(maphash.String(t.seed, key) & uint64(len(t.slots)-1)) //nolint:gosec // masked to the size of a slice
}

// grow doubles the slots and puts every entry back, in its order.
func (t *Table) grow(key func(int32) string) {
	if len(t.slots) == 0 {
		t.seed = maphash.MakeSeed()
	}
	t.slots = make([]int32, max(64, 2*len(t.slots)))
	for number := range int32(t.count) {
		t.put(number, key(number))
	}
}
