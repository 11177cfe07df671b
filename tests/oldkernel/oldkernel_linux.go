// Package oldkernel runs tests again as on a Linux 3.10, where statx, openat2
// and memfd_create are not there, and without socket diagnosis: what a program
// does where they are missing has to be as careful.
package oldkernel

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// missing are the system calls that answer ENOSYS, each with the version that
// brought it.
var missing = []uint32{
	unix.SYS_STATX,        // 4.11
	unix.SYS_OPENAT2,      // 5.6
	unix.SYS_MEMFD_CREATE, // 3.17
}

// variable tells a test that it runs so.
const variable = "DOCKER_ORPHANS_TEST_OLD_KERNEL"

// Run runs tests of the calling test's own binary again, and fails as they do.
func Run(t *testing.T, pattern string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run="+pattern, "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), variable+"=1")
	done := make(chan error)
	var out []byte
	go func() {
		runtime.LockOSThread() // for good: the thread's filter stays
		err := filter()
		if err == nil {
			out, err = cmd.CombinedOutput() // forks from this thread, so the child has it
		}
		done <- err
	}()
	err := <-done
	assert.NilError(t, err, "%s", out)
	t.Logf("%s", out)
}

// filter takes the system calls from the calling thread and its children.
func filter() error {
	const number, argument = 0, 16 // in seccomp_data
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	// skip goes on behind the next instruction unless the value is k.
	skip := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: 1}
	}
	give := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{load(number)}
	for _, call := range missing {
		program = append(program, skip(call), give(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		load(argument), skip(unix.AF_NETLINK), give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPROTONOSUPPORT)),
		give(unix.SECCOMP_RET_ALLOW))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}
