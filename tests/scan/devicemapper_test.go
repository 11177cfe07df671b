package scan_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/source"
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

// What deleting a device gives back is what thin_ls printed of it.
func TestThinOwn(t *testing.T) {
	c, _ := testkit.Unpack(t, "../testdata/roots", "devicemapper")
	file, err := os.Open(filepath.Join(c.Dir, "devicemapper/devicemapper/metadata"))
	assert.NilError(t, err)
	defer file.Close()
	own, err := thin.Own(file)
	assert.NilError(t, err)
	told, err := os.ReadFile("../testdata/recorded/thin_ls.txt")
	assert.NilError(t, err)
	want := map[uint32]int64{}
	for line := range strings.Lines(string(told)) {
		var id uint32
		var blocks int64
		_, err := fmt.Sscan(line, &id, &blocks)
		assert.NilError(t, err)
		want[id] = blocks * 128 * 512
	}
	assert.DeepEqual(t, own, want)
}

// How full a pool of files is, is what the kernel said of it when it was active;
// while a daemon runs, the kernel is asked of the pool that the daemon names.
func TestPoolUsage(t *testing.T) {
	c, _ := testkit.Unpack(t, "../testdata/roots", "devicemapper")
	in := testkit.Input(t, c)
	got, err := backend.UsageOfPool(t.Context(), in)
	assert.NilError(t, err)
	// dmsetup status: 455/4096 285/16384, of blocks of 64 KiB
	data, meta := thin.Fill{Used: 285 << 16, Size: 16384 << 16}, thin.Fill{Used: 455 << 12, Size: 4096 << 12}
	assert.DeepEqual(t, got, &backend.PoolUsage{Data: data, Meta: meta})

	in.Info.Pool = "docker-254:32-131100-pool"
	_, err = backend.UsageOfPool(t.Context(), in)
	assert.ErrorContains(t, err, "device does not exist", "and not what the files of another time say")
	c.Mapper.Pools = map[string]dm.Pool{in.Info.Pool: {Data: meta, Meta: data, Mode: "ro"}}
	got, err = backend.UsageOfPool(t.Context(), in)
	assert.NilError(t, err)
	assert.DeepEqual(t, got, &backend.PoolUsage{Name: in.Info.Pool, Data: meta, Meta: data, Trouble: "it is read-only: its metadata is damaged, or full"})

	c, _ = testkit.Unpack(t, "../testdata/roots", "devicemapper-lvm")
	_, err = backend.UsageOfPool(t.Context(), testkit.Input(t, c))
	assert.ErrorContains(t, err, "not made of files of the data root")
	c, _ = testkit.Unpack(t, "../testdata/roots", "vfs")
	got, err = backend.UsageOfPool(t.Context(), testkit.Input(t, c))
	assert.NilError(t, err)
	assert.Assert(t, got == nil)
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

// What a device takes is what comes free when it is deleted, and its files; as
// long as a daemon runs it is not told.
func TestThinSizes(t *testing.T) {
	c, _ := testkit.Unpack(t, "../testdata/roots", "devicemapper")
	in := testkit.Input(t, c)
	g := scan.Scan(t.Context(), in, source.All)
	findings := scan.Classify(g, c.Policy)
	var orphans []*scan.Finding
	for i := range findings {
		if f := &findings[i]; f.Verdict == scan.Orphan && f.Type == scan.TypeLayer {
			orphans = append(orphans, f)
		}
	}
	assert.Assert(t, len(orphans) > 1)
	assert.NilError(t, scan.Measure(t.Context(), in, g, orphans, nil))
	for _, f := range orphans {
		size := f.Size()
		assert.Assert(t, size.Complete, "%s: %s", f.ID, size.Problem)
		assert.Assert(t, size.Bytes >= int64(len(f.Parts))<<16 && size.Bytes <= int64(len(f.Parts))*(6<<16), "%s: %d", f.ID, size.Bytes)
		for _, o := range f.Parts {
			o.Usage = nil
		}
	}
	in.Host.Online = true
	assert.NilError(t, scan.Measure(t.Context(), in, g, orphans, nil))
	for _, f := range orphans {
		assert.Equal(t, f.Size().Problem, "what a thin device takes is not told by files: a daemon runs, and the pool changes")
	}
}

// What cannot be read keeps what it may be about from being judged: a metadata
// file its layer, the pool all.
func TestThinUnread(t *testing.T) {
	for name, text := range map[string][]byte{
		"devicemapper/metadata/{layer stray}": make([]byte, 1<<24), // larger than any
		"devicemapper/devicemapper/metadata":  make([]byte, 1<<16),
	} {
		c, err := testkit.Run(t.TempDir(), "devicemapper", "image app: base\ncontainer web app\nlayer stray on base\n")
		assert.NilError(t, err)
		path, err := c.Expand(name)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(filepath.Join(c.Dir, path), text, 0o600))
		_, findings := testkit.Judge(t, c)
		at := slices.IndexFunc(findings, func(f scan.Finding) bool { return c.Symbols(f.ID) == "{layer stray}" })
		assert.Assert(t, at >= 0, name)
		assert.Equal(t, findings[at].Verdict, scan.Unsure, "%s: %s", name, findings[at].Reason)
	}
}

// Where two files name one device, the device that one of them should name is
// not taken for one without a file.
func TestThinCopiedFile(t *testing.T) {
	c, err := testkit.Run(t.TempDir(), "devicemapper", "image app: base\ncontainer web app\nlayer one on base\nlayer two on base\n")
	assert.NilError(t, err)
	one, err := c.Expand("devicemapper/metadata/{layer one}")
	assert.NilError(t, err)
	two, err := c.Expand("devicemapper/metadata/{layer two}")
	assert.NilError(t, err)
	data, err := os.ReadFile(filepath.Join(c.Dir, one))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(c.Dir, two), data, 0o600))
	_, findings := testkit.Judge(t, c)
	for _, f := range findings {
		assert.Assert(t, !f.Unrecorded(), "%s is %s", f.ID, f.Verdict)
	}
}

// Before 1.10 nothing but its metadata file tells whose a device is.
func TestThinUnrecordedBefore110(t *testing.T) {
	c, _ := testkit.Unpack(t, "../testdata/roots", "devicemapper-1.6.2")
	_, findings := testkit.Judge(t, c)
	at := slices.IndexFunc(findings, func(f scan.Finding) bool { return f.Verdict == scan.Orphan && f.Type == scan.TypeLayer })
	assert.Assert(t, at >= 0)
	for _, o := range findings[at].Parts {
		assert.NilError(t, os.Remove(filepath.Join(c.Dir, o.Path())))
	}
	_, findings = testkit.Judge(t, c)
	lost := 0
	for _, f := range findings {
		if f.Unrecorded() {
			lost++
			assert.Equal(t, f.Verdict, scan.Unsure, "%s: %s", f.ID, f.Reason)
		}
	}
	assert.Assert(t, lost > 0)
}

// A mount record of which nothing is left but the record is damaged.
func TestThinRecordAlone(t *testing.T) {
	c, err := testkit.Run(t.TempDir(), "devicemapper", "image app: base\ncontainer web app\ncontainer leak app\nrm containers/{container leak}\n")
	assert.NilError(t, err)
	leak, err := c.Expand("{container leak}")
	assert.NilError(t, err)
	id, err := os.ReadFile(filepath.Join(c.Dir, "image/devicemapper/layerdb/mounts", leak, "mount-id"))
	assert.NilError(t, err)
	assert.NilError(t, os.Remove(filepath.Join(c.Dir, "devicemapper/metadata", string(id))))
	_, findings := testkit.Judge(t, c)
	at := slices.IndexFunc(findings, func(f scan.Finding) bool { return f.ID == leak })
	assert.Assert(t, at >= 0)
	assert.Equal(t, findings[at].Verdict, scan.Damaged, findings[at].Reason)
}
