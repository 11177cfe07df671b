// Package outfile writes a file of the user's, whole or not at all, and never
// into the data root.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A File is one that is being written. It has its name only once it is whole.
type File struct {
	file *os.File
	name string
	done bool
}

// Create begins a file that only its owner may read, in place of the regular
// file that has its name if there is one. Nothing at or below the directory
// notBelow is written.
func Create(name, notBelow string) (*File, error) {
	clean, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(clean)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is there, and is not a regular file", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(clean))
	if err != nil {
		return nil, err
	}
	below, err := isBelow(dir, notBelow)
	if err != nil {
		return nil, err
	}
	if below {
		return nil, fmt.Errorf("%s: is in the data root %s, where nothing is written", name, notBelow)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(clean)+".")
	if err != nil {
		return nil, err
	}
	return &File{file: f, name: filepath.Join(dir, filepath.Base(clean))}, nil
}

// isBelow reports whether a directory without symbolic links in its path is
// another one, or below it.
func isBelow(dir, top string) (bool, error) {
	there, err := os.Stat(top)
	if err != nil {
		return false, err
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false, err
		}
		if os.SameFile(info, there) {
			return true, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false, nil
		}
		dir = up
	}
}

// Write writes to the file.
func (f *File) Write(p []byte) (int, error) { return f.file.Write(p) }

// Commit gives the file its name, once all of it is on the disk.
func (f *File) Commit() error {
	if err := f.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.file.Name(), f.name); err != nil {
		return err
	}
	f.done = true
	return nil
}

// Close ends the writing. What was not committed is gone.
func (f *File) Close() error {
	err := f.file.Close()
	if !f.done {
		err = errors.Join(err, os.Remove(f.file.Name()))
	}
	return err
}
