// Package apart runs the tests of a package on a machine of their own: in a
// process table that has no other processes, and in a mount namespace that no
// other process lives in.
//
// The program looks at every process of the machine. Packages are tested side
// by side, and what some of them set up on purpose (a namespace that cannot be
// entered, an overlay that is mounted nowhere, a jail) keeps everything from
// being judged, in a test of another package as on any machine.
package apart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Runner runs tests; *testing.M is one.
type Runner interface{ Run() int }

// M makes of a package's tests what runs them apart. It takes root; to anybody
// else they run where they are.
func M(tests Runner) Runner { return runner{tests} }

type runner struct{ tests Runner }

// variable tells a process that it is apart already, and those that it starts.
const variable = "DOCKER_ORPHANS_TEST_APART"

// Run implements [Runner]. What it returns is the process's exit status.
func (r runner) Run() int {
	if os.Geteuid() != 0 {
		return r.tests.Run()
	}
	status, err := 0, error(nil)
	if os.Getenv(variable) == "" {
		status, err = again()
	} else if err = settle(); err == nil {
		status = r.tests.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "to run tests apart:", err)
		return 1
	}
	return status
}

// again runs this program anew, as the first process of a table.
func again() (status int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL, // and all of the table with it
	}
	runtime.LockOSThread() // the signal comes when the thread ends that started it
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return ended.ExitCode(), nil
	}
	return 0, err
}

// settle makes the first process's view of the machine its own. One that it
// started has it already.
func settle() error {
	if os.Getpid() != 1 {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount /", err)
	}
	return os.NewSyscallError("mount /proc", unix.Mount("proc", "/proc", "proc", 0, ""))
}
