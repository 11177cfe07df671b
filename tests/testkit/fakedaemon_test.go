package testkit

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
)

// talk serves the daemon on a socket and returns the real client.
func talk(t *testing.T, d *FakeDaemon) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	assert.NilError(t, err)
	server := &http.Server{Handler: d, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { assert.Check(t, server.Close()) })
	c, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithAPIVersionNegotiation())
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, c.Close()) })
	return c
}

var full = FakeDaemon{
	DataRoot:   "/data",
	Images:     []FakeImage{{ID: "sha256:aa", Tags: []string{"app:1"}, Layers: []string{"sha256:bb"}, Graph: map[string]string{"UpperDir": "/data/overlay2/x/diff"}}},
	Containers: []FakeContainer{{ID: "cc", Name: "web", Image: "sha256:aa", State: "running"}},
	Volumes:    []string{"vol"},
	BuildCache: []string{"record"},
}

func TestFakeDaemonSpeaksToTheRealClient(t *testing.T) {
	ctx := t.Context()
	c := talk(t, &full)

	info, err := c.Info(ctx)
	assert.NilError(t, err)
	assert.Equal(t, info.DockerRootDir, "/data")
	assert.Equal(t, info.Driver, "overlay2")
	assert.Equal(t, c.ClientVersion(), "1.41")

	images, err := c.ImageList(ctx, image.ListOptions{All: true})
	assert.NilError(t, err)
	assert.Equal(t, images[0].ID, "sha256:aa")
	i, err := c.ImageInspect(ctx, "sha256:aa")
	assert.NilError(t, err)
	assert.DeepEqual(t, i.RootFS.Layers, []string{"sha256:bb"})
	assert.Equal(t, i.GraphDriver.Data["UpperDir"], "/data/overlay2/x/diff")
	_, err = c.ImageInspect(ctx, "sha256:none")
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)

	containers, err := c.ContainerList(ctx, container.ListOptions{All: true})
	assert.NilError(t, err)
	assert.Equal(t, containers[0].Names[0], "/web")
	ctr, err := c.ContainerInspect(ctx, "cc")
	assert.NilError(t, err)
	assert.Equal(t, ctr.State.Status, "running")
	_, err = c.ContainerInspect(ctx, "none")
	assert.Check(t, errdefs.IsNotFound(err), "%v", err)

	volumes, err := c.VolumeList(ctx, volume.ListOptions{})
	assert.NilError(t, err)
	assert.Equal(t, volumes.Volumes[0].Mountpoint, "/data/volumes/vol/_data")
	usage, err := c.DiskUsage(ctx, types.DiskUsageOptions{})
	assert.NilError(t, err)
	assert.Equal(t, usage.BuildCache[0].ID, "record")
	version, err := c.ServerVersion(ctx)
	assert.NilError(t, err)
	assert.Equal(t, version.Version, "20.10.24")
}

func TestFakeDaemonNegotiates(t *testing.T) {
	for _, newest := range []string{"1.24", "1.41", "1.47"} {
		c := talk(t, &FakeDaemon{APIVersion: newest})
		_, err := c.Info(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, c.ClientVersion(), newest)
	}
	d := &FakeDaemon{APIVersion: "1.30", MinAPIVersion: "1.25"}
	for version, want := range map[string]string{"1.31": "too new", "1.24": "too old"} {
		c := talk(t, d)
		assert.NilError(t, client.WithVersion(version)(c))
		_, err := c.Info(t.Context())
		assert.ErrorContains(t, err, want)
	}
}

func TestFakeDaemonAnswersAsTold(t *testing.T) {
	c := talk(t, &FakeDaemon{Replies: map[string]FakeReply{
		"/info":            {Status: http.StatusInternalServerError},
		"/images/json":     {Body: json.RawMessage(`[{"Id":"sha256:told"}]`)},
		"/containers/json": {Drop: true},
		"/volumes":         {Hang: true},
	}})
	_, err := c.Info(t.Context())
	assert.ErrorContains(t, err, "as told")
	images, err := c.ImageList(t.Context(), image.ListOptions{})
	assert.NilError(t, err)
	assert.Equal(t, images[0].ID, "sha256:told")
	_, err = c.ContainerList(t.Context(), container.ListOptions{})
	assert.ErrorContains(t, err, "EOF")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.VolumeList(ctx, volume.ListOptions{})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
