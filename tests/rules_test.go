package tests

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// ruleName is how code and tests name the rules that they rely on: "rule 8",
// "rules 10, 11 and 15".
var ruleName = regexp.MustCompile(`\brules? (\d+(?:(?:, | and )\d+)*)`)

// The rules that are never broken are numbered in prune/doc.go: every one is
// named by the code that keeps it and by a test that goes red without it, and
// no other number is.
func TestEveryRuleIsKeptAndTested(t *testing.T) {
	doc, err := os.ReadFile("../prune/doc.go")
	assert.NilError(t, err)
	rules := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^//\s+(\d+)\. `).FindAllStringSubmatch(string(doc), -1) {
		rules[m[1]] = true
	}
	assert.Equal(t, len(rules), 16)
	code, tests := map[string]string{}, map[string]string{}
	err = filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "prune/doc.go") || strings.HasSuffix(path, "rules_test.go") && strings.Count(path, "/") == 0 {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		named := code
		if strings.HasSuffix(path, "_test.go") {
			named = tests
		}
		for _, m := range ruleName.FindAllStringSubmatch(string(data), -1) {
			for _, number := range regexp.MustCompile(`\d+`).FindAllString(m[1], -1) {
				named[number] = path
			}
		}
		return nil
	})
	assert.NilError(t, err)
	for number, path := range code {
		assert.Assert(t, rules[number], "%s names rule %s, which there is not", path, number)
	}
	for n := 1; n <= len(rules); n++ {
		number := fmt.Sprint(n)
		assert.Assert(t, code[number] != "", "no code names rule %d", n)
		assert.Assert(t, tests[number] != "", "no test names rule %d", n)
	}
}
