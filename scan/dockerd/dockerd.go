// Package dockerd tells what a daemon was told when it was started: the data
// root and the pid file, from its command line and its configuration file. It
// asks no daemon, so it also tells of one that is only starting, or that
// somebody may start.
package dockerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Settings are what a daemon works with (moby cmd/dockerd).
type Settings struct {
	DataRoot string
	Pidfile  string
}

// Defaults are the settings of a daemon that was told nothing.
var Defaults = Settings{DataRoot: "/var/lib/docker", Pidfile: "/var/run/docker.pid"}

// ConfigFile is the configuration file of a daemon that was told of no other.
const ConfigFile = "/etc/docker/daemon.json"

// Is reports whether a command line is that of a daemon: dockerd; before 1.12
// it was "docker daemon", before 1.8 "docker -d".
func Is(args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch path.Base(args[0]) {
	case "dockerd", "dockerd-ce", "dockerd-dev":
		return true
	case "docker":
		for _, arg := range args[1:] {
			if !strings.HasPrefix(arg, "-") {
				return arg == "daemon"
			}
			if arg == "-d" || arg == "--daemon" || arg == "--daemon=true" {
				return true
			}
		}
	}
	return false
}

// Read returns the settings that a command line and the configuration file
// make together. The file is read with a function, for it may lie in another
// root. An error means that the file cannot be read: such a daemon does not
// start.
func Read(args []string, readFile func(name string) ([]byte, error)) (Settings, error) {
	s := Defaults
	file, given := ConfigFile, false
	var flags Settings
	for i := 1; i < len(args); i++ {
		name, value, ok := strings.Cut(args[i], "=")
		if short := args[i]; len(short) > 2 && (short[:2] == "-g" || short[:2] == "-p") {
			name, value, ok = short[:2], strings.TrimPrefix(short[2:], "="), true
		}
		target := map[string]*string{
			"--data-root": &flags.DataRoot, "--graph": &flags.DataRoot, "-g": &flags.DataRoot,
			"--pidfile": &flags.Pidfile, "-p": &flags.Pidfile, "--config-file": &file,
		}[name]
		if target == nil {
			continue
		}
		if !ok && i+1 < len(args) {
			i++
			value = args[i]
		}
		*target = value
		given = given || target == &file
	}
	var config struct {
		DataRoot string `json:"data-root"`
		Graph    string `json:"graph"`
		Pidfile  string `json:"pidfile"`
	}
	text, err := readFile(file)
	if err == nil {
		err = json.Unmarshal(text, &config)
	} else if errors.Is(err, fs.ErrNotExist) && !given {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", file, cause(err))
	}
	for _, from := range []Settings{{config.Graph, ""}, {config.DataRoot, config.Pidfile}, flags} {
		if from.DataRoot != "" {
			s.DataRoot = from.DataRoot
		}
		if from.Pidfile != "" {
			s.Pidfile = from.Pidfile
		}
	}
	return s, err
}

// cause is an error without the path that stands before it anyway.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// IsRemapped reports whether a name is that of the data root that a daemon
// with user namespaces has below the one that it was told of: "<uid>.<gid>".
func IsRemapped(name string) bool {
	uid, gid, ok := strings.Cut(name, ".")
	return ok && number(uid) && number(gid)
}

func number(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
