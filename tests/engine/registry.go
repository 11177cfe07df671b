//go:build linux

package engine

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// A Registry serves one image of two layers on this machine, and holds the
// second one back until it is told to go on.
type Registry struct {
	Image string // its name: "127.0.0.1:<port>/lab/pulled:1"
	Chain string // chain id of the first layer

	blobs   map[string][]byte // by digest
	stalled string            // digest of what is held back
	release chan struct{}
	once    sync.Once
}

// manifestType is the media type of what says of which blobs an image is made.
const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// NewRegistry starts a registry whose image has the given layers.
func NewRegistry(t TB, first, second []byte) *Registry {
	t.Helper()
	config := []byte(encode(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Cmd": []string{"sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{DiffID(first), DiffID(second)}},
	}))
	r := &Registry{Chain: DiffID(first), blobs: map[string][]byte{}, release: make(chan struct{})}
	r.stalled = r.add(second)
	r.add(first)
	manifest := []byte(encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": describe("application/vnd.docker.container.image.v1+json", config),
		"layers": []any{
			describe("application/vnd.docker.image.rootfs.diff.tar", first),
			describe("application/vnd.docker.image.rootfs.diff.tar", second),
		},
	}))
	r.add(config)
	top := r.add(manifest)

	server := httptest.NewServer(r.handler(top))
	t.Cleanup(func() {
		r.GoOn()
		server.Close()
	})
	// dockerd takes a registry at 127.0.0.0/8 for one without TLS.
	r.Image = strings.TrimPrefix(server.URL, "http://") + "/lab/pulled:1"
	return r
}

// GoOn lets the second layer through.
func (r *Registry) GoOn() { r.once.Do(func() { close(r.release) }) }

func (r *Registry) add(blob []byte) (digest string) {
	digest = fmt.Sprintf("sha256:%x", sha256.Sum256(blob))
	r.blobs[digest] = blob
	return digest
}

func describe(mediaType string, blob []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "size": len(blob), "digest": fmt.Sprintf("sha256:%x", sha256.Sum256(blob))}
}

func (r *Registry) handler(manifest string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/lab/pulled/manifests/{reference}", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", manifest)
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(r.blobs[manifest]))
	})
	mux.HandleFunc("GET /v2/lab/pulled/blobs/{digest}", func(w http.ResponseWriter, req *http.Request) {
		digest := req.PathValue("digest")
		blob, ok := r.blobs[digest]
		if !ok {
			http.NotFound(w, req)
			return
		}
		if digest == r.stalled {
			select {
			case <-r.release:
			case <-req.Context().Done():
				return
			}
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(blob))
	})
	return mux
}
