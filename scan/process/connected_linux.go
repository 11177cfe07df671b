package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// Connected returns those of some processes that have a unix socket whose other
// end the given process has, or that are the process itself. The kernel is asked,
// so no address and no configuration matters. It is told of the caller's own
// network namespace alone: a process in another one is an error.
func Connected(proc string, pid int, others []int) ([]int, error) {
	if !sharesNetwork(proc, proc+"/"+strconv.Itoa(pid)) {
		return nil, errors.New("runs in another network namespace, whose sockets cannot be told")
	}
	peers, err := peersOf()
	if err != nil {
		return nil, err
	}
	ends := map[string]bool{}
	own, err := sockets(proc, pid)
	if err != nil {
		return nil, err
	}
	for _, inode := range own {
		if peer, ok := peers[inode]; ok {
			ends[peer] = true
		}
	}
	var found []int
	for _, other := range others {
		theirs, err := sockets(proc, other)
		if err != nil && !Gone(err) {
			return nil, err
		}
		connected := other == pid
		for _, inode := range theirs {
			connected = connected || ends[inode]
		}
		if connected {
			found = append(found, other)
		}
	}
	return found, nil
}

// sockets lists the inodes of a process's sockets.
func sockets(proc string, pid int) ([]string, error) {
	dir := proc + "/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var inodes []string
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if err != nil && !Gone(err) {
			return nil, err
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes, nil
}
