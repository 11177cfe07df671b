package scan_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// What we read of a pool that a kernel wrote is what thin_dump printed of it.
func TestThinDump(t *testing.T) {
	c, _ := testkit.Unpack(t, "../testdata/roots", "devicemapper")
	file, err := os.Open(filepath.Join(c.Dir, "devicemapper/devicemapper/metadata"))
	assert.NilError(t, err)
	defer file.Close()
	pool, err := thin.Read(file)
	assert.NilError(t, err)
	dump, err := os.Open("../testdata/recorded/thin_dump.txt")
	assert.NilError(t, err)
	defer dump.Close()
	var devices []thin.Device
	for lines := bufio.NewScanner(dump); lines.Scan(); {
		var d thin.Device
		line := strings.TrimSpace(lines.Text())
		if _, err := fmt.Sscanf(line, `<device dev_id="%d" mapped_blocks="%d" transaction="%d"`, &d.ID, &d.Mapped, &d.Transaction); err == nil {
			devices = append(devices, d)
			continue
		}
		assert.Assert(t, strings.HasPrefix(line, fmt.Sprintf(`<superblock uuid="" time="72" transaction="%d"`, pool.Transaction)), line)
		assert.Assert(t, strings.Contains(line, fmt.Sprintf(`data_block_size="%d"`, pool.BlockSize/512)), line)
	}
	assert.DeepEqual(t, pool.Devices, devices)
}

// The daemon tells which thin device a container has by its name alone.
func TestDriverNamesThinDevice(t *testing.T) {
	c, err := testkit.Run(t.TempDir(), "devicemapper", "image app: base\nlayer kept\nlayer stray\nonline started=+1h\nnow +48h\n")
	assert.NilError(t, err)
	kept, err := c.Expand("{layer kept}")
	assert.NilError(t, err)
	c.Daemon.ImageList[0].Graph = map[string]string{
		"DeviceId": "30", "DeviceName": "docker-254:0-262184-" + kept, "DeviceSize": "50331648",
	}
	_, findings := testkit.Judge(t, c)
	verdicts := map[string]scan.Verdict{}
	for _, f := range findings {
		verdicts[c.Symbols(f.ID)] = f.Verdict
	}
	assert.Equal(t, verdicts["{layer kept}"], scan.Used)
	assert.Assert(t, verdicts["{layer stray}"] != scan.Used)
}
