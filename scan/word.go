package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrEmpty is the error of a file that is there and empty: the daemon never
// means that.
var ErrEmpty = errors.New("is empty")

// Word reads a file that holds one word or a short list, of limit bytes at
// most. An empty file is [ErrEmpty].
func (in *Input) Word(name string, limit int64) (string, error) {
	data, err := in.Tree.ReadFile(name, limit)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", fmt.Errorf("%s: %w", name, ErrEmpty)
	}
	return text, nil
}

// Gone reports whether something vanished while it was being read.
func (in *Input) Gone(name string) bool {
	_, err := in.Tree.Stat(name)
	return errors.Is(err, fs.ErrNotExist)
}
