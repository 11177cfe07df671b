//go:build linux

// Package script runs the plugin as users do: its main function, the real
// client, a data root on disk, and a daemon that only pretends but owns the
// root for real. A script is a file in testdata; see commands_test.go for
// what it can do besides what testscript brings.
package script

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/skip"

	"github.com/docker-orphans/docker-orphans/plugin"
	"github.com/docker-orphans/docker-orphans/tests/apart"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(apart.M(m), map[string]func(){
		"docker-orphans": func() { os.Exit(plugin.Main()) },
		"nobody-docker-orphans": func() {
			const nobody = 65534
			if err := syscall.Setuid(nobody); err != nil {
				panic(err)
			}
			os.Exit(plugin.Main())
		},
		"fakedockerd":  testkit.FakeDockerd,
		"nobody-reads": nobodyReads,
	})
}

func TestScripts(t *testing.T) { run(t, "testdata") }

// run plays the scripts of a directory.
func run(t *testing.T, dir string) {
	skip.If(t, os.Geteuid() != 0, "reads data roots as root")
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dataroot":  dataroot,
			"dockerd":   dockerd,
			"id":        id,
			"exits":     exits,
			"json":      jsonIs,
			"interrupt": interrupt,
			"terminal":  terminal,
			"answer":    answer,
			"dies":      dies,
			"lock":      lock,
			"unlock":    unlock,
			"awaits":    awaits,
			"asked":     asked,
		},
		Setup: func(env *testscript.Env) error {
			roots, err := filepath.Abs("../testdata/roots")
			if err != nil {
				return err
			}
			env.Setenv("ROOTS", roots)
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, "config"))
			env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "docker.sock"))
			env.Values[worldKey{}] = &world{}
			return nil
		},
	})
}
