package hold

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// A place is a data root on a machine of its own, whose daemon.json names it.
type place struct {
	Machine
	root string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	p := &place{root: filepath.Join(dir, "srv/docker")}
	p.Machine = Machine{Root: dir, Proc: "/proc", Show: func(context.Context, string, ...string) ([]byte, error) {
		t.Error("systemd was asked, and does not run")
		return nil, errors.New("not there")
	}}
	p.put(t, "etc/docker/daemon.json", `{"data-root": "/srv/docker"}`)
	for _, name := range []string{"volumes/metadata.db", "buildkit/snapshots.db", "buildkit/cache.db"} {
		file := p.put(t, "srv/docker/"+name, "")
		db, err := bbolt.Open(file, 0o600, nil)
		assert.NilError(t, err)
		assert.NilError(t, db.Close())
	}
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "run"), 0o755))
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "var"), 0o755))
	assert.NilError(t, os.Symlink("../run", filepath.Join(dir, "var/run")))
	return p
}

func (p *place) put(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(p.Root, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// systemd makes systemd run, and say this of its units.
func (p *place) systemd(t *testing.T, says string, err error) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Join(p.Root, "run/systemd/system"), 0o755))
	p.Show = func(_ context.Context, _ string, units ...string) ([]byte, error) {
		assert.DeepEqual(t, units, []string{"docker.socket", "docker.service"})
		return []byte(says), err
	}
}

// starts is what a daemon does to a database when it starts.
func (p *place) starts(database string) error {
	db, err := bbolt.Open(filepath.Join(p.root, database), 0o600, &bbolt.Options{Timeout: 20 * time.Millisecond})
	if err == nil {
		err = db.Close()
	}
	return err
}

func TestTake(t *testing.T) {
	p := newPlace(t)
	before := p.manifest(t)
	h, err := p.Take(t.Context(), p.root)
	assert.NilError(t, err)
	for _, name := range []string{"volumes/metadata.db", "buildkit/snapshots.db", "buildkit/cache.db"} {
		assert.ErrorIs(t, p.starts(name), bolterrors.ErrTimeout, name)
	}
	pid, err := os.ReadFile(filepath.Join(p.Root, "run/docker.pid"))
	assert.NilError(t, err)
	assert.Equal(t, string(pid), strconv.Itoa(os.Getpid()))
	assert.Equal(t, h.Start(t.Context()), "Docker is stopped; start it as you did before")
	p.put(t, "etc/init.d/docker", "#!/bin/sh\n")
	assert.Equal(t, h.Start(t.Context()), "Docker is stopped; to start it: service docker start")
	assert.NilError(t, os.Remove(filepath.Join(p.Root, "etc/init.d/docker")))

	assert.NilError(t, h.Release())
	assert.NilError(t, p.starts("volumes/metadata.db"))
	assert.NilError(t, h.Release(), "once more")
	assert.DeepEqual(t, p.manifest(t), before)
}

// manifest lists everything on the machine with its content.
func (p *place) manifest(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	assert.NilError(t, filepath.WalkDir(p.Root, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(path)
			all[path] = string(data)
		}
		return err
	}))
	return all
}

// Who is killed holds nothing any more.
func TestKilled(t *testing.T) {
	if root := os.Getenv("HOLD"); root != "" {
		m := Machine{Root: filepath.Dir(filepath.Dir(root)), Proc: "/proc"}
		_, err := m.Take(t.Context(), root)
		fmt.Println("held", err)
		time.Sleep(time.Hour)
	}
	p := newPlace(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "HOLD="+p.root)
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	line := make([]byte, len("held <nil>"))
	_, err = out.Read(line)
	assert.NilError(t, err)
	assert.Equal(t, string(line), "held <nil>")
	assert.ErrorIs(t, p.starts("volumes/metadata.db"), bolterrors.ErrTimeout)
	_, err = p.Take(t.Context(), p.root)
	assert.ErrorContains(t, err, "has it locked")

	assert.NilError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	assert.NilError(t, p.starts("volumes/metadata.db"))
	h, err := p.Take(t.Context(), p.root)
	assert.NilError(t, err)
	assert.NilError(t, h.Release())
}

func TestPidfile(t *testing.T) {
	other := exec.Command("sleep", "600")
	assert.NilError(t, other.Start())
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	ended := exec.Command("true")
	assert.NilError(t, ended.Run())
	for name, tc := range map[string]struct {
		content string
		err     string
	}{
		"of one that ended": {strconv.Itoa(ended.Process.Pid), ""},
		"of nobody":         {"dockerd", ""},
		"empty":             {"", ""},
		"of one that runs":  {fmt.Sprintf(" %d\n", other.Process.Pid), fmt.Sprintf("names sleep (pid %d), which runs", other.Process.Pid)},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			file := p.put(t, "run/docker.pid", tc.content)
			h, err := p.Take(t.Context(), p.root)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				assert.NilError(t, p.starts("volumes/metadata.db"), "nothing is held")
				data, err := os.ReadFile(file)
				assert.NilError(t, err)
				assert.Equal(t, string(data), tc.content)
				return
			}
			assert.NilError(t, err)
			assert.NilError(t, h.Release())
			_, err = os.Stat(file)
			assert.ErrorIs(t, err, os.ErrNotExist)
		})
	}
	t.Run("a daemon took it over", func(t *testing.T) {
		p := newPlace(t)
		h, err := p.Take(t.Context(), p.root)
		assert.NilError(t, err)
		file := p.put(t, "run/docker.pid", "1")
		assert.NilError(t, h.Release())
		_, err = os.Stat(file)
		assert.NilError(t, err)
	})
	t.Run("another one", func(t *testing.T) {
		p := newPlace(t)
		p.put(t, "etc/docker/daemon.json", `{"data-root": "/srv/docker", "pidfile": "/run/own/pid"}`)
		h, err := p.Take(t.Context(), p.root)
		assert.NilError(t, err)
		pid, err := read(filepath.Join(p.Root, "run/own/pid"))
		assert.NilError(t, err)
		assert.Equal(t, pid, os.Getpid())
		assert.NilError(t, h.Release())
	})
}

// Only a data root that Docker would use is Docker's.
func TestWhoseRoot(t *testing.T) {
	for name, tc := range map[string]struct {
		config  string // daemon.json; "" for none
		options string // in /etc/default/docker
		root    string // below the machine's
		docker  bool
	}{
		"configured":                  {`{"data-root": "/srv/docker"}`, "", "srv/docker", true},
		"another is configured":       {`{"data-root": "/srv/docker"}`, "", "mnt/docker", false},
		"the default":                 {"", "", "var/lib/docker", true},
		"a copied disk":               {"", "", "mnt/var/lib/docker", false},
		"by an option":                {"", "# --data-root=/x\nDOCKER_OPTS=\"-D --data-root=/mnt/docker\"\n", "mnt/docker", true},
		"another by an option":        {"", "export DOCKER_OPTS='--data-root /srv/docker'\n", "var/lib/docker", false},
		"one that is not there":       {"", "export DOCKER_OPTS='--data-root /mnt/docker'\n", "var/lib/docker", true},
		"through a link":              {`{"data-root": "/link"}`, "", "srv/docker", true},
		"of its user namespace":       {`{"data-root": "/srv/docker"}`, "", "srv/docker/1000.1000", true},
		"below it, of something else": {`{"data-root": "/srv/docker"}`, "", "srv/docker/volumes", false},
		"nobody knows":                {`{"data-root": `, "", "mnt/docker", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			assert.NilError(t, os.Remove(filepath.Join(p.Root, "etc/docker/daemon.json")))
			if tc.config != "" {
				p.put(t, "etc/docker/daemon.json", tc.config)
			}
			if tc.options != "" {
				p.put(t, "etc/default/docker", tc.options)
			}
			assert.NilError(t, os.Symlink("srv/docker", filepath.Join(p.Root, "link")))
			root := filepath.Join(p.Root, tc.root)
			assert.NilError(t, os.MkdirAll(root, 0o700))
			h, err := p.Take(t.Context(), root)
			assert.NilError(t, err)
			defer func() { assert.NilError(t, h.Release()) }()
			_, err = os.Stat(filepath.Join(p.Root, "run/docker.pid"))
			assert.Equal(t, err == nil, tc.docker)
			assert.Equal(t, h.Start(t.Context()) != "", tc.docker)
		})
	}
}

// show is what systemctl show prints of Debian's units.
const show = `LoadState=loaded
Id=docker.socket
ActiveState=%s

ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Environment=
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
Id=docker.service
LoadState=loaded
ActiveState=%s
`

func TestSystemd(t *testing.T) {
	const start = "systemctl start docker.socket docker.service"
	const stopped = "Docker is stopped; to start it: "
	for name, tc := range map[string]struct {
		socket, service string
		err             string
		start           string
	}{
		"at rest":               {"inactive", "inactive", "", stopped + start},
		"failed":                {"inactive", "failed", "", stopped + "systemctl reset-failed docker.service && " + start},
		"the socket is active":  {"active", "inactive", "docker.socket is active: Docker may start", ""},
		"the daemon is started": {"inactive", "activating", "docker.service is activating: Docker may start", ""},
		"both":                  {"active", "deactivating", "docker.socket is active and docker.service is deactivating: Docker", ""},
		"an unheard-of state":   {"inactive", "dreaming", "docker.service is dreaming", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.systemd(t, fmt.Sprintf(show, tc.socket, tc.service), nil)
			err := p.Check(t.Context(), p.root)
			h, takeErr := p.Take(t.Context(), p.root)
			if tc.err != "" {
				for _, err := range []error{err, takeErr} {
					assert.ErrorContains(t, err, p.root+": "+tc.err)
					var hinted interface{ Hint() string }
					assert.Assert(t, errors.As(err, &hinted))
					assert.Equal(t, hinted.Hint(), "systemctl stop docker.socket docker.service")
				}
				assert.NilError(t, p.starts("volumes/metadata.db"), "nothing is held")

				// Another data root is nobody's business.
				p.put(t, "etc/default/docker", `DOCKER_OPTS="--config-file=/dev/null --data-root=/var/lib/other"`)
				p.put(t, "dev/null", "{}")
				p.put(t, "var/lib/other/engine-id", "")
				h, err := p.Take(t.Context(), p.root)
				assert.NilError(t, err)
				assert.Equal(t, h.Start(t.Context()), "")
				assert.NilError(t, h.Release())
				return
			}
			assert.NilError(t, errors.Join(err, takeErr))
			assert.Equal(t, h.Start(t.Context()), tc.start)
			assert.NilError(t, h.Release())
		})
	}
	t.Run("cannot be asked", func(t *testing.T) {
		p := newPlace(t)
		p.systemd(t, "", errors.New("Failed to connect to bus"))
		_, err := p.Take(t.Context(), p.root)
		assert.Error(t, err, "whether Docker is stopped cannot be told: systemctl: Failed to connect to bus")
	})
	t.Run("has no Docker", func(t *testing.T) {
		p := newPlace(t)
		p.systemd(t, "Id=docker.socket\nLoadState=not-found\nActiveState=inactive\n\nId=docker.service\nLoadState=not-found\nActiveState=inactive\n", nil)
		h, err := p.Take(t.Context(), p.root)
		assert.NilError(t, err)
		assert.Equal(t, h.Start(t.Context()), "Docker is stopped; start it as you did before")
		assert.NilError(t, h.Release())
	})
}

// Where Docker's data root is, in the forms that a unit may have it. Whether
// that is ours cannot be told where a path has a space, or a variable's value is
// not known: then Docker may use it.
func TestExecStart(t *testing.T) {
	for options, tc := range map[string]struct {
		root string // "" for srv/docker
		uses bool
	}{
		"--data-root /srv/docker":              {"", true},
		"--data-root=${DIR}":                   {"", true},
		"--data-root=${TOP}/docker":            {"", true},
		"--data-root ${DIR}":                   {"", true},
		"$OPTIONS":                             {"", true},
		"--data-root=${NOBODY}/docker":         {"", true},
		"${NOBODY}":                            {"", true},
		"$NOBODY --data-root /srv/docker":      {"", true},
		"--data-root=$DIR":                     {"", true}, // systemd leaves it as it is
		"--data-root /srv/my docker":           {"srv/my docker", true},
		"--data-root=/srv/my docker":           {"srv/my docker", true},
		"--data-root ${TOP}/other":             {"", false},
		"$NOBODY --data-root=${TOP}/other":     {"", false},
		"--label a=$$b --data-root /srv/other": {"", false},
	} {
		t.Run(options, func(t *testing.T) {
			p := newPlace(t)
			assert.NilError(t, os.Remove(filepath.Join(p.Root, "etc/docker/daemon.json")))
			p.put(t, "srv/other/engine-id", "")
			if tc.root != "" {
				assert.NilError(t, os.Rename(p.root, filepath.Join(p.Root, tc.root)))
				p.root = filepath.Join(p.Root, tc.root)
			}
			p.systemd(t, `Id=docker.socket
LoadState=loaded
ActiveState=active

Id=docker.service
LoadState=loaded
ActiveState=inactive
Environment=DIR=/srv/docker TOP=/srv "OPTIONS=--data-root=/srv/docker"
ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd `+options+` -H fd:// ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
`, nil)
			h, err := p.Take(t.Context(), p.root)
			if tc.uses {
				assert.ErrorContains(t, err, "docker.socket is active: Docker may start at any moment")
				return
			}
			assert.NilError(t, err)
			assert.NilError(t, h.Release())
		})
	}
}

// A path of signs that mean something to a shell is a path.
func TestLockAnyPath(t *testing.T) {
	for _, name := range []string{"docker[old]", "docker[old", `a\b`, "disk*", "disk?"} {
		p := newPlace(t)
		root := filepath.Join(p.Root, name)
		assert.NilError(t, os.Rename(p.root, root))
		p.root = root
		h, err := p.Take(t.Context(), root)
		assert.NilError(t, err)
		for _, database := range []string{"volumes/metadata.db", "buildkit/snapshots.db"} {
			assert.ErrorIs(t, p.starts(database), bolterrors.ErrTimeout, name)
		}
		assert.NilError(t, h.Release())
	}
}

// systemctl is asked for what it knows, in a form for machines.
func TestSystemctl(t *testing.T) {
	dir := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\necho \"$@\"\n[ \"$FAIL\" = \"\" ] || { echo no bus >&2; exit 1; }\n"), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	out, err := systemctl(t.Context(), "Id,ActiveState", "a.service", "b.socket")
	assert.NilError(t, err)
	assert.Equal(t, strings.TrimSpace(string(out)), "show --no-pager --property=Id,ActiveState a.service b.socket")
	t.Setenv("FAIL", "1")
	_, err = systemctl(t.Context(), "Id", "a.service")
	assert.Error(t, err, "no bus")
}

// A database that a process has locked which no table of processes shows.
func TestLocked(t *testing.T) {
	p := newPlace(t)
	f, err := os.Open(filepath.Join(p.root, "buildkit/snapshots.db"))
	assert.NilError(t, err)
	defer f.Close()
	assert.NilError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	_, err = p.Take(t.Context(), p.root)
	assert.ErrorContains(t, err, "buildkit/snapshots.db: a process that cannot be seen has it locked")
	_, err = os.Stat(filepath.Join(p.Root, "run/docker.pid"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NilError(t, p.starts("buildkit/cache.db"), "nothing is held")

	// What is no database is none of ours.
	p = newPlace(t)
	assert.NilError(t, os.Remove(filepath.Join(p.root, "volumes/metadata.db")))
	assert.NilError(t, os.Symlink("/etc/passwd", filepath.Join(p.root, "volumes/metadata.db")))
	_, err = p.Take(t.Context(), p.root)
	assert.ErrorIs(t, err, unix.ELOOP)
}
