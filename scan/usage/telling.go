package usage

import (
	"bytes"
	"strings"
)

// tellingMax is how many telling names a walk reports: enough for a person to
// recognise what it is.
const tellingMax = 5

// tellingNames and tellingSuffixes are the file names that tell of data that
// nobody can build or pull again: databases, keys, repositories. A container's
// layer or a volume with one of them is precious and goes only when its owner
// says so by name. The list is short on purpose: what it misses still goes to
// quarantine, what it wrongly names stays until somebody looks.
var (
	tellingNames = map[string]bool{
		"PG_VERSION": true, // PostgreSQL's data directory
		"ibdata1":    true, // MySQL's and MariaDB's
		"dump.rdb":   true, // Redis's
		".git":       true, // a repository, or a worktree's link to one
		"wallet.dat": true, // Bitcoin's and its children's keys
		"wallet":     true, // the same for others
		"keystore":   true, // Ethereum's, or Java's
		"id_rsa":     true, // ssh's keys
		"id_ed25519": true,
	}
	tellingSuffixes = map[string]bool{
		".sqlite":  true,
		".sqlite3": true,
		".db-wal":  true, // SQLite's log: a database in use
		".kdbx":    true, // KeePass's passwords
		".jks":     true, // keys for Java and others
		".p12":     true,
	}
)

// packaged are the directories of a root file system where only a package
// manager or a cache writes: a telling name there came out of a package, or
// comes back by itself. Places where applications keep data (opt, srv, usr/src,
// usr/local) are not among them.
var packaged = []string{
	"lib", "lib64", "usr/lib", "usr/lib64", "usr/libexec", "usr/share",
	"var/cache", "var/lib/dnf", "var/lib/dpkg", "var/lib/rpm",
	"root/.cache",
}

// tells reports whether a file's name is a telling one.
func tells(name []byte) bool {
	if tellingNames[string(name)] {
		return true
	}
	dot := bytes.LastIndexByte(name, '.')
	return dot >= 0 && tellingSuffixes[string(name[dot:])]
}

// fromPackage reports whether the path, found below the walked name top, is
// where packages put their files. Volumes hold no root file system: nothing of
// theirs comes from a package. A layer's root is the walked name, or "diff"
// (overlay2), "root" or "upper" (overlay), or "fs" (containerd) in it.
func fromPackage(top, path string) bool {
	if top == "volumes" || strings.HasPrefix(top, "volumes/") {
		return false
	}
	inside := strings.TrimPrefix(path, top+"/")
	roots := []string{"diff/", "fs/"}
	if strings.HasPrefix(top, "overlay/") {
		roots = []string{"root/", "upper/"}
	}
	for _, root := range roots {
		inside = strings.TrimPrefix(inside, root)
	}
	for _, dir := range packaged {
		if strings.HasPrefix(inside, dir+"/") {
			return true
		}
	}
	return false
}
