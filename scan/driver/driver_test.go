package driver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// rootOf makes a data root of files, in this order: a name that ends with a
// slash is a directory.
func rootOf(t *testing.T, names ...string) *tree.Disk {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			assert.NilError(t, os.MkdirAll(path, 0o700))
		} else {
			assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			assert.NilError(t, os.WriteFile(path, nil, 0o600))
		}
		time.Sleep(10 * time.Millisecond) // change times are as coarse as a tick
	}
	disk, err := tree.Open(dir)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = disk.Close() })
	return disk
}

// The driver that a stopped daemon uses is the one that it would choose, as
// far as nothing contradicts (rule 12).
func TestChoose(t *testing.T) {
	overlay2, vfs, btrfs := "image/overlay2/layerdb/sha256/", "image/vfs/layerdb/sha256/", "image/btrfs/layerdb/sha256/"
	for name, tc := range map[string]struct {
		root []string
		told driver.Told
		want string // the driver, or why it is not known
	}{
		"nothing":                 {[]string{"containers/"}, driver.Told{}, ""},
		"an empty tree":           {[]string{"overlay2/"}, driver.Told{}, ""},
		"one":                     {[]string{overlay2, "overlay2/x"}, driver.Told{}, "overlay2"},
		"records alone":           {[]string{overlay2}, driver.Told{}, "overlay2"},
		"a tree alone":            {[]string{"aufs/x"}, driver.Told{}, "aufs"},
		"data of old volumes":     {[]string{overlay2, "overlay2/x", "vfs/dir/x/"}, driver.Told{}, "overlay2"},
		"vfs before 1.10":         {[]string{"vfs/dir/x/", "repositories-vfs"}, driver.Told{}, "vfs"},
		"names of vfs alone":      {[]string{overlay2, "overlay2/x", "repositories-vfs"}, driver.Told{}, "overlay2"},
		"vfs before":              {[]string{vfs, "vfs/dir/x/", overlay2, "overlay2/x"}, driver.Told{}, "overlay2"},
		"vfs since":               {[]string{overlay2, "overlay2/x", vfs, "vfs/dir/x/"}, driver.Told{}, "the records of vfs changed later"},
		"vfs since, and told":     {[]string{overlay2, "overlay2/x", vfs, "vfs/dir/x/"}, driver.Told{Name: "vfs", By: "f"}, "vfs"},
		"several":                 {[]string{overlay2, "overlay2/x", btrfs, "btrfs/x"}, driver.Told{}, "does not start unless it is told"},
		"several, and told":       {[]string{overlay2, "overlay2/x", btrfs, "btrfs/x"}, driver.Told{Name: "btrfs", By: "f"}, "btrfs"},
		"told one that is new":    {[]string{overlay2, "overlay2/x"}, driver.Told{Name: "vfs", By: "f"}, "vfs"},
		"layers that are missing": {[]string{btrfs, overlay2, "overlay2/x"}, driver.Told{}, "a disk may not be mounted"},
		"all layers are missing":  {[]string{btrfs, overlay2}, driver.Told{}, "a disk may not be mounted"},
		"images in containerd":    {[]string{overlay2, "overlay2/x"}, driver.Told{Containerd: true, By: "f"}, "kept in containerd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := driver.Choose(rootOf(t, tc.root...), tc.told)
			assert.NilError(t, err)
			if driver.Named(tc.want) != nil || tc.want == "" {
				assert.Equal(t, c.Name, tc.want, c.Undecided)
				return
			}
			assert.Equal(t, c.Name, "")
			assert.Assert(t, strings.Contains(c.Undecided, tc.want), c.Undecided)
		})
	}
}

func TestPrior(t *testing.T) {
	prior, err := driver.Prior(rootOf(t, "vfs/dir/x/", "overlay2/l/", "aufs/", "zfs/graph/", "image/btrfs/"))
	assert.NilError(t, err)
	assert.DeepEqual(t, prior, []string{"overlay2", "zfs"})
}

func TestNext(t *testing.T) {
	for _, tc := range []struct {
		prior      []string
		told, uses string
		want       string
	}{
		{[]string{"overlay2"}, "", "overlay2", "chooses overlay2, whose layers"},
		{[]string{"overlay2", "vfs"}, "", "", "chooses overlay2, whose layers"},
		{[]string{"overlay2"}, "", "vfs", "chooses overlay2, and not vfs"},
		{[]string{"aufs", "overlay2"}, "", "overlay2", "finds layers of aufs and overlay2, and does not start"},
		{[]string{"vfs"}, "", "vfs", "finds no layers of any storage driver but vfs, and takes the first"},
		{nil, "/etc/docker/daemon.json", "vfs", "uses vfs, as /etc/docker/daemon.json says"},
		{[]string{"aufs", "overlay2"}, "f", "", "uses what f says"},
	} {
		got := driver.Next(tc.prior, tc.told, tc.uses)
		assert.Assert(t, strings.HasPrefix(got, tc.want), "%+v: %s", tc, got)
	}
}

func TestConfigured(t *testing.T) {
	for name, tc := range map[string]struct {
		config string
		root   string // that is asked about
		want   driver.Told
		fails  bool
	}{
		"no file":              {"-", "var/lib/docker", driver.Told{}, false},
		"an empty file":        {"", "var/lib/docker", driver.Told{}, false},
		"nothing of drivers":   {`{"debug": true}`, "var/lib/docker", driver.Told{}, false},
		"the default root":     {`{"storage-driver": "vfs"}`, "var/lib/docker", driver.Told{Name: "vfs", By: "/etc/docker/daemon.json"}, false},
		"another root":         {`{"storage-driver": "vfs"}`, "mnt/docker", driver.Told{}, false},
		"a root of its own":    {`{"storage-driver": "vfs", "data-root": "/mnt/docker"}`, "mnt/docker", driver.Told{Name: "vfs", By: "/etc/docker/daemon.json"}, false},
		"its name before":      {`{"storage-driver": "vfs", "graph": "/mnt/docker"}`, "mnt/docker", driver.Told{Name: "vfs", By: "/etc/docker/daemon.json"}, false},
		"not the default root": {`{"storage-driver": "vfs", "data-root": "/mnt/docker"}`, "var/lib/docker", driver.Told{}, false},
		"containerd":           {`{"features": {"containerd-snapshotter": true}}`, "var/lib/docker", driver.Told{Containerd: true, By: "/etc/docker/daemon.json"}, false},
		"cut off":              {`{"storage-driver": "v`, "var/lib/docker", driver.Told{}, true},
		"another type":         {`{"storage-driver": 3}`, "mnt/docker", driver.Told{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			machine := t.TempDir()
			for _, dir := range []string{"etc/docker", "var/lib/docker", "mnt/docker"} {
				assert.NilError(t, os.MkdirAll(filepath.Join(machine, dir), 0o700))
			}
			if tc.config != "-" {
				assert.NilError(t, os.WriteFile(filepath.Join(machine, "etc/docker/daemon.json"), []byte(tc.config), 0o600))
			}
			got, err := driver.Configured(machine, filepath.Join(machine, tc.root))
			assert.Equal(t, err != nil, tc.fails, "%v", err)
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func TestRunning(t *testing.T) {
	for name, tc := range map[string]struct {
		environ, cmdline, config string
		want                     driver.Told
	}{
		"not told":       {"PATH=/bin\x00", "dockerd\x00-H\x00fd://\x00", "", driver.Told{}},
		"a long option":  {"", "dockerd\x00--storage-driver\x00vfs\x00", "", driver.Told{Name: "vfs", By: "the daemon's command line"}},
		"with a sign":    {"", "dockerd\x00--storage-driver=vfs\x00--debug\x00", "", driver.Told{Name: "vfs", By: "the daemon's command line"}},
		"a short option": {"", "/usr/bin/dockerd\x00-s\x00vfs\x00", "", driver.Told{Name: "vfs", By: "the daemon's command line"}},
		"the last one":   {"", "dockerd\x00-s=aufs\x00-s\x00vfs\x00", "", driver.Told{Name: "vfs", By: "the daemon's command line"}},
		"cut off":        {"", "dockerd\x00-s\x00", "", driver.Told{}},
		"environment":    {"A=b\x00DOCKER_DRIVER=vfs\x00", "dockerd\x00-s\x00aufs\x00", "", driver.Told{Name: "vfs", By: "the daemon's environment"}},
		"configuration":  {"", "dockerd\x00--config-file=/c.json\x00", `{"storage-driver":"vfs"}`, driver.Told{Name: "vfs", By: "/c.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			assert.NilError(t, os.MkdirAll(filepath.Join(dir, "7"), 0o700))
			for file, content := range map[string]string{"7/environ": tc.environ, "7/cmdline": tc.cmdline, "c.json": tc.config} {
				assert.NilError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
			}
			assert.DeepEqual(t, driver.Running(dir, 7, dir), tc.want)
		})
	}
	assert.DeepEqual(t, driver.Running(t.TempDir(), 7, "/"), driver.Told{})
}

// Whatever can be scanned has its layers where the list says.
func TestBackendsAreDrivers(t *testing.T) {
	for _, b := range backend.All {
		d := driver.Named(b.Name)
		assert.Assert(t, d != nil, b.Name)
		assert.Assert(t, d.Apart != "" || d.Layers == b.Dir, "%s: %s is not %s", b.Name, d.Layers, b.Dir)
	}
}
