package plugin

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/docker/cli/cli/command"
	"github.com/moby/term"
)

// An output is standard output. It keeps the first failure to write, which the
// docker CLI's formatter does not tell, and writes nothing after it.
type output struct {
	to     io.Writer
	mu     sync.Mutex
	failed error // an *outputError, or nil
}

// An outputError is that of standard output. A mistake in --format it is not.
type outputError struct{ err error }

func (e *outputError) Error() string { return "standard output: " + e.err.Error() }

func (e *outputError) Unwrap() error { return e.err }

// Write writes, unless that failed before.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return 0, o.failed
	}
	n, err := o.to.Write(p)
	if err != nil {
		var of *fs.PathError
		if errors.As(err, &of) {
			err = &os.SyscallError{Syscall: of.Op, Err: of.Err} // its path says nothing
		}
		o.failed = &outputError{err}
	}
	return n, o.failed
}

// with is what a command returned, and what failed to be written of it.
func (o *output) with(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil || errors.Is(err, o.failed) {
		return err
	}
	return errors.Join(err, o.failed)
}

// toStandardOutput makes an output the docker CLI's, which takes it for the
// terminal that it may be.
func toStandardOutput(out *output) command.CLIOption {
	return func(dockerCLI *command.DockerCli) error {
		_, stdout, _ := term.StdStreams()
		_, terminal := term.GetFdInfo(stdout)
		out.to = stdout
		err := command.WithOutputStream(out)(dockerCLI)
		dockerCLI.Out().SetIsTerminal(terminal)
		return err
	}
}

// outliveReaders keeps a reader of standard output or standard error that goes
// away from ending the process (SIGPIPE): whoever changes things carries on, and
// says what was done. The write fails instead.
func outliveReaders() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // Ignore would hold for the tools that are run, too
}
