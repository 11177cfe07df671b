package lookup

import (
	"fmt"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"
)

// A table finds what a map of lists finds, in the same order.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "key"))
		}), 0, 400).Draw(t, "keys")
		var table Table
		want := map[string][]int32{}
		for i, key := range keys {
			table.Add(int32(i), func(i int32) string { return keys[i] })
			want[key] = append(want[key], int32(i))
		}
		for i := range 202 {
			key := fmt.Sprint(i)
			var got []int32
			for number := range table.Find(key) {
				if keys[number] == key {
					got = append(got, number)
				}
			}
			assert.Assert(t, slices.Equal(got, want[key]), "%s: %v, want %v", key, got, want[key])
		}
	})
}
