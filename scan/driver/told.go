package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Told is what somebody tells a daemon about its driver.
type Told struct {
	Name       string // the driver; "" if nobody says
	By         string // what says so: "the daemon's command line"
	Containerd bool   // to keep images in containerd, not in a driver
}

const (
	configFile  = "/etc/docker/daemon.json"
	defaultRoot = "/var/lib/docker"
	maxConfig   = 1 << 20
)

// config is what of daemon.json is about drivers.
type config struct {
	Driver   string          `json:"storage-driver"`
	Root     string          `json:"data-root"`
	Graph    string          `json:"graph"` // what data-root was called before 17.05
	Features map[string]bool `json:"features"`
}

func readConfig(name string) (config, error) {
	var c config
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err == nil && len(bytes.TrimSpace(data)) > 0 {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func (c *config) told(by string) Told {
	if c.Features["containerd-snapshotter"] {
		return Told{Containerd: true, By: by}
	}
	if c.Driver == "" {
		return Told{}
	}
	return Told{Name: c.Driver, By: by}
}

// Configured is what the configuration of a machine tells a daemon about its
// driver, if the data root is the one of that configuration. The machine's
// files begin at machine.
func Configured(machine, dataRoot string) (Told, error) {
	c, err := readConfig(filepath.Join(machine, configFile))
	if err != nil {
		return Told{}, err
	}
	root := defaultRoot
	for _, set := range []string{c.Graph, c.Root} {
		if set != "" {
			root = set
		}
	}
	its, err := os.Stat(filepath.Join(machine, root))
	if err != nil {
		return Told{}, nil //nolint:nilerr // a data root that is not there is not the one that was asked about
	}
	this, err := os.Stat(dataRoot)
	if err != nil || !os.SameFile(its, this) {
		return Told{}, err
	}
	return c.told(configFile), nil
}

// ToldOf is what is told to the daemon of a data root that runs, or to one that
// would be started if none does.
func ToldOf(in *scan.Input, running *scan.Process) (Told, error) {
	switch {
	case running != nil:
		return Running(in.Proc, running.PID, in.Machine), nil
	case in.Machine != "":
		return Configured(in.Machine, in.DataRoot)
	}
	return Told{}, nil
}

// Running is what a daemon that runs was told about its driver when it started:
// by its environment, its command line, its configuration (moby
// daemon/daemon.go: the first that says anything counts). What of that cannot
// be read is as if it did not say.
func Running(proc string, pid int, machine string) Told {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err == nil {
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if name, ok := bytes.CutPrefix(variable, []byte("DOCKER_DRIVER=")); ok && len(name) > 0 {
				return Told{Name: string(name), By: "the daemon's environment"}
			}
		}
	}
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return Told{}
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if name := option(args, "--storage-driver", "-s"); name != "" {
		return Told{Name: name, By: "the daemon's command line"}
	}
	file := option(args, "--config-file", "")
	if file == "" {
		file = configFile
	}
	c, err := readConfig(filepath.Join(machine, file))
	if err != nil {
		return Told{}
	}
	return c.told(file)
}

// option is the value of an option on a command line, the last if it is given
// several times.
func option(args []string, long, short string) string {
	value := ""
	for i, arg := range args {
		name, inline, hasValue := strings.Cut(arg, "=")
		if name != long && (short == "" || name != short) {
			continue
		}
		switch {
		case hasValue:
			value = inline
		case i+1 < len(args):
			value = args[i+1]
		}
	}
	return value
}
