// Package keep reads keep lists: what people say must stay, whatever a scan
// finds of it.
//
// A list is a file of lines, or a setting of entries with commas between:
//
//	[TYPE:]PATTERN [until=YYYY-MM-DD] [# reason]
//
// A pattern is an id, its beginning (of any length after TYPE:, else of 4
// characters or more), or a name, with the wildcards *, ? and […]. It is matched
// against ids, and against the names of containers and volumes, and of the image
// that something was of, as ls tells it. What matches is kept, with all that it
// needs.
//
// What is before a colon and is no type belongs to an image's name, as in app:1;
// but a type that is mistyped is an error, for the line would keep nothing.
package keep

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Dir is where a machine's lists are: every file in it is one, but for those
// that begin with a dot or end with a tilde.
const Dir = "/etc/docker/orphans/keep.d"

// maxList bounds a list's size.
const maxList = 1 << 20

// Read reads all lists of a directory; it may not be there. Every line that
// can be understood counts; the error tells of the others, and of lists that
// cannot be trusted.
func Read(dir string, now time.Time) ([]scan.KeepEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []scan.KeepEntry
	problems := []error{trusted(dir)}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		if err := trusted(name); err != nil {
			problems = append(problems, err)
		}
		found, err := readFile(name, now)
		list = append(list, found...)
		problems = append(problems, err)
	}
	return list, errors.Join(problems...)
}

func readFile(name string, now time.Time) ([]scan.KeepEntry, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if len(data) > maxList {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxList)
	}
	var list []scan.KeepEntry
	var problems []error
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxList)
	for n := 1; lines.Scan(); n++ {
		where := fmt.Sprintf("%s:%d", name, n)
		entry, err := parse(lines.Text(), where, now)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", where, err))
		}
		if entry != nil {
			list = append(list, *entry)
		}
	}
	return list, errors.Join(append(problems, lines.Err())...)
}

// Parse reads a setting: entries with commas between. where is its name.
func Parse(setting, where string, now time.Time) ([]scan.KeepEntry, error) {
	var list []scan.KeepEntry
	var problems []error
	for text := range strings.SplitSeq(setting, ",") {
		entry, err := parse(text, where, now)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", where, err))
		}
		if entry != nil {
			list = append(list, *entry)
		}
	}
	return list, errors.Join(problems...)
}

// parse reads a line. One without an entry, or whose entry has expired, has
// none.
func parse(line, where string, now time.Time) (*scan.KeepEntry, error) {
	text, reason, _ := strings.Cut(line, "#")
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, nil
	}
	e := scan.KeepEntry{Pattern: words[0], Reason: strings.TrimSpace(reason), Where: where}
	if before, after, ok := strings.Cut(e.Pattern, ":"); ok {
		switch {
		case isType(before):
			e.Type, e.Pattern = scan.Type(before), after
		case mistyped(before):
			return nil, fmt.Errorf("%q: there is no type %s (types: %s; if it is an image's name, write [%s]%s)",
				words[0], before, strings.Join(types(), ", "), before[:1], words[0][1:])
		}
	}
	e.Pattern = strings.TrimPrefix(e.Pattern, "sha256:")
	if e.Pattern == "" {
		return nil, fmt.Errorf("%q names nothing", words[0])
	}
	if _, err := path.Match(e.Pattern, ""); err != nil {
		return nil, fmt.Errorf("%q: not a pattern: a [ without its ], or a \\ at the end", words[0])
	}
	for _, word := range words[1:] {
		date, ok := strings.CutPrefix(word, "until=")
		if !ok {
			return nil, fmt.Errorf("%q: not known (known: until=YYYY-MM-DD; a reason begins with #)", word)
		}
		until, err := time.ParseInLocation(time.DateOnly, date, time.Local)
		if err != nil {
			return nil, fmt.Errorf("%q: not a date (example: until=2030-12-31)", word)
		}
		if !now.Before(until.AddDate(0, 0, 1)) { // that day included
			return nil, nil
		}
	}
	return &e, nil
}

func types() []string {
	names := make([]string, 0, len(scan.Contracts))
	for _, c := range scan.Contracts {
		names = append(names, string(c.Type))
	}
	return names
}

func isType(name string) bool { return slices.Contains(types(), name) }

// minSlip is how long a type is of which a slip can be told from another word.
const minSlip = 5

// mistyped reports whether a word is a type but for its spelling, or one that
// people take for a type.
func mistyped(word string) bool {
	plain := strings.NewReplacer("-", "", "_", "")
	word = plain.Replace(strings.ToLower(word))
	return word == "image" || word == "images" || slices.ContainsFunc(types(), func(name string) bool {
		name = plain.Replace(name)
		return word == name || word == name+"s" || len(name) >= minSlip && oneSlip(word, name)
	})
}

// oneSlip reports whether two words are equal but for one letter that is
// missing, wrong or too many, or for two that changed places.
func oneSlip(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}
