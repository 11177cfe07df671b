package adopt

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
)

// speak returns a daemon that answers every request alike, and what it was
// asked last.
func speak(t *testing.T, status int, body string) (Daemon, *http.Request) {
	t.Helper()
	asked := new(http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the client sees to it
		*asked = *r
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // as above
	}))
	t.Cleanup(server.Close)
	c, err := client.NewClientWithOpts(client.WithHost(strings.Replace(server.URL, "http", "tcp", 1)), client.WithVersion("1.24"))
	assert.NilError(t, err)
	t.Cleanup(func() { c.Close() })
	return Engine(c), asked
}

// The daemon's status says nothing about a load: its messages do.
func TestLoadReply(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, says string
	}{
		{200, "", ""},
		{200, `{"stream":"Loaded image ID: sha256:1\n"}`, ""},
		{200, `{"status":"Loading layer"}{"stream":"Loaded image: a:1\n"}` + "\n", ""},
		{200, `{"status":"x"}{"errorDetail":{"message":"open absent/1.tar: no such file or directory"},"error":"open …"}`, "open absent/1.tar"},
		{200, `{"error":"no space left on device"}`, "no space left"},
		{200, `{"errorDetail":{"code":1,"message":"late"}}{"stream":"Loaded image ID: sha256:1\n"}`, "late"},
		{200, `<html>a proxy</html>`, "reply to load"},
		{200, `{"status":"cut`, "reply to load"},
		{500, `{"message":"open absent/0.tar: no such file or directory"}`, "absent/0.tar"},
		{403, `{"message":"authorization denied by plugin"}`, "authorization denied"},
	} {
		d, asked := speak(t, test.status, test.body)
		err := d.Load(t.Context(), strings.NewReader("archive"))
		assert.Equal(t, asked.Method+" "+asked.URL.String(), "POST /v1.24/images/load?quiet=0")
		if test.says == "" {
			assert.NilError(t, err, test.body)
		} else {
			assert.ErrorContains(t, err, test.says, test.body)
		}
	}
}

// Removal is never by force and never takes parents.
func TestRemove(t *testing.T) {
	d, asked := speak(t, 200, `[{"Untagged":"a:1"},{"Deleted":"sha256:i"},{"Deleted":"sha256:c"}]`)
	deleted, err := d.Remove(t.Context(), "sha256:i")
	assert.NilError(t, err)
	assert.DeepEqual(t, deleted, []string{"sha256:i", "sha256:c"})
	assert.Equal(t, asked.Method+" "+asked.URL.String(), "DELETE /v1.24/images/sha256:i?noprune=1")

	for status, is := range map[int]func(error) bool{404: errdefs.IsNotFound, 409: errdefs.IsConflict, 500: errdefs.IsInternal} {
		d, _ := speak(t, status, `{"message":"as told"}`)
		_, err := d.Remove(t.Context(), "sha256:i")
		assert.Assert(t, is(err), "%d: %v", status, err)
	}
}

func TestImages(t *testing.T) {
	d, asked := speak(t, 200, `[{"Id":"sha256:1"},{"Id":"sha256:2"}]`)
	ids, err := d.Labelled(t.Context(), Label)
	assert.NilError(t, err)
	assert.DeepEqual(t, ids, []string{"sha256:1", "sha256:2"})
	assert.Equal(t, asked.URL.Query().Get("all"), "1")
	assert.Equal(t, asked.URL.Query().Get("filters"), fmt.Sprintf(`{"label":{"%s":true}}`, Label))

	d, _ = speak(t, 200, `{"Id":"sha256:1","RepoTags":["a:1"],"Os":"linux","Architecture":"arm64","Config":{"Labels":{"k":"v"}},
		"RootFS":{"Type":"layers","Layers":["sha256:d"]},"GraphDriver":{"Name":"overlay2","Data":{"UpperDir":"/u"}}}`)
	i, err := d.Image(t.Context(), "a:1")
	assert.NilError(t, err)
	assert.DeepEqual(t, i, Image{
		ID: "sha256:1", Tags: []string{"a:1"}, Labels: map[string]string{"k": "v"}, Platform: Platform{"linux", "arm64"},
		Diffs: []string{"sha256:d"}, Graph: map[string]string{"UpperDir": "/u"},
	})
	d, _ = speak(t, 404, `{"message":"No such image"}`)
	_, err = d.Image(t.Context(), "a:1")
	assert.Assert(t, errdefs.IsNotFound(err))

	d, _ = speak(t, 200, `{"Os":"linux","Arch":"arm64"}`)
	p, err := d.Platform(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, p, Platform{"linux", "arm64"})
}
