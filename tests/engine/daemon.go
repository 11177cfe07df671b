//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a private daemon is started.
type Options struct {
	Driver   string // storage driver: "overlay2", "vfs", "fuse-overlayfs", "overlay", "btrfs", "devicemapper", "zfs"
	DataRoot string // an existing data root; "" is an empty one of its own, for btrfs and zfs on a file system of its own
	Dir      string // where the daemon's own directory is made; "" is as for TempDir
}

// A Daemon is one private dockerd. Its methods fail the test that they are
// given, not the one that started the daemon.
type Daemon struct {
	Engine Engine
	Driver string
	Dir    string // everything of the daemon is below; no symbolic link in it
	Root   string // the data root
	Host   string // what DOCKER_HOST is set to

	cmd   *exec.Cmd
	done  chan struct{} // closed when cmd has ended
	ended time.Time     // when; to be read once done is closed
}

// Start makes a private daemon and waits until it answers. It goes, with all
// that it made, when t ends.
func Start(t TB, e Engine, o Options) *Daemon {
	t.Helper()
	d, err := newDaemon(e, o)
	if err != nil {
		t.Fatalf("private daemon: %v", err)
	}
	t.Cleanup(func() { d.cleanUp(t) })
	d.Start(t)
	return d
}

func newDaemon(e Engine, o Options) (*Daemon, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("dockerd needs root")
	}
	dir, err := TempDir(o.Dir)
	if err != nil {
		return nil, err
	}
	d := &Daemon{Engine: e, Driver: o.Driver, Dir: dir, Root: o.DataRoot, Host: "unix://" + dir + "/s"}
	if d.Root == "" {
		d.Root = filepath.Join(dir, "root")
	}
	// The longest socket is containerd's; a path of one has 108 bytes.
	if longest := dir + "/exec/containerd/containerd-debug.sock"; len(longest) > 107 {
		return nil, fmt.Errorf("%s: too long for a socket: set TMPDIR to a shorter path", longest)
	}
	err = d.furnish()
	if err == nil && o.DataRoot == "" {
		err = d.ownFileSystem()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return d, nil
}

// TempDir makes a directory of its own in parent, without symbolic links in
// its path. "" is $TMPDIR, else /var/tmp: not /tmp, which may be a tmpfs, and
// that tells no birth times before Linux 6.6.
func TempDir(parent string) (string, error) {
	if parent == "" {
		parent = os.Getenv("TMPDIR")
	}
	if parent == "" {
		parent = "/var/tmp"
	}
	dir, err := os.MkdirTemp(parent, "do")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// furnish makes the directories and files that dockerd and the CLI expect.
func (d *Daemon) furnish() error {
	plugins := filepath.Join(d.Dir, "config", "cli-plugins")
	for _, dir := range []string{d.Root, plugins} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	if d.Engine.Buildx != "" {
		if err := os.Symlink(d.Engine.Buildx, filepath.Join(plugins, "docker-buildx")); err != nil {
			return err
		}
	}
	config := d.Engine.Config
	if config == "" {
		config = "{}"
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "daemon.json"), []byte(config), 0o600); err != nil {
		return err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(d.Root, &disk); err != nil {
		return fmt.Errorf("%s: %w", d.Root, err)
	}
	if strings.HasPrefix(d.Driver, "overlay") && disk.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("%s is itself on overlayfs, where %s cannot work: set TMPDIR to a directory on a real file system", d.Root, d.Driver)
	}
	return nil
}

// ownFileSystem mounts a new one at the data root, where the driver needs one of
// its own. It goes with the daemon's own directory, which has the file that it is
// in.
func (d *Daemon) ownFileSystem() error {
	image := filepath.Join(d.Dir, d.Driver)
	var commands [][]string
	switch d.Driver {
	case "btrfs":
		commands = [][]string{{"truncate", "-s", "2G", image}, {"mkfs.btrfs", "-q", image}, {"mount", "-o", "loop", image, d.Root}}
	case "zfs":
		commands = [][]string{
			{"truncate", "-s", "2G", image},
			{"zpool", "create", "-o", "cachefile=none", "-m", "none", d.pool(), image},
			{"zfs", "create", "-o", "mountpoint=" + d.Root, d.Dataset()},
		}
	}
	for _, command := range commands {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
		}
	}
	return nil
}

// arguments of dockerd. The machine's own daemon, network and configuration
// stay out of it: no bridge and no firewall rules (containers have no network,
// builds use --network=none), and a configuration file of its own.
func (d *Daemon) arguments() []string {
	return append([]string{
		"--config-file", filepath.Join(d.Dir, "daemon.json"),
		"--data-root", d.Root,
		"--exec-root", filepath.Join(d.Dir, "exec"),
		"--pidfile", filepath.Join(d.Dir, "pid"),
		"--host", d.Host,
		"--storage-driver", d.Driver,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false",
		// Not systemd's, so that a container, a CI machine or one
		// without systemd can run it too.
		"--exec-opt", "native.cgroupdriver=cgroupfs",
	}, d.storageOptions()...)
}

// storageOptions of dockerd: a small pool of files, which is not to wait for an
// udev that may not run.
func (d *Daemon) storageOptions() []string {
	if d.Driver != "devicemapper" {
		return nil
	}
	var args []string
	for _, option := range []string{"loopdatasize=4G", "loopmetadatasize=64M", "basesize=512M", "fs=ext4", "override_udev_sync_check=true"} {
		args = append(args, "--storage-opt", "dm."+option)
	}
	return args
}

// restartDelay is how long dockerd is down at least before it starts again.
// The kernel tells when a process started by a boot time in whole seconds, so
// what is younger cannot be told from what the new dockerd made.
const restartDelay = 1100 * time.Millisecond

// Start starts dockerd on the daemon's data root and waits until it answers.
func (d *Daemon) Start(t TB) {
	t.Helper()
	time.Sleep(time.Until(d.ended.Add(restartDelay)))
	if !d.TryStart(t) {
		t.Fatalf("dockerd does not answer; the end of its log:\n%s\n%s", d.LogTail(), d.stack())
	}
}

// stack is what the daemon's main goroutine waits for: on SIGUSR1 dockerd writes
// all stacks to a file.
func (d *Daemon) stack() string {
	if !d.Running() || d.cmd.Process.Signal(syscall.SIGUSR1) != nil {
		return ""
	}
	for range 50 {
		time.Sleep(100 * time.Millisecond)
		for _, dir := range []string{d.Root, filepath.Join(d.Dir, "exec"), d.Dir} {
			files, _ := filepath.Glob(dir + "/goroutine-stacks-*.log") // the pattern is a good one
			for _, file := range files {
				data, err := os.ReadFile(file)
				if _, main, ok := strings.Cut(string(data), "goroutine 1 ["); ok && err == nil {
					main, _, _ = strings.Cut(main, "\n\n")
					return "goroutine 1 [" + main
				}
			}
		}
	}
	return ""
}

// TryStart starts dockerd, and reports whether it answers. It gives up, for
// example, where somebody else has its data root.
func (d *Daemon) TryStart(t TB) bool {
	t.Helper()
	d.spawn(t)
	for end := time.Now().Add(patience); !d.answers(); time.Sleep(10 * time.Millisecond) {
		if !d.Running() || time.Now().After(end) {
			return false
		}
	}
	return true
}

func (d *Daemon) spawn(t TB) {
	t.Helper()
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer log.Close()
	d.cmd = exec.Command(d.Engine.Dockerd, d.arguments()...)
	d.cmd.Env = d.Engine.environ("TMPDIR=" + d.Dir) // where containerd dumps its stacks when it is slow to stop
	d.cmd.Dir = "/"
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// A Ctrl-C at the terminal is for the test program, which stops the
	// daemon in its own time.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	done := make(chan struct{})
	go func() {
		_ = d.cmd.Wait() // How it ended is in its log.
		d.ended = time.Now()
		close(done)
	}()
	d.done = done
}

// answers reports whether the daemon takes requests.
func (d *Daemon) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(d.Host, "unix://"))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Running reports whether dockerd has been started and has not ended.
func (d *Daemon) Running() bool {
	if d.done == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// PID is dockerd's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// PIDFile is what the daemon was told to write its process id to.
func (d *Daemon) PIDFile() string { return filepath.Join(d.Dir, "pid") }

// Stop ends dockerd as a service manager does and waits until it is gone.
func (d *Daemon) Stop(t TB) {
	t.Helper()
	if !d.Running() {
		return
	}
	if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatalf("stop: %v", err)
	}
	select {
	case <-d.done:
	case <-time.After(patience):
		t.Fatalf("dockerd (pid %d) does not stop; the end of its log:\n%s", d.PID(), d.LogTail())
	}
}

// Restart stops dockerd if it runs, and starts it.
func (d *Daemon) Restart(t TB) {
	t.Helper()
	d.Stop(t)
	d.Start(t)
}

// Kill is a power cut for processes: dockerd first, so that it can finish
// nothing, then its containerd, shims and containers. Mounts stay, as after a
// kill -9.
func (d *Daemon) Kill(t TB) {
	t.Helper()
	if !d.Running() {
		t.Fatalf("kill: dockerd does not run")
	}
	if err := killOurs(d.Dir, d.PID()); err != nil {
		t.Fatalf("kill: %v", err)
	}
	<-d.done
	// The next dockerd would take containerd for alive while the system's
	// init has not reaped it, and wait for it in vain. After a real power
	// cut /run, where this file is by default, is empty.
	if err := os.Remove(filepath.Join(d.Dir, "exec", "containerd", "containerd.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("kill: %v", err)
	}
}

// cleanUp ends what runs, and removes what the daemon made. A daemon that
// stops in order leaves nothing mounted and nothing running.
func (d *Daemon) cleanUp(t TB) {
	if d.Running() {
		if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Errorf("stop: %v", err)
		}
		select {
		case <-d.done:
		case <-time.After(15 * time.Second):
		}
	}
	if err := Sweep(d.Dir); err != nil {
		t.Errorf("clean up: %v", err)
	}
	if d.Driver == "zfs" { // its file has no name any more
		if out, err := exec.Command("zpool", "destroy", "-f", d.pool()).CombinedOutput(); err != nil {
			t.Errorf("clean up: zpool destroy: %v: %s", err, out)
		}
	}
	if d.done != nil {
		<-d.done
	}
}

func (d *Daemon) logFile() string { return filepath.Join(d.Dir, "log") }

// LogTail is the end of dockerd's log.
func (d *Daemon) LogTail() string {
	data, err := os.ReadFile(d.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
