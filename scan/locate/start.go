package locate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// tmpMade is the birth of <root>/tmp if the daemon made it when it started:
// that is its start in the clock of the file system. It is zero where it does
// not tell that: before 17.05 the daemon keeps the directory, with
// DOCKER_TMPDIR it has another (moby daemon.go, prepareTempDir), what is mounted
// there it cannot make anew, and the change time of a file system without births
// moves with every file in it.
func tmpMade(in *scan.Input) time.Time {
	if !in.Info.Since(17, 5) || in.Host.Owner == nil {
		return time.Time{}
	}
	environ, err := os.ReadFile(filepath.Join(in.Proc, fmt.Sprint(in.Host.Owner.PID), "environ"))
	if err != nil {
		return time.Time{}
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(variable, []byte("DOCKER_TMPDIR=")); ok && len(value) > 0 {
			return time.Time{}
		}
	}
	root, err := in.Tree.Stat(".")
	if err != nil {
		return time.Time{}
	}
	info, err := in.Tree.Stat("tmp")
	if err != nil || !info.Mode.IsDir() || info.Stamp.Mount != root.Stamp.Mount || info.Stamp.Device != root.Stamp.Device {
		return time.Time{}
	}
	return info.Stamp.Birth
}
