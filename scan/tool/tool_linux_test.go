package tool

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func program(t *testing.T, text string, mode os.FileMode) Tool {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "teller")
	assert.NilError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	assert.NilError(t, os.Chmod(path, mode))
	return Tool{Name: "teller", Packages: "teller (Debian)", Dirs: []string{t.TempDir(), dir}}
}

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "x")
	out, err := program(t, `echo "$# $2 $SECRET $LC_ALL"; pwd; read line || echo none`, 0o755).Run(t.Context(), "a", "b c")
	assert.NilError(t, err)
	assert.Equal(t, string(out), "2 b c  C\n/\nnone\n")

	tool := program(t, "echo first; echo cannot >&2; echo open >&2; exit 2", 0o755)
	_, err = tool.Run(t.Context(), "list")
	assert.Error(t, err, "teller list: cannot open (exit status 2)")
	assert.Equal(t, tool.Hint(err), "")

	_, err = program(t, "head -c 70000000 /dev/zero", 0o755).Run(t.Context())
	assert.ErrorContains(t, err, "more than can be")
	_, err = program(t, "head -c 70000000 /dev/zero >&2; exit 1", 0o755).Run(t.Context())
	assert.Assert(t, err != nil && len(err.Error()) < 1000)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = program(t, "sleep 60", 0o755).Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

// Only what nobody but root can change is run.
func TestTrusted(t *testing.T) {
	for mode, why := range map[os.FileMode]string{0o777: "changed by others", 0o775: "changed by others", 0o644: "cannot be run"} {
		_, err := program(t, "echo run", mode).Run(t.Context())
		assert.ErrorContains(t, err, why)
	}
	tool := program(t, "echo run", 0o755)
	if os.Geteuid() == 0 {
		assert.NilError(t, os.Chown(filepath.Join(tool.Dirs[1], "teller"), 12345, 0))
		_, err := tool.Run(t.Context())
		assert.ErrorContains(t, err, "belongs to user 12345")
	}
	assert.NilError(t, os.Mkdir(filepath.Join(tool.Dirs[0], "teller"), 0o755))
	_, err := tool.Run(t.Context())
	assert.ErrorContains(t, err, "no program")
}

func TestMissing(t *testing.T) {
	tool := Tool{Name: "teller", Packages: "teller (Debian)", Dirs: []string{t.TempDir()}}
	_, err := tool.Run(t.Context())
	assert.ErrorIs(t, err, ErrMissing)
	assert.Equal(t, tool.Hint(err), "install teller (Debian)")
	assert.Assert(t, !strings.Contains(err.Error(), "/"))
}
