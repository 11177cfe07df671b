//go:build linux

package script

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docker-orphans/docker-orphans/prune"
)

// lock DIR locks a data root as a run does.
func lock(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	unlock, err := prune.Lock(ts.MkAbs(args[0]))
	ts.Check(err)
	w.unlock = unlock
	w.forget()
}

// unlock PATH lets go of the lock once the daemon was asked for PATH.
func unlock(ts *testscript.TestScript, _ bool, args []string) {
	awaits(ts, false, args)
	ts.Check(worldOf(ts).unlock())
}

// awaits PATH waits until the daemon was asked for PATH.
func awaits(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	for !w.wasAsked(args[0]) {
		<-w.logged
	}
}
