package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// run shows it all and removes what it made.
func run(ctx context.Context, out io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("starts a Docker daemon, which needs root: sudo make demo")
	}
	fmt.Fprintln(out, "Looking for Docker and busybox, installing what is missing …")
	e, err := engine.Debian(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	dir, err := engine.TempDir("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Sweep(dir)) }()
	fmt.Fprintln(out, "Building docker orphans …")
	program, err := engine.BuildPlugin(ctx, dir)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	ended := make(chan error, 1)
	go func() { ended <- play(e, dir, program, out) }()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
		// What the play is doing fails as the daemon goes.
		return ctx.Err()
	}
}

// play runs the story. Its failures arrive as panics of [stage.Fatalf].
func play(e engine.Engine, dir, program string, out io.Writer) (err error) {
	s := &stage{out: out}
	defer func() {
		s.end()
		switch r := recover().(type) {
		case nil:
			err = s.err
		case failure:
			err = r
		default:
			panic(r)
		}
	}()
	s.tell(e, dir, program)
	return nil
}

// A stage is what the harness asks of a test, without one.
type stage struct {
	out      io.Writer
	cleanups []func()
	err      error
}

type failure struct{ error }

func (*stage) Helper() {}

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *stage) Errorf(format string, args ...any) {
	s.err = errors.Join(s.err, fmt.Errorf(format, args...))
}

func (s *stage) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// end runs what the harness wants to be run, the last first.
func (s *stage) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}
