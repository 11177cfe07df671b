// Package tool runs the few programs of the machine that tell what no file
// does: which thin devices the kernel has, which datasets lie in a pool.
//
// A program is run by an absolute path from a short list, with arguments that
// the caller fixes, nothing of the environment, and no standard input. It must
// belong to root and nobody else may be able to change it: the scan runs as
// root. What it answers is small; more than that is an error.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Tool is a program that may be installed.
type Tool struct {
	Name     string
	Packages string   // what has it: "dmsetup (Debian, Ubuntu), device-mapper (Fedora)"
	Dirs     []string // where it is looked for; nil: the machine's own places
}

// dirs are where distributions put such programs.
var dirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"}

// The limits of an answer.
const (
	maxOutput = 64 << 20
	patience  = 2 * time.Minute
)

// ErrMissing is the error of a program that is not installed.
var ErrMissing = errors.New("is not installed")

// An Error is how a run of a program failed.
type Error struct {
	Command string // as one would type it
	Said    string // what it wrote to standard error
	Err     error
}

func (e *Error) Error() string {
	if e.Said == "" {
		return e.Command + ": " + e.Err.Error()
	}
	return fmt.Sprintf("%s: %s (%v)", e.Command, e.Said, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Hint is what a person can do about an error of [Tool.Run]; "" if that is not
// known.
func (t Tool) Hint(err error) string {
	if errors.Is(err, ErrMissing) {
		return "install " + t.Packages
	}
	return ""
}

// Run runs the program and returns what it wrote to standard output. An exit
// status other than 0 is an [Error], and so is an answer that is too long or
// does not come.
func (t Tool) Run(ctx context.Context, args ...string) ([]byte, error) {
	path, err := t.find()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out, said limited
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + strings.Join(dirs, ":")}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil && out.over {
		err = errors.New("answers more than can be")
	}
	if err != nil {
		return nil, &Error{strings.Join(append([]string{t.Name}, args...), " "), clean(said.data.Bytes()), err}
	}
	return out.data.Bytes(), nil
}

// find returns the program's path.
func (t Tool) find() (string, error) {
	places := t.Dirs
	if places == nil {
		places = dirs
	}
	for _, dir := range places {
		path := dir + "/" + t.Name
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = trusted(info)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return path, nil
	}
	return "", fmt.Errorf("%s: %w", t.Name, ErrMissing)
}

// clean puts what a program complained about on one line.
func clean(said []byte) string {
	const enough = 400
	line := strings.Join(strings.Fields(string(said)), " ")
	if len(line) > enough {
		line = line[:enough] + "…"
	}
	return line
}

// limited is a buffer that takes only so much and drops the rest.
type limited struct {
	data bytes.Buffer // no part of the struct: its ReadFrom would take everything
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.data.Len()+len(p) > maxOutput {
		l.over = true
		return len(p), nil
	}
	return l.data.Write(p)
}
