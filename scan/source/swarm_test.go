package source

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// field is a field of a protobuf message: a text or a message.
func field(number uint64, content string) string {
	out := binary.AppendUvarint(nil, number<<3|2)
	out = binary.AppendUvarint(out, uint64(len(content)))
	return string(out) + content
}

// task is a swarm task that mounts a path, as swarmkit writes it (api
// Task.spec.container.mounts): text fields, numbers, messages in messages.
func task(source string) string {
	mount := "\x08\x00" + field(2, source) + field(3, "/in") + "\x20\x01"
	options := field(7, field(2, field(1, "device")+field(2, source)))
	container := field(1, "app:1") + field(8, mount) + field(8, options) + "\x1d\x00\x00\x80\x3f" + "\x11\x01\x02\x03\x04\x05\x06\x07\x08"
	return field(1, "taskid") + field(3, field(1, container)) + field(4, "serviceid")
}

// putTasks writes a database of tasks.
func putTasks(t *testing.T, root string, tasks map[string]string, buckets ...string) {
	t.Helper()
	putDirs(t, root, "swarm/worker")
	db, err := bbolt.Open(filepath.Join(root, swarmTasks), 0o600, nil)
	assert.NilError(t, err)
	assert.NilError(t, db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(buckets[0]))
		for _, name := range buckets[1:] {
			assert.NilError(t, err)
			b, err = b.CreateBucket([]byte(name))
		}
		assert.NilError(t, err)
		for id, data := range tasks {
			bucket, err := b.CreateBucket([]byte(id))
			assert.NilError(t, err)
			assert.NilError(t, bucket.Put([]byte("data"), []byte(data)))
			assert.NilError(t, bucket.Put([]byte("assigned"), nil))
		}
		return nil
	}))
	assert.NilError(t, db.Close())
}

func TestSwarm(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(t *testing.T, root string)
		note string
		want string // the one mark
		err  string
	}{
		"no swarm": {func(*testing.T, string) {}, "not in a swarm", "", ""},
		"left":     {func(t *testing.T, root string) { putDirs(t, root, "swarm") }, "not in a swarm", "", ""},
		"no task":  {func(t *testing.T, root string) { putTasks(t, root, nil, "v1", "tasks") }, "0 tasks", "", ""},
		"other paths": {func(t *testing.T, root string) {
			putTasks(t, root, map[string]string{"a": task("/srv")}, "v1", "tasks")
		}, "1 tasks", "", ""},
		"a layer": {func(t *testing.T, root string) {
			putTasks(t, root, map[string]string{"a": task("/srv"), "b": task(root + "/overlay2/" + hex2 + "/diff/x")}, "v1", "tasks")
		}, "2 tasks", "layer overlay2/" + hex2, ""},
		"a volume, whose name ends with the field": {func(t *testing.T, root string) {
			putTasks(t, root, map[string]string{"b": field(3, field(1, field(8, field(7, field(2, field(2, root+"/volumes/data/"))))+field(8, "B")))}, "v1", "tasks")
		}, "1 tasks", "volume volumes/data", ""},
		"no database":    {func(t *testing.T, root string) { putFile(t, root, swarmState, "{}") }, "", "", "no such file"},
		"damaged":        {func(t *testing.T, root string) { putFile(t, root, swarmTasks, "garbage") }, "", "", "damaged"},
		"other layout":   {func(t *testing.T, root string) { putTasks(t, root, nil, "v2") }, "", "", "no bucket v1"},
		"no tasks in it": {func(t *testing.T, root string) { putTasks(t, root, nil, "v1", "other") }, "", "", "no bucket v1/tasks"},
		"other form": {func(t *testing.T, root string) {
			putTasks(t, root, map[string]string{"a": "{\"json\":1}"}, "v1", "tasks")
		}, "", "", "task a: has a form"},
		"cut off": {func(t *testing.T, root string) {
			whole := task(root + "/overlay2/" + hex2)
			putTasks(t, root, map[string]string{"a": whole[:len(whole)-20]}, "v1", "tasks")
		}, "", "", "task a: has a form"},
		"empty": {func(t *testing.T, root string) { putTasks(t, root, map[string]string{"a": ""}, "v1", "tasks") }, "", "", "task a: has a form"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			tc.make(t, root)
			in, g := inputOf(t, root, backend.Overlay2)
			note, err := Swarm.Collect(t.Context(), in, g)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				assert.Assert(t, doubtsEverything(g))
				assert.Equal(t, g.Doubts[0].Where, swarmTasks)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, note, tc.note)
			assert.Equal(t, len(g.Doubts), 0)
			marks := map[string]bool{}
			for _, m := range collected(g) {
				marks[m] = true
			}
			assert.Equal(t, len(marks) == 1 && marks[tc.want], tc.want != "", "%v", marks)
			assert.Assert(t, tc.want != "" || len(marks) == 0, "%v", marks)
		})
	}
}

// Services are asked for where the node is a manager, and there they count.
func TestServices(t *testing.T) {
	for name, manager := range map[string]bool{"manager": true, "worker": false} {
		t.Run(name, func(t *testing.T) {
			in, g := inputOf(t, t.TempDir(), backend.Overlay2)
			in.Daemon, in.Info.Manager = serving{in.DataRoot}, manager
			note, err := API.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, strings.HasSuffix(note, ", 1 services"), manager, note)
			assert.Equal(t, len(g.Marks) == 1 && g.Marks[0].What == "service web", manager, "%v", g.Marks)

			in.Daemon = refusing{}
			_, err = API.Collect(t.Context(), in, g)
			assert.Equal(t, err != nil, manager)
		})
	}
}

// serving is a daemon with nothing but a service that mounts a path of a layer.
type serving struct{ root string }

func (serving) Info(context.Context) (scan.DaemonInfo, error)                 { return scan.DaemonInfo{}, nil }
func (serving) Images(context.Context) ([]scan.DaemonImage, error)            { return nil, nil }
func (serving) Containers(context.Context) ([]scan.DaemonContainer, error)    { return nil, nil }
func (serving) Volumes(context.Context) ([]scan.DaemonVolume, error)          { return nil, nil }
func (serving) VolumeUses(context.Context) (map[string]scan.VolumeUse, error) { return nil, nil }
func (serving) BuildCache(context.Context) ([]string, error)                  { return nil, scan.ErrNotAsked }
func (serving) HasImage(context.Context, string) (bool, error)                { return false, nil }
func (serving) HasContainer(context.Context, string) (bool, error)            { return false, nil }

func (d serving) Services(context.Context) ([]scan.DaemonService, error) {
	spec := `{"Spec":{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"bind","Source":"` + d.root + "/overlay2/" + hex2 + `"}]}}}}`
	return []scan.DaemonService{{Name: "web", JSON: []byte(spec)}}, nil
}

// refusing does not tell its services.
type refusing struct{ serving }

func (refusing) Services(context.Context) ([]scan.DaemonService, error) { return nil, os.ErrPermission }

func FuzzEachText(f *testing.F) {
	f.Add([]byte(task("/srv")))
	f.Add([]byte(field(1, field(2, "x")) + "\x1d\x00\x00\x80\x3f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ok := eachText(data, maxTaskDepth, func(string) {})
		// What stands in a message that can be read is found, wherever that is.
		whole := append([]byte(field(7, field(2, "/srv"))), data...)
		found := false
		okWhole := eachText(whole, maxTaskDepth, func(text string) { found = found || text == "/srv" })
		if !found || ok != okWhole {
			t.Errorf("%q: found %t, read to the end %t and %t", data, found, ok, okWhole)
		}
	})
}

func doubtsEverything(g *scan.Graph) bool {
	return slices.ContainsFunc(g.Doubts, func(d scan.Doubt) bool { return d.Scope.All() })
}
