package process

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the kernel's socket diagnosis takes and gives (linux
// include/uapi/linux/sock_diag.h, unix_diag.h), 3.3 on.
const (
	sockDiagByFamily = 20
	diagListening    = 1 << 10 // states: TCP_LISTEN
	diagShowFile     = 1 << 1  // UDIAG_SHOW_VFS
	diagFile         = 1       // UNIX_DIAG_VFS: inode and device of the socket's file
	diagHeader       = 16      // of unix_diag_msg; the socket's own inode is at 4
)

// listenersOf returns the inodes of the sockets that listen at a file: the very
// file that is there now, not one that had its path. They are looked for in the
// caller's own network namespace.
func listenersOf(path string) ([]string, error) {
	var file unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	messages, err := diagnose()
	if err != nil {
		return nil, err
	}
	var inodes []string
	for _, m := range messages {
		if m.Header.Type != sockDiagByFamily || len(m.Data) < diagHeader {
			continue
		}
		ino, dev, ok := diagnosedFile(m.Data[diagHeader:])
		// The inode is cut to 32 bits, and the device is the super block's as
		// the kernel keeps it.
		if ok && ino == uint32(file.Ino) && dev == unix.Major(file.Dev)<<20|unix.Minor(file.Dev) {
			inodes = append(inodes, strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.Data[4:])), 10))
		}
	}
	return inodes, nil
}

// diagnosedFile returns the file of a socket from its attributes.
func diagnosedFile(attributes []byte) (ino, dev uint32, ok bool) {
	for len(attributes) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < unix.SizeofRtAttr || size > len(attributes) {
			return 0, 0, false
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == diagFile && size >= unix.SizeofRtAttr+8 {
			return binary.NativeEndian.Uint32(attributes[4:]), binary.NativeEndian.Uint32(attributes[8:]), true
		}
		attributes = attributes[min((size+3)&^3, len(attributes)):]
	}
	return 0, 0, false
}

// diagnose asks the kernel for all unix sockets that listen.
func diagnose() ([]syscall.NetlinkMessage, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	request := make([]byte, unix.SizeofNlMsghdr+24)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request[unix.SizeofNlMsghdr] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+4:], diagListening)
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+12:], diagShowFile)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	return receive(fd)
}

// receive takes the messages of a dump.
func receive(fd int) ([]syscall.NetlinkMessage, error) {
	var all []syscall.NetlinkMessage
	for {
		buffer := make([]byte, 64<<10)
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == unix.NLMSG_DONE:
				return all, nil
			case m.Header.Type == unix.NLMSG_ERROR:
				return nil, errors.New("socket diagnosis: refused")
			case m.Header.Flags&unix.NLM_F_DUMP_INTR != 0:
				return nil, errors.New("socket diagnosis: sockets came and went meanwhile")
			}
			all = append(all, m)
		}
	}
}
