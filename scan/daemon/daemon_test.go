package daemon_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

// The daemon remembers events until it forgets them: who used a volume last, by
// the name that the container had if that is among them.
func TestVolumeUses(t *testing.T) {
	event := `{"Type":"%s","Action":"%s","Actor":{"ID":"%s","Attributes":%s},"timeNano":%d}` + "\n"
	var body strings.Builder
	for i, e := range [][4]string{
		{"volume", "create", "unused", `{}`},
		{"container", "create", "c1", `{"name":"shop-db-1","com.docker.compose.project":"shop","com.docker.compose.service":"db"}`},
		{"volume", "mount", "data", `{"container":"c0"}`},
		{"volume", "mount", "data", `{"container":"c1"}`},
		{"volume", "unmount", "data", `{"container":"c1"}`},
		{"volume", "mount", "other", `{"container":"c2"}`},
	} {
		fmt.Fprintf(&body, event, e[0], e[1], e[2], e[3], time.Second+time.Duration(i))
	}
	uses, err := of(t, &testkit.FakeDaemon{Replies: map[string]testkit.FakeReply{"/events": {Body: []byte(body.String())}}}).VolumeUses(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, uses, map[string]scan.VolumeUse{
		"data":  {At: time.Unix(1, 4).UTC(), Container: "shop-db-1", Service: "shop/db"},
		"other": {At: time.Unix(1, 5).UTC(), Container: "c2"},
	})

	uses, err = of(t, &testkit.FakeDaemon{}).VolumeUses(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(uses), 0)
	_, err = of(t, &testkit.FakeDaemon{Replies: map[string]testkit.FakeReply{"/events": {Status: 500}}}).VolumeUses(t.Context())
	assert.ErrorContains(t, err, "list events")
}
