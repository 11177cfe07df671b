//go:build linux

package script

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A world is what a script's commands share.
type world struct {
	root   *testkit.Case
	mu     sync.Mutex
	log    []string      // requests that the daemon got
	logged chan struct{} // one for each
	daemon *exec.Cmd     // that was started last
	unlock func() error  // lets go of the lock
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// dataroot DIR DRIVER FILE makes a data root from the statements in a file
// (see package testkit), and daemon.json, which says what its daemon answers.
func dataroot(ts *testscript.TestScript, _ bool, args []string) {
	c, err := testkit.RunApart(ts.MkAbs(args[0]), args[1], ts.ReadFile(args[2]))
	ts.Check(err)
	worldOf(ts).root = c
	fake := testkit.FakeDaemon{Driver: args[1], DataRoot: ts.MkAbs(args[0])}
	if c.Daemon != nil {
		for _, i := range c.Daemon.ImageList {
			fake.Images = append(fake.Images, testkit.FakeImage{ID: i.ID, Tags: i.Tags, Layers: i.Layers})
		}
		for _, ctr := range c.Daemon.ContainerList {
			fake.Containers = append(fake.Containers, testkit.FakeContainer{ID: ctr.ID, Name: strings.TrimPrefix(ctr.Name, "/")})
		}
	}
	text, err := json.Marshal(fake)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("daemon.json"), text, 0o600))
}

// dockerd [-root DIR] [-config FILE] [-api VERSION] starts a daemon on the socket that
// DOCKER_HOST names, and waits until it answers. It ends with the script.
func dockerd(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	cmd := command(ts, "fakedockerd", append([]string{"-socket", strings.TrimPrefix(ts.Getenv("DOCKER_HOST"), "unix://")}, args...)...)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	ts.Check(cmd.Start())
	w.logged = make(chan struct{}, 1000)
	w.daemon = cmd
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		ts.Fatalf("fakedockerd: %s", failure.String())
	}
	go func() {
		for lines.Scan() {
			w.mu.Lock()
			w.log = append(w.log, lines.Text())
			w.mu.Unlock()
			w.logged <- struct{}{}
		}
	}()
}

// dies kills the daemon that was started last.
func dies(ts *testscript.TestScript, _ bool, _ []string) {
	daemon := worldOf(ts).daemon
	ts.Check(daemon.Process.Kill())
	_ = daemon.Wait() // it was killed
}

// command prepares a program to run as exec would.
func command(ts *testscript.TestScript, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "GOCOVERDIR", "DOCKER_HOST", "DOCKER_CONFIG"} {
		cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
	}
	return cmd
}

// id NAME 'SYMBOL' sets a variable to the id that a symbol stands for.
func id(ts *testscript.TestScript, _ bool, args []string) {
	text, err := worldOf(ts).root.Expand(args[1])
	ts.Check(err)
	ts.Setenv(args[0], text)
}

// exits STATUS COMMAND... is exec for a command that must end with exactly
// this status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	switch {
	case err == nil && want == 0:
	case errors.As(err, &ended) && ended.ExitCode() == want:
	default:
		ts.Fatalf("want exit status %d: %v", want, err)
	}
}

var (
	clock      = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	bytesField = regexp.MustCompile(`("\w*Bytes"):( ?)-?\d+`)
	moment     = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)
	older      = regexp.MustCompile(`made TIME, before the daemon started TIME|unchanged since TIME, longer than 0s`)
	runID      = regexp.MustCompile(`\d{8}T\d{6}-[0-9a-f]{6}`)
)

// json stdout FILE compares what was printed with a file, after ids, the work
// directory, times, runs and sizes were replaced by what they are.
func jsonIs(ts *testscript.TestScript, _ bool, args []string) {
	got := worldOf(ts).root.Symbols(ts.ReadFile(args[0]))
	got = strings.ReplaceAll(got, ts.MkAbs("."), "$WORK")
	got = clock.ReplaceAllString(got, `"TIME"`)
	got = bytesField.ReplaceAllString(got, `${1}:${2}BYTES`)
	got = moment.ReplaceAllString(got, "TIME")
	got = older.ReplaceAllString(got, "OLD") // the kernel tells when it booted in whole seconds
	got = runID.ReplaceAllString(got, "RUN")
	if want := ts.ReadFile(args[1]); got != want {
		ts.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
}

// interrupt [-hangup] PATH COMMAND... runs a command until the daemon is asked
// for PATH, sends it what Ctrl-C sends, or a terminal that goes away, and checks
// that it soon says nothing but a newline and exits with 130.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	w.forget()
	stop := syscall.SIGINT
	if args[0] == "-hangup" {
		stop, args = syscall.SIGHUP, args[1:]
		// Under nohup the program would ignore it, as we do until we listen.
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, stop)
		defer signal.Stop(heard)
	}
	cmd := command(ts, args[1], args[2:]...)
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !w.wasAsked(args[0]) {
		select {
		case <-w.logged:
		case err := <-ended:
			ts.Fatalf("ended before it asked for %s: %v: %s", args[0], err, failure.String())
		}
	}
	ts.Check(cmd.Process.Signal(stop))
	late := time.AfterFunc(8*time.Second, func() { _ = cmd.Process.Kill() }) // it may have ended by now
	err := <-ended
	late.Stop()
	if cmd.ProcessState.ExitCode() != 130 || out.String() != "" || failure.String() != "\n" {
		ts.Fatalf("after %v: %v, stdout %q, stderr %q", stop, err, out.String(), failure.String())
	}
}

// forget empties the log of requests.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

func (w *world) wasAsked(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.log {
		if strings.HasSuffix(line, path) {
			return true
		}
	}
	return false
}

// asked PATH checks that the daemon was asked for PATH; ! asked that it was not.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	for end := time.Now().Add(10 * time.Second); !neg && !w.wasAsked(args[0]) && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // what it said is still on its way
	}
	if w.wasAsked(args[0]) == neg {
		ts.Fatalf("the daemon was asked:\n%s", strings.Join(w.log, "\n"))
	}
}

// terminal FILE COMMAND... runs a command on a terminal and writes what the
// terminal got to a file.
func terminal(ts *testscript.TestScript, _ bool, args []string) {
	cmd := command(ts, args[1], args[2:]...)
	screen, err := pty.Start(cmd)
	ts.Check(err)
	got, err := io.ReadAll(screen)
	var ended *os.PathError
	if err != nil && !errors.As(err, &ended) { // EIO: the other end is closed
		ts.Fatalf("terminal: %v", err)
	}
	ts.Check(errors.Join(cmd.Wait(), screen.Close()))
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("."), args[0]), got, 0o600))
}
