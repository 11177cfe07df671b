package dm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/scan/tool"
)

const hash = "3771f739b8e7621f7ad8ffd18e87ad7018f95b22857af04c88d47b69d093c754"

func TestLayerID(t *testing.T) {
	for name, want := range map[string]string{
		"docker-254:32-131100-" + hash:           hash,
		"docker-254:32-131100-" + hash + "-init": hash + "-init",
		"32-131100-" + hash:                      hash, // what is left of a path that was split at its colons
		"docker-254:32-131100-pool":              "pool",
		"docker-254:32-131100-base":              "base",
		"docker-thinpool":                        "",
		"docker-thinpool_tmeta":                  "",
		"vg-root":                                "",
		"docker-254:32-131100-":                  "",
		"docker-254:32-x-" + hash:                "",
		"":                                       "",
		hash:                                     "",
	} {
		got, ok := LayerID(name)
		assert.Equal(t, got, want, name)
		assert.Equal(t, ok, want != "", name)
	}
}

// Lines that dmsetup 1.02.185 printed.
func TestParseInfo(t *testing.T) {
	got, err := parseInfo("253|0|0|docker-254:0-262184-pool\n253|3|1|docker-254:0-262184-" + hash + "\n")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Device{{"docker-254:0-262184-pool", 253, 0, 0}, {"docker-254:0-262184-" + hash, 253, 3, 1}})
	got, err = parseInfo("No devices found\n")
	assert.NilError(t, err)
	assert.Equal(t, len(got), 0)
	for _, bad := range []string{"253|0|0\n", "253|0|-1|a\n", "253|0||a\n", "x|0|1|a\n", "253|0|1|\n", "\n", "Name Maj Min\n"} {
		_, err := parseInfo(bad)
		assert.Assert(t, err != nil, bad)
	}
}

// Status lines of linux 6.1 and 6.18, and what its source can print.
func TestParsePool(t *testing.T) {
	got, err := parsePool("0 2097152 thin-pool 110 455/4096 285/16384 - rw discard_passdown queue_if_no_space - 1024 \n")
	assert.NilError(t, err)
	want := Pool{Transaction: 110, Meta: thin.Fill{Used: 455 << 12, Size: 16 << 20}, Data: thin.Fill{Used: 285 << 16, Size: 1 << 30}, Mode: "rw"}
	assert.DeepEqual(t, got, want)
	assert.Equal(t, got.Trouble(), "")
	got, err = parsePool("0 2097353 thin-pool 1 1/4096 2/16385 - rw discard_passdown queue_if_no_space - 1024") // more than fits blocks
	assert.NilError(t, err)
	assert.Equal(t, got.Data.Used, int64(2<<16))
	for line, trouble := range map[string]string{
		"0 1228800 thin-pool 104 243/2048 9600/9600 - out_of_data_space discard_passdown queue_if_no_space - 512": "",
		"0 1228800 thin-pool 104 243/2048 255/9600 77 ro no_discard_passdown error_if_no_space - 512":             "read-only",
		"0 1228800 thin-pool 104 243/2048 255/9600 - rw discard_passdown queue_if_no_space needs_check 512":       "must be checked",
		"0 1228800 thin-pool Fail":  "has failed",
		"0 1228800 thin-pool Error": "has failed",
	} {
		p, err := parsePool(line)
		assert.NilError(t, err, line)
		assert.Assert(t, trouble == "" && p.Trouble() == "" || trouble != "" && strings.Contains(p.Trouble(), trouble), "%s: %s", line, p.Trouble())
		assert.Equal(t, p.Snapshot, strings.Contains(line, " 77 "))
	}
	for _, bad := range []string{
		"", "0 98304 thin 16256 98303", "0 1228800 thin-pool 104", "0 x thin-pool 1 1/2 1/2 - rw", "0 1 thin-pool x 1/2 1/2 - rw", "0 1 thin-pool 1 3/2 1/2 - rw",
		"0 1 thin-pool 1 1/2 1/2 - sideways",
	} {
		_, err := parsePool(bad)
		assert.Assert(t, err != nil, bad)
	}
}

// sys makes a /sys with devices, and dir with a dmsetup that prints out.
func system(t *testing.T, out string, devices ...string) System {
	t.Helper()
	sys := t.TempDir()
	assert.NilError(t, os.MkdirAll(sys+"/block", 0o700))
	for i, name := range devices {
		dir := filepath.Join(sys, "block", "dm-"+string(rune('0'+i)))
		assert.NilError(t, os.MkdirAll(dir+"/dm", 0o700))
		assert.NilError(t, os.WriteFile(dir+"/dm/name", []byte(name+"\n"), 0o600))
		assert.NilError(t, os.WriteFile(dir+"/dev", []byte("253:"+string(rune('0'+i))+"\n"), 0o600))
	}
	s := System{sys, tool.Tool{Name: "dmsetup", Packages: "dmsetup", Dirs: []string{t.TempDir()}}}
	if out != "" {
		assert.NilError(t, os.WriteFile(s.Tool.Dirs[0]+"/dmsetup", []byte("#!/bin/sh\necho \"$@\" >>"+sys+"/asked\n"+out), 0o700))
	}
	return s
}

// Where no device is active no program is needed.
func TestNoDevices(t *testing.T) {
	got, err := system(t, "").Devices(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(got), 0)
	_, err = System{t.TempDir(), Dmsetup}.Devices(t.Context())
	assert.Assert(t, err != nil, "a /sys that has nothing proves nothing")
}

// Without the program the devices are known, and not who has them open.
func TestNoDmsetup(t *testing.T) {
	s := system(t, "", "docker-254:0-262184-pool")
	got, err := s.Devices(t.Context())
	assert.ErrorIs(t, err, tool.ErrMissing)
	assert.DeepEqual(t, got, []Device{{"docker-254:0-262184-pool", 253, 0, OpenUnknown}})
	assert.Equal(t, s.Tool.Hint(err), "install dmsetup")
	_, err = s.Pool(t.Context(), "docker-254:0-262184-pool")
	assert.ErrorIs(t, err, tool.ErrMissing)
}

func TestDmsetup(t *testing.T) {
	s := system(t, "echo '253|0|2|docker-254:0-262184-pool'", "docker-254:0-262184-pool")
	got, err := s.Devices(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Device{{"docker-254:0-262184-pool", 253, 0, 2}})
	s = system(t, "echo '0 2097152 thin-pool 2 421/4096 158/16384 - rw discard_passdown queue_if_no_space - 1024'", "p")
	pool, err := s.Pool(t.Context(), "-f") // a name is never an option
	assert.NilError(t, err)
	assert.Equal(t, pool.Transaction, uint64(2))
	asked, err := os.ReadFile(s.Sys + "/asked")
	assert.NilError(t, err)
	assert.Equal(t, string(asked), "status --noflush -- -f\n", "the pool's metadata are not committed by asking")
	for _, fails := range []string{"echo Device does not exist. >&2; exit 1", "echo garbage", "exit 3"} {
		s := system(t, fails, "p")
		_, err := s.Devices(t.Context())
		assert.Assert(t, err != nil, fails)
		_, err = s.Pool(t.Context(), "p")
		assert.Assert(t, err != nil, fails)
	}
}
