package process

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func TestParseLock(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want lock
		held bool
		err  string
	}{
		"flock":     {"1: FLOCK  ADVISORY  WRITE 12924 fe:00:9986510 0 EOF\n", lock{12924, scan.FileKey{Device: 0xfe00, Inode: 9986510}}, true, ""},
		"btrfs":     {"2: FLOCK  ADVISORY  WRITE 4 00:27:257 0 EOF", lock{4, scan.FileKey{Device: 0x27, Inode: 257}}, true, ""},
		"big minor": {"3: POSIX  ADVISORY  READ 4 103:12345:1 0 9", lock{4, scan.FileKey{Device: 0x12310345, Inode: 1}}, true, ""},
		"open file": {"7: OFDLCK ADVISORY  READ -1 00:06:3 0 EOF", lock{-1, scan.FileKey{Device: 6, Inode: 3}}, true, ""},
		"waiting":   {"1: -> FLOCK  ADVISORY  WRITE 5 fe:00:9986510 0 EOF", lock{}, false, ""},
		"lease":     {"4: LEASE  ACTIVE    READ  5 fe:00:9986510 0 EOF", lock{}, false, ""},
		"no file":   {"4: POSIX  ADVISORY  READ 5 <none>:0 0 EOF", lock{4, scan.FileKey{}}, false, ""},
		"empty":     {"\n", lock{}, false, ""},
		"cut":       {"1: FLOCK  ADVISORY  WRITE 12924", lock{}, false, "has 5 fields"},
		"no device": {"1: FLOCK  ADVISORY  WRITE 12924 fe:9986510 0 EOF", lock{}, false, "no device and inode"},
		"no number": {"1: FLOCK  ADVISORY  WRITE me fe:00:9986510 0 EOF", lock{}, false, "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			got, held, err := parseLock(tc.line)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, held, tc.held)
			if held {
				assert.Equal(t, got, tc.want)
			}
		})
	}
}

func TestParseLocksRejectsWhatItDoesNotUnderstand(t *testing.T) {
	_, err := parseLocks("1: FLOCK  ADVISORY  WRITE 1 fe:00:1 0 EOF\n2: FLOCK  ADVISORY\n")
	assert.ErrorContains(t, err, `"2: FLOCK  ADVISORY": has 3 fields`)
}

func FuzzParseLocks(f *testing.F) {
	f.Add("1: FLOCK  ADVISORY  WRITE 12924 fe:00:9986510 0 EOF\n1: -> POSIX  ADVISORY  READ 1 00:27:257 0 EOF\n")
	f.Add("7: OFDLCK ADVISORY  READ -1 00:06:3 0 EOF")
	f.Add("1: FLOCK x y z <none>:0")
	f.Fuzz(func(t *testing.T, text string) {
		locks, err := parseLocks(text)
		assert.Assert(t, err == nil || locks == nil)
		assert.Assert(t, len(locks) <= strings.Count(text, "\n")+1)
	})
}

func TestParseMapping(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want mapping
		ok   bool
		err  string
	}{
		"file":      {"00400000-0048a000 r-xp 00000000 fd:00 1234                       /bin/a sh", mapping{"400000-48a000", scan.FileKey{Device: 0xfd00, Inode: 1234}, "/bin/a sh"}, true, ""},
		"deleted":   {"7f0000000000-7f0000001000 r--s 00000000 08:01 9 /x (deleted)", mapping{"7f0000000000-7f0000001000", scan.FileKey{Device: 0x801, Inode: 9}, "/x (deleted)"}, true, ""},
		"no path":   {"7f0000000000-7f0000001000 r--s 00000000 08:01 9", mapping{"7f0000000000-7f0000001000", scan.FileKey{Device: 0x801, Inode: 9}, ""}, true, ""},
		"anonymous": {"7ffd4000-7ffd5000 rw-p 00000000 00:00 0                          [stack]", mapping{}, false, ""},
		"cut":       {"7ffd4000-7ffd5000 rw-p 00000000", mapping{}, false, "too few fields"},
		"no number": {"x-y rw-p 00000000 00:01 3 /x", mapping{}, false, "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := parseMapping(tc.line)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, ok, tc.ok)
			assert.Equal(t, got, tc.want)
		})
	}
}

func FuzzParseMapping(f *testing.F) {
	f.Add("00400000-0048a000 r-xp 00000000 fd:00 1234                       /bin/sh")
	f.Add("7ffd4000-7ffd5000 rw-p 00000000 00:00 0                          [stack]")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok, err := parseMapping(text)
		if ok {
			assert.NilError(t, err)
			assert.Assert(t, strings.HasSuffix(text, m.path))
		}
	})
}
