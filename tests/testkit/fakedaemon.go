package testkit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/versions"
)

// A FakeDaemon answers the Docker API from literals, over HTTP, so that the
// real client and its version negotiation are part of a test. Its zero value
// is an empty host with an engine 20.10 on overlay2. It can be read from JSON.
// One that speaks an older API answers as the engines of that API do.
type FakeDaemon struct {
	Version       string // of the engine; "20.10.24" if empty
	APIVersion    string // the newest it speaks; "1.41" if empty
	MinAPIVersion string // the oldest it speaks; "1.24" if empty

	DataRoot string
	Driver   string         // "overlay2" if empty
	EngineID string         // "FAKE:ENGINE" if empty
	Info     map[string]any // more fields of GET /info, or other values
	Bare     bool           // leave out what a daemon need not tell: its id, RootFS, GraphDriver, names, states

	Images     []FakeImage
	Containers []FakeContainer
	Volumes    []string
	BuildCache []string // ids of build records
	Services   []any    // GET /services; the node is a manager if there are any

	// Replies are answers to give instead, by path without the version:
	// "/images/json".
	Replies map[string]FakeReply
}

// A FakeImage is one image of the daemon.
type FakeImage struct {
	ID     string // "sha256:<hex>"
	Tags   []string
	Layers []string          // diff ids, the base first
	Graph  map[string]string // GraphDriver.Data
}

// A FakeContainer is one container of the daemon.
type FakeContainer struct {
	ID    string
	Name  string // "web"
	Image string // an image's id
	State string // "running"; "exited" if empty
	Graph map[string]string
}

// A FakeReply is an answer that is not the daemon's own.
type FakeReply struct {
	Status int             // 200 if 0
	Body   json.RawMessage // {"message": …} if empty
	Hang   bool            // answer nothing until the client goes away
	Drop   bool            // close the connection without an answer
}

// ServeHTTP answers one request.
func (d *FakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Docker/"+d.version()+" (linux)")
	if !d.before("1.25") { // Docker 1.13
		w.Header().Set("Api-Version", d.apiVersion())
		w.Header().Set("Ostype", "linux")
	}
	path, version := cutVersion(r.URL.Path)
	if reply, ok := d.Replies[path]; ok {
		reply.serve(w, r)
		return
	}
	switch {
	case path == "/_ping" && r.Method == http.MethodHead && d.before("1.40"):
		refuse(w, http.StatusNotFound, "page not found")
	case path == "/_ping":
		_, _ = fmt.Fprint(w, "OK") // a client that went away asks no more
	case version != "" && d.before("1.28") && versions.GreaterThan(version, d.apiVersion()):
		refuse(w, http.StatusBadRequest, fmt.Sprintf("client is newer than server (client API version: %s, server API version: %s)", version, d.apiVersion()))
	case version != "" && versions.GreaterThan(version, d.apiVersion()):
		refuse(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", version, d.apiVersion()))
	case version != "" && versions.LessThan(version, cmp.Or(d.MinAPIVersion, "1.24")):
		refuse(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too old", version))
	default:
		d.answer(w, path)
	}
}

// answer serves what the daemon has under a path.
func (d *FakeDaemon) answer(w http.ResponseWriter, path string) {
	switch path {
	case "/info":
		reply(w, d.info())
	case "/version":
		reply(w, map[string]any{"Version": d.version(), "ApiVersion": d.apiVersion(), "MinAPIVersion": cmp.Or(d.MinAPIVersion, "1.24"), "Os": "linux"})
	case "/images/json":
		reply(w, each(d.Images, d.summary))
	case "/containers/json":
		reply(w, each(d.Containers, FakeContainer.summary))
	case "/volumes":
		var volumes []any // none is null
		for _, name := range d.Volumes {
			volumes = append(volumes, d.volume(name))
		}
		reply(w, map[string]any{"Volumes": volumes, "Warnings": nil})
	case "/events": // it remembers none
	case "/services":
		reply(w, d.Services)
	case "/system/df":
		if d.before("1.25") {
			refuse(w, http.StatusNotFound, "page not found")
			return
		}
		reply(w, map[string]any{"LayersSize": len(d.Images) << 20, "BuildCache": each(d.BuildCache, func(id string) any { return map[string]any{"ID": id} })})
	default:
		d.inspect(w, path)
	}
}

// inspect serves one image or container.
func (d *FakeDaemon) inspect(w http.ResponseWriter, path string) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	id, ok := strings.CutSuffix(rest, "/json")
	switch {
	case ok && kind == "images":
		for _, i := range d.Images {
			if i.ID == id || slices.Contains(i.Tags, id) {
				reply(w, d.bare(i.inspection(cmp.Or(d.Driver, "overlay2"))))
				return
			}
		}
		refuse(w, http.StatusNotFound, "No such image: "+id)
	case ok && kind == "containers":
		for _, c := range d.Containers {
			if c.ID == id || c.Name == id {
				reply(w, d.bare(c.inspection(cmp.Or(d.Driver, "overlay2"))))
				return
			}
		}
		refuse(w, http.StatusNotFound, "No such container: "+id)
	default:
		refuse(w, http.StatusNotFound, "page not found")
	}
}

func (d *FakeDaemon) version() string    { return cmp.Or(d.Version, "20.10.24") }
func (d *FakeDaemon) apiVersion() string { return cmp.Or(d.APIVersion, "1.41") }

// before reports whether the newest API that the daemon speaks is older.
func (d *FakeDaemon) before(api string) bool { return versions.LessThan(d.apiVersion(), api) }

func (d *FakeDaemon) info() map[string]any {
	info := map[string]any{
		"ID": cmp.Or(d.EngineID, "FAKE:ENGINE"), "DockerRootDir": d.DataRoot, "Driver": cmp.Or(d.Driver, "overlay2"),
		"DriverStatus": [][2]string{{"Backing Filesystem", "extfs"}},
		"OSType":       "linux", "ServerVersion": d.version(), "Name": "fake",
		"Images": len(d.Images), "Containers": len(d.Containers),
		"Swarm": map[string]any{"LocalNodeState": "active", "ControlAvailable": len(d.Services) > 0},
	}
	maps.Copy(info, d.Info)
	return d.bare(info)
}

// bare leaves out of an answer what need not be in it, if the daemon is so.
func (d *FakeDaemon) bare(answer map[string]any) map[string]any {
	if d.Bare {
		for _, field := range []string{"ID", "DriverStatus", "Swarm", "RepoTags", "RootFS", "GraphDriver", "State", "Name", "Config", "HostConfig"} {
			delete(answer, field)
		}
	}
	return answer
}

// summary is an image as it is listed: before 1.43 one without a tag has one
// that says so.
func (d *FakeDaemon) summary(i FakeImage) any {
	if len(i.Tags) == 0 && d.before("1.43") {
		return map[string]any{"Id": i.ID, "RepoTags": []string{"<none>:<none>"}, "RepoDigests": []string{"<none>@<none>"}}
	}
	return map[string]any{"Id": i.ID, "RepoTags": i.Tags}
}

func (d *FakeDaemon) volume(name string) any {
	return map[string]any{"Name": name, "Driver": "local", "Scope": "local", "Mountpoint": d.DataRoot + "/volumes/" + name + "/_data"}
}

func (i FakeImage) inspection(driver string) map[string]any {
	return map[string]any{
		"Id": i.ID, "RepoTags": i.Tags,
		"RootFS":      map[string]any{"Type": "layers", "Layers": i.Layers},
		"GraphDriver": map[string]any{"Name": driver, "Data": i.Graph},
	}
}

func (c FakeContainer) summary() any {
	return map[string]any{"Id": c.ID, "Names": []string{"/" + c.Name}, "Image": c.Image, "ImageID": c.Image, "State": cmp.Or(c.State, "exited")}
}

func (c FakeContainer) inspection(driver string) map[string]any {
	return map[string]any{
		"Id": c.ID, "Name": "/" + c.Name, "Image": c.Image, "Driver": driver,
		"State":       map[string]any{"Status": cmp.Or(c.State, "exited")},
		"GraphDriver": map[string]any{"Name": driver, "Data": c.Graph},
		"Config":      map[string]any{}, "HostConfig": map[string]any{},
	}
}

func (f FakeReply) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Drop:
		panic(http.ErrAbortHandler) // net/http's way of closing the connection
	case len(f.Body) == 0:
		refuse(w, cmp.Or(f.Status, http.StatusOK), "as told")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
		_, _ = w.Write(f.Body) // a client that went away asks no more
	}
}

// cutVersion splits "/v1.41/info" into "/info" and "1.41".
func cutVersion(path string) (rest, version string) {
	after, ok := strings.CutPrefix(path, "/v")
	if !ok || after == "" || after[0] < '0' || after[0] > '9' {
		return path, ""
	}
	version, rest, _ = strings.Cut(after, "/")
	return "/" + rest, version
}

// each is never nil, as most of the daemon's lists never are.
func each[T any](items []T, row func(T) any) []any {
	rows := []any{}
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return rows
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a client that went away asks no more
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reply(w, map[string]string{"message": message})
}
