package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/process"
)

// ReadPinned enters the namespaces of the survey's pins that no process lives
// in, and calls each for every mount there, in views that name the pin. A
// namespace that it read is no longer unseen; of another the pin says why.
// Entering one takes the rights to administrate and to change the root
// (CAP_SYS_ADMIN, CAP_SYS_CHROOT).
//
// Only the system's own process table, /proc, leads to namespaces: with
// another the pins stay as they are. An error means that the context is done.
func (s *Survey) ReadPinned(ctx context.Context, proc string, each func(*View, *mountinfo.Info)) error {
	if proc != "/proc" {
		return nil
	}
	for i := 0; i < len(s.Pins); i++ { // what is read may have pins as well
		if err := ctx.Err(); err != nil {
			return err
		}
		p := s.Pins[i]
		if s.Namespaces[p.Namespace] || p.Err != nil {
			continue
		}
		if err := s.readPin(&p, each); err != nil {
			s.Pins[i].Err = err
			continue
		}
		s.Namespaces[p.Namespace] = true
	}
	return nil
}

// readPin reads the mounts of one namespace.
func (s *Survey) readPin(p *Pin, each func(*View, *mountinfo.Info)) error {
	namespace, err := p.open()
	if err != nil {
		return err
	}
	defer namespace.Close()
	table, err := enter(namespace)
	if err != nil {
		return err
	}
	defer table.Close()
	r := &reader{survey: s, each: each, file: func(string) ([]byte, error) {
		if _, err := table.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return io.ReadAll(table)
	}}
	v := View{PID: p.View.PID, Name: p.View.Name, File: p.file(), Namespace: p.Namespace, Pin: p.Path}
	data, err := r.file(v.File)
	if err != nil {
		return err
	}
	return r.read(&v, data)
}

// open opens the file of the pinned namespace.
func (p *Pin) open() (*os.File, error) {
	name := p.file()
	if name == "" {
		return nil, errors.New("it is pinned inside of another namespace without a process")
	}
	file, namespace, err := open(name)
	if err != nil {
		return nil, err
	}
	if namespace != p.Namespace {
		if file != nil {
			file.Close()
		}
		return nil, fmt.Errorf("%s: %w %s", name, errOther, p.Namespace)
	}
	return file, nil
}

// NamespaceAt returns the mount namespace that a descriptor of a process leads
// to, if it does: one that was opened at a mount of the namespace's file has a
// path like any other file. One that cannot be looked at counts as leading to
// one.
func NamespaceAt(link string) (namespace string, ok bool) {
	file, namespace, err := open(link)
	if process.Gone(err) || err == nil && file == nil {
		return "", false
	}
	if err != nil {
		return link, true
	}
	defer file.Close()
	table, err := enter(file)
	if err == nil {
		err = table.Close()
	}
	return namespace, !errors.Is(err, unix.EINVAL) // of another type, says setns before it asks for rights
}

// open opens the file of a namespace, and tells which it is if it is one of
// mounts. Of another file it returns nil: what is there may have changed since
// it was listed, and to open a device can do harm, so it is opened only once
// it is known what it is.
func open(name string) (file *os.File, namespace string, err error) {
	handle, err := os.OpenFile(name, unix.O_PATH, 0)
	if err != nil {
		return nil, "", err
	}
	defer handle.Close()
	namespace, err = namespaceOf(int(handle.Fd()))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	if namespace == "" {
		return nil, "", nil
	}
	file, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", handle.Fd()))
	return file, namespace, err
}

// namespaceOf returns which mount namespace a file stands for, if it does: the
// inodes of nsfs are the numbers of namespaces, and no two have the same,
// whatever their type. To enter another type as one of mounts fails. What the
// file's link says depends on how it was opened.
func namespaceOf(fd int) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return "", os.NewSyscallError("statfs", err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		return "", nil
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return "", os.NewSyscallError("stat", err)
	}
	return fmt.Sprintf("mnt:[%d]", stat.Ino), nil
}

// enter opens the mount table of a namespace, from its top. An open table goes
// on to show the namespace in which its thread was when it was opened (linux
// fs/proc_namespace.c, mounts_open_common), so the thread is not needed any
// longer than that.
func enter(namespace *os.File) (table *os.File, err error) {
	// In the other namespace /proc may be of other processes, or nothing.
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	<-thread(func() {
		// Threads share root and working directory, and entering changes them.
		if err = os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_FS)); err != nil {
			return
		}
		if err = os.NewSyscallError("setns", unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS)); err != nil {
			return
		}
		const self = "thread-self/mountinfo"
		var fd int
		if fd, err = unix.Openat(int(proc.Fd()), self, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			err = &os.PathError{Op: "open", Path: "/proc/" + self, Err: err}
			return
		}
		table = os.NewFile(uintptr(fd), "/proc/"+self)
	})
	return table, err
}

// thread runs a function on a thread that nothing else runs on before it ends.
// It is never the process's first, which cannot end before the others and is
// what /proc/self shows.
func thread(run func()) (done <-chan struct{}) {
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			<-thread(run)
			runtime.UnlockOSThread()
			return
		}
		run()
	}()
	return ran
}
