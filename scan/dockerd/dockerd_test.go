package dockerd

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
)

func TestIs(t *testing.T) {
	for line, want := range map[string]bool{
		"dockerd":                              true,
		"/usr/bin/dockerd -H fd://":            true,
		"/usr/bin/docker daemon -g /srv":       true,
		"docker -D daemon":                     true,
		"docker -d":                            true,
		"docker -H unix:///x -d":               false, // no flag of that time takes its value apart: unknown
		"docker ps":                            false,
		"docker run -d daemon":                 false,
		"docker-proxy":                         false,
		"containerd":                           false,
		"vi dockerd":                           false,
		"/usr/bin/dockerd-rootless.sh --debug": false,
		"":                                     false,
	} {
		assert.Equal(t, Is(strings.Fields(line)), want, line)
	}
}

func TestRead(t *testing.T) {
	files := map[string]string{
		ConfigFile:   `{"graph": "/old", "data-root": "/configured", "pidfile": "/configured.pid"}`,
		"/graph":     `{"graph": "/old"}`,
		"/empty":     `{}`,
		"/malformed": `{`,
	}
	read := func(name string) ([]byte, error) {
		if name == "/refused" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
		}
		text, ok := files[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
	for line, want := range map[string]Settings{
		"dockerd":                                 {"/configured", "/configured.pid"},
		"dockerd --config-file=/empty":            Defaults,
		"dockerd --config-file /graph":            {"/old", Defaults.Pidfile},
		"dockerd --data-root=/a --pidfile=/p":     {"/a", "/p"},
		"dockerd --debug --data-root /a -p /p -D": {"/a", "/p"},
		"dockerd -g /a -p/p":                      {"/a", "/p"},
		"dockerd -g=/a":                           {"/a", "/configured.pid"},
		"dockerd -g/a":                            {"/a", "/configured.pid"},
		"dockerd --graph /a --graph /b":           {"/b", "/configured.pid"},
		"dockerd --data-root":                     {"/configured", "/configured.pid"},
		"docker daemon --graph=/a":                {"/a", "/configured.pid"},
		"dockerd --data-rooted=/a":                {"/configured", "/configured.pid"},
	} {
		got, err := Read(strings.Fields(line), read)
		assert.NilError(t, err, line)
		assert.Equal(t, got, want, line)
	}
	for line, want := range map[string]string{
		"dockerd --config-file=/malformed": "/malformed: unexpected end of JSON input",
		"dockerd --config-file=/missing":   "/missing: file does not exist",
		"dockerd --config-file=/refused":   "/refused: permission denied",
	} {
		_, err := Read(strings.Fields(line+" -g /a"), read)
		assert.Error(t, err, want)
	}
	delete(files, ConfigFile)
	got, err := Read([]string{"dockerd"}, read)
	assert.NilError(t, err)
	assert.Equal(t, got, Defaults)
}

func TestIsRemapped(t *testing.T) {
	for name, want := range map[string]bool{"100000.100000": true, "1.": false, ".1": false, "overlay2": false, "1.2.3": false, "-1.2": false} {
		assert.Equal(t, IsRemapped(name), want, name)
	}
}
