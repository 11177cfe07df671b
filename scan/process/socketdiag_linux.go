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
	diagConnected    = 1 << 1  // states: TCP_ESTABLISHED
	diagListening    = 1 << 10 // states: TCP_LISTEN
	diagShowFile     = 1 << 1  // UDIAG_SHOW_VFS
	diagShowPeer     = 1 << 2  // UDIAG_SHOW_PEER
	diagFile         = 1       // UNIX_DIAG_VFS: inode and device of the socket's file
	diagPeer         = 2       // UNIX_DIAG_PEER: inode of the socket at the other end
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
	messages, err := diagnose(diagListening, diagShowFile)
	if err != nil {
		return nil, err
	}
	var inodes []string
	for _, m := range messages {
		if m.Header.Type != sockDiagByFamily || len(m.Data) < diagHeader {
			continue
		}
		value := diagnosed(m.Data[diagHeader:], diagFile, 8)
		// The inode is cut to 32 bits, and the device is the super block's as
		// the kernel keeps it.
		if value != nil && binary.NativeEndian.Uint32(value) == uint32(file.Ino) &&
			binary.NativeEndian.Uint32(value[4:]) == unix.Major(file.Dev)<<20|unix.Minor(file.Dev) {
			inodes = append(inodes, strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.Data[4:])), 10))
		}
	}
	return inodes, nil
}

// peersOf maps the connected sockets of the caller's own network namespace to
// those at their other ends, by their inodes.
func peersOf() (map[string]string, error) {
	messages, err := diagnose(diagConnected, diagShowPeer)
	if err != nil {
		return nil, err
	}
	peers := map[string]string{}
	for _, m := range messages {
		if m.Header.Type != sockDiagByFamily || len(m.Data) < diagHeader {
			continue
		}
		if value := diagnosed(m.Data[diagHeader:], diagPeer, 4); value != nil {
			own := strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.Data[4:])), 10)
			peers[own] = strconv.FormatUint(uint64(binary.NativeEndian.Uint32(value)), 10)
		}
	}
	return peers, nil
}

// diagnosed returns an attribute of at least so many bytes; nil if there is none.
func diagnosed(attributes []byte, kind uint16, bytes int) []byte {
	for len(attributes) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < unix.SizeofRtAttr || size > len(attributes) {
			return nil
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == kind && size >= unix.SizeofRtAttr+bytes {
			return attributes[unix.SizeofRtAttr:size]
		}
		attributes = attributes[min((size+3)&^3, len(attributes)):]
	}
	return nil
}

// diagnose asks the kernel for all unix sockets in one of some states, with what
// is to be shown of each.
func diagnose(states, show uint32) ([]syscall.NetlinkMessage, error) {
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
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+4:], states)
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+12:], show)
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
