package main

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// Every mutation still applies to the code, and every rule that the scan keeps
// has some.
func TestTable(t *testing.T) {
	rules := map[int]int{}
	for _, m := range mutations() {
		text, err := os.ReadFile(filepath.Join("../..", m.file))
		assert.NilError(t, err)
		broken, err := m.apply(string(text))
		assert.Check(t, err)
		assert.Check(t, broken != string(text), "%s: breaks nothing", m)
		rules[m.rule]++
	}
	for _, rule := range []int{1, 2, 3, 4, 5, 11, 12, 16} {
		assert.Check(t, rules[rule] > 0, "rule %d has no mutation", rule)
	}
}
