//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// A bill is a line of df --format json.
type bill struct {
	Account     string
	SizeBytes   int64
	DockerBytes *int64
	Path        string
}

// bills are what df says, by account.
func (h *host) bills(t *testing.T, args ...string) map[string]bill {
	t.Helper()
	out := h.command(t, 0, append(args, "df", "--format", "json")...)
	bills := map[string]bill{}
	for line := range strings.Lines(out.Stdout) {
		var b bill
		assert.NilError(t, json.Unmarshal([]byte(line), &b))
		sum := bills[b.Account]
		b.SizeBytes += sum.SizeBytes
		bills[b.Account] = b
	}
	return bills
}

// allOf is what du finds on one file system, in bytes on disk; for btrfs, whose
// files share blocks, what its own finds, and the small files and links that it leaves out.
func (h *host) allOf(t *testing.T) (bytes, margin int64) {
	t.Helper()
	if h.Driver == "btrfs" {
		out, err := exec.Command("btrfs", "filesystem", "du", "--summarize", "--raw", h.Root).Output()
		assert.NilError(t, err)
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		f := strings.Fields(lines[len(lines)-1]) // total, exclusive, shared, name
		assert.Assert(t, len(f) == 4, "%s", out)
		bytes = integer(t, f[1]) + integer(t, f[2])
		small, err := exec.Command("find", h.Root, "-type", "f,l", "-size", "-2049c", "-printf", "%b\n").Output()
		assert.NilError(t, err)
		for blocks := range strings.Lines(string(small)) {
			bytes += integer(t, strings.TrimSpace(blocks)) * 512
		}
		return bytes, bytes / 100
	}
	out, _ := exec.Command("du", "-s", "--block-size=1", "--one-file-system", h.Root).Output() // a file that goes meanwhile is an error to it
	text, _, _ := strings.Cut(string(out), "\t")
	return integer(t, text), 0
}

func integer(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	assert.NilError(t, err)
	return n
}

// assertUsage compares the total of df with what du finds, and returns its
// accounts.
func (h *host) assertUsage(t *testing.T) map[string]bill {
	t.Helper()
	var bills map[string]bill
	var is, off, margin int64
	for range patience { // the daemon writes between the two walks
		is, margin = h.allOf(t)
		bills = h.bills(t, shortGrace...)
		if off = max(bills["total"].SizeBytes-is, is-bills["total"].SizeBytes); off <= margin {
			break
		}
	}
	assert.Assert(t, off <= margin, "%d, must be %d", bills["total"].SizeBytes, is)
	_, unknown := bills["unknown"]
	assert.Check(t, !unknown, "%v", bills["unknown"])
	return bills
}

// TestUsage leaks a writable layer and keeps a deleted file open, and asserts
// that the accounts add up to what du finds, and after a prune again.
func TestUsage(t *testing.T) {
	const size = 3 << 20
	at(t, everywhere, "adds up", func(t *testing.T, h *host) {
		h.Up(t, "--name=open", "base:1", "sh", "-c", "exec 3>/gone; rm /gone; head -c 3145728 /dev/zero >&3; sleep 100000")
		wants := lostContainer(t, h)
		h.Docker(t, "start", "open")
		bills := h.assertUsage(t)
		assert.Check(t, bills["images"].SizeBytes > 0 && *bills["images"].DockerBytes > 0, "%v", bills["images"])
		assert.Check(t, bills["orphans"].SizeBytes > 0, "%v", bills)
		assert.Check(t, bills["volumes"].SizeBytes > 0, "%v", bills)
		if h.Driver == "overlay2" { // elsewhere the file has another device, or no mount tells of it
			assert.Check(t, bills["deleted, still open"].SizeBytes >= size, "%v", bills)
		}
		h.prune(t)
		for _, w := range wants {
			for _, path := range w.paths {
				assert.Check(t, !h.Has(path), "%s", path)
			}
		}
		bills = h.assertUsage(t)
		_, orphans := bills["orphans"]
		assert.Check(t, !orphans, "%v", bills["orphans"])
		assert.Check(t, bills["quarantine"].SizeBytes > 8<<20, "%v", bills["quarantine"])
	})
}
