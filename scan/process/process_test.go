package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// line is a stat file's with the given number, name and start.
func line(pid, name, flags, start string) string {
	return pid + " (" + name + ") S 7 0 0 0 -1 " + flags + " 1 2 3 4 5 6 7 8 20 0 1 0 " + start + " 49664000 3958"
}

func TestParseStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want Status
		err  string
	}{
		"plain":       {line("12", "dockerd", "4194560", "99"), Status{12, "dockerd", 7, 4194560, 99}, ""},
		"parentheses": {line("12", "a) S 1 (b", "0", "99"), Status{12, "a) S 1 (b", 7, 0, 99}, ""},
		"line's end":  {line("12", "a\nb", "0", "99") + "\n", Status{12, "a\nb", 7, 0, 99}, ""},
		"no name":     {line("12", "", "0", "99"), Status{12, "", 7, 0, 99}, ""},
		"kthread":     {line("2", "kthreadd", "2129984", "1"), Status{2, "kthreadd", 7, 2129984, 1}, ""},
		"empty":       {"", Status{}, "no name"},
		"cut":         {"12 (sh) S 1 2 3", Status{}, "has 4 fields"},
		"backwards":   {")12(", Status{}, "no name"},
		"no number":   {line("x", "sh", "0", "99"), Status{}, "invalid syntax"},
		"negative":    {line("12", "sh", "0", "-99"), Status{}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStatus(tc.line)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, got, tc.want)
			assert.Equal(t, got.Kernel(), name == "kthread")
		})
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(line("12", "dockerd", "4194560", "99"))
	f.Add(line("12", "a) S 1 (b", "0", "99"))
	f.Add(line("1", "\x1b[31m", "0", "18446744073709551616"))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStatus(text)
		if err == nil {
			assert.Assert(t, s.PID >= 0 && s.Parent >= 0 && s.Ticks >= 0)
			assert.Assert(t, strings.Contains(text, "("+s.Name+")"))
		}
	})
}

// table makes a process table of files.
func table(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			assert.NilError(t, os.Symlink(target, path))
			continue
		}
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func TestFind(t *testing.T) {
	proc := table(t, map[string]string{
		"stat":    "cpu 1 2\nbtime 1000000000\nprocesses 5\n",
		"12/stat": line("12", "docker\x1bd", "0", "12345"),
	})
	p, err := Find(proc, 12)
	assert.NilError(t, err)
	assert.Equal(t, p.PID, 12)
	assert.Equal(t, p.Name, `docker\x1bd`)
	assert.Equal(t, p.Started, time.Unix(1000000123, 450_000_000).UTC())
	assert.Assert(t, Exists(proc, p))

	t.Run("the number was given again", func(t *testing.T) {
		assert.NilError(t, os.WriteFile(filepath.Join(proc, "12/stat"), []byte(line("12", "dockerd", "0", "12645")), 0o644))
		assert.Assert(t, !Exists(proc, p))
	})
	t.Run("it ended", func(t *testing.T) {
		assert.Assert(t, !Exists(proc, &scan.Process{PID: 13, Started: p.Started}))
	})
	t.Run("no boot time", func(t *testing.T) {
		proc := table(t, map[string]string{"stat": "cpu 1 2\n", "12/stat": line("12", "sh", "0", "1")})
		_, err := Find(proc, 12)
		assert.ErrorContains(t, err, "no btime")
	})
}

func TestList(t *testing.T) {
	proc := table(t, map[string]string{"1/comm": "init\n", "20/comm": "a\n", "3/comm": "b\n", "self/x": "", "-4/x": "", "05x/x": ""})
	pids, err := List(proc)
	assert.NilError(t, err)
	assert.DeepEqual(t, pids, []int{1, 3, 20})
	assert.Equal(t, Name(proc, 20), "a")
	assert.Equal(t, Name(proc, 21), "?")

	for name, files := range map[string]map[string]string{
		"empty":                          {},
		"processes of others are hidden": {"20/comm": "a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := List(table(t, files))
			assert.ErrorContains(t, err, "does not list process 1")
		})
	}
	_, err = List(filepath.Join(proc, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
