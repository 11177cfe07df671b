package process

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listens reports whether a process has a descriptor of the socket that
// listens at a path, whoever made it listen (systemd does, where it starts the
// daemon for the first client). The kernel tells which socket's file it is that
// lies at the path: another may have had the path before, or have it in another
// network namespace.
//
// Where the kernel cannot be asked (before 3.3, a name without a file, a process
// in another network namespace) the socket is known by its path alone, in the
// process's own table. If several listen there, that is an error.
func Listens(proc string, pid int, socket string) (bool, error) {
	dir := proc + "/" + strconv.Itoa(pid)
	if sharesNetwork(proc, dir) && filepath.IsAbs(socket) {
		if inodes, err := listenersOf(socket); err == nil {
			return hasSocket(dir, inodes)
		}
	}
	table, err := os.ReadFile(dir + "/net/unix")
	if err != nil {
		return false, err
	}
	inodes, err := listeners(string(table), socket)
	if err != nil {
		return false, fmt.Errorf("%s/net/unix: %w", dir, err)
	}
	if len(inodes) > 1 {
		return false, fmt.Errorf("%s: %d sockets listen there", socket, len(inodes))
	}
	return hasSocket(dir, inodes)
}

// sharesNetwork reports whether a process is in our network namespace.
func sharesNetwork(proc, dir string) bool {
	ours, err := os.Readlink(proc + "/self/ns/net")
	theirs, theirErr := os.Readlink(dir + "/ns/net")
	return err == nil && theirErr == nil && ours == theirs
}

// hasSocket reports whether a process has a descriptor of one of the sockets.
func hasSocket(dir string, inodes []string) (bool, error) {
	for _, inode := range inodes {
		if has, err := hasLink(dir+"/fd", "socket:["+inode+"]"); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// listeners returns the inodes of the sockets that listen at a path. Lines
// are "<num>: <refs> <protocol> <flags> <type> <state> <inode> <path>", the
// path as it was given to bind (linux net/unix/af_unix.c, unix_seq_show).
func listeners(table, socket string) ([]string, error) {
	var inodes []string
	first := true
	for line := range strings.Lines(table) {
		if first {
			first = false // the heading
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 7 {
			return nil, fmt.Errorf("%q: has %d fields", line, len(fields))
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		const acceptsConnections = 1 << 16 // __SO_ACCEPTCON, linux include/uapi/linux/net.h
		_, path, ok := strings.Cut(line, " "+fields[6]+" ")
		if ok && flags&acceptsConnections != 0 && same(strings.TrimSuffix(path, "\n"), socket) {
			inodes = append(inodes, fields[6])
		}
	}
	return inodes, nil
}

// same reports whether two paths are one: /var/run is a link to /run.
func same(a, b string) bool {
	if a == b {
		return true
	}
	if !filepath.IsAbs(a) {
		return false // the socket of a name without a file, or of a path that began elsewhere
	}
	resolved, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	other, err := filepath.EvalSymlinks(b)
	return err == nil && resolved == other
}

// hasLink reports whether a directory has a link with this target. That some
// links cannot be read matters only if no other has it.
func hasLink(dir, target string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return false, err
	}
	var problem error
	for _, name := range names {
		link, err := readlinkat(int(f.Fd()), name)
		if err == nil && link == target {
			return true, nil
		}
		if err != nil && problem == nil && !Gone(err) {
			problem = &fs.PathError{Op: "readlink", Path: dir + "/" + name, Err: err}
		}
	}
	return false, problem
}
