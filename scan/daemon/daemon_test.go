package daemon_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/daemon"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// of is a fake daemon behind the real client.
func of(t *testing.T, fake *testkit.FakeDaemon) scan.Daemon {
	t.Helper()
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	c, err := client.NewClientWithOpts(client.WithHost(strings.Replace(server.URL, "http://", "tcp://", 1)), client.WithAPIVersionNegotiation())
	assert.NilError(t, err)
	return daemon.New(c)
}

func TestServices(t *testing.T) {
	mounts := map[string]any{"Mounts": []any{map[string]any{"Type": "bind", "Source": "/data/x", "Target": "/y"}}}
	service := map[string]any{"ID": "s", "Spec": map[string]any{"Name": "web", "TaskTemplate": map[string]any{"ContainerSpec": mounts}}}
	d := of(t, &testkit.FakeDaemon{Services: []any{service}})
	info, err := d.Info(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, info.Manager)
	services, err := d.Services(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(services), 1)
	assert.Equal(t, services[0].Name, "web")
	assert.Assert(t, strings.Contains(string(services[0].JSON), `"Source":"/data/x"`), "%s", services[0].JSON)

	info, err = of(t, &testkit.FakeDaemon{}).Info(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, !info.Manager)
}
