package testkit

import (
	"context"
	"fmt"
	"sync"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Read is one question to a tree.
type Read struct {
	Op   string // the method's name
	Name string // of the file; the first, for Walk
}

func (r Read) String() string { return r.Op + " " + r.Name }

// A Tap is a tree that calls Before in front of every read, one at a time.
// What Before returns is what the read fails with; it may also change the disk
// under the reader.
type Tap struct {
	scan.Tree
	Before func(Read) error

	mu sync.Mutex
}

func (t *Tap) before(op, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.Before(Read{op, name}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ReadDir implements [scan.Tree].
func (t *Tap) ReadDir(name string) ([]scan.Entry, error) {
	if err := t.before("ReadDir", name); err != nil {
		return nil, err
	}
	return t.Tree.ReadDir(name)
}

// ReadFile implements [scan.Tree].
func (t *Tap) ReadFile(name string, limit int64) ([]byte, error) {
	if err := t.before("ReadFile", name); err != nil {
		return nil, err
	}
	return t.Tree.ReadFile(name, limit)
}

// ReadLink implements [scan.Tree].
func (t *Tap) ReadLink(name string) (string, error) {
	if err := t.before("ReadLink", name); err != nil {
		return "", err
	}
	return t.Tree.ReadLink(name)
}

// Stat implements [scan.Tree].
func (t *Tap) Stat(name string) (scan.Info, error) {
	if err := t.before("Stat", name); err != nil {
		return scan.Info{}, err
	}
	return t.Tree.Stat(name)
}

// Open implements [scan.Tree].
func (t *Tap) Open(name string) (scan.ReaderAt, error) {
	if err := t.before("Open", name); err != nil {
		return nil, err
	}
	return t.Tree.Open(name)
}

// Walk implements [scan.Tree]: a walk that fails says so in what it found.
func (t *Tap) Walk(ctx context.Context, watch scan.Watch, names ...string) (scan.Usage, error) {
	if err := t.before("Walk", names[0]); err != nil {
		return scan.Usage{Problem: err.Error()}, nil
	}
	return t.Tree.Walk(ctx, watch, names...)
}
