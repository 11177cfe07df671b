//go:build linux

package script

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// nobodyReads runs the command in its arguments with a standard output whose
// reader has gone. It ends as a shell says: 128 and the signal.
func nobodyReads() {
	reader, writer, err := os.Pipe()
	if err = errors.Join(err, reader.Close()); err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, writer, os.Stderr
	err = cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		panic(err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(cmd.ProcessState.ExitCode())
}
