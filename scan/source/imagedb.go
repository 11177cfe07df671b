package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/opencontainers/go-digest"
)

// ImageDB reads the graphdriver's images (moby image/fs.go, reference/store.go):
//
//	image/<driver>/imagedb/content/sha256/<image>    its config; the name is its digest
//	image/<driver>/repositories.json                 tags
var ImageDB = &scan.Source{
	ID:  scan.SourceImageDB,
	Doc: "image/<driver>/imagedb and repositories.json: images and their tags",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		if g.Host.Before110 {
			return "none: the data root is of a Docker before 1.10", nil
		}
		var notes []string
		for _, b := range in.Backends {
			db := &imageDB{in: in, g: g, b: b, dir: "image/" + b.Name}
			note, err := db.collect(ctx)
			if err != nil {
				return "", err
			}
			notes = append(notes, note)
		}
		return strings.Join(notes, "; "), nil
	},
}

// imageDB is the reading of one driver's images.
type imageDB struct {
	in  *scan.Input
	g   *scan.Graph
	b   *scan.Backend
	dir string
}

func (db *imageDB) collect(ctx context.Context) (string, error) {
	entries, err := db.in.Tree.ReadDir(db.dir + "/imagedb/content/sha256")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// The rest are files that a crash left half written: ".tmp-…", "….tmp".
	entries = slices.DeleteFunc(entries, func(e scan.Entry) bool { return !scan.IsID(e.Name) })
	if len(entries) == 0 {
		emptyDoubt(db.in, db.g, db.b, scan.SourceImageDB, db.dir+"/imagedb", scan.TypeLayer, scan.TypeImageLayer)
	}
	db.tags(len(entries))
	type read struct {
		config *imageConfig
		err    error
	}
	err = scan.Parallel(ctx, len(entries), func(i int) read {
		config, err := readImage(db.in, db.configName(entries[i].Name), entries[i].Name)
		return read{config, err}
	}, func(i int, r read) error {
		db.image(entries[i].Name, r.config, r.err)
		return nil
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d images", db.b.Name, len(entries)), nil
}

// image adds one image: it needs every layer that its config names.
func (db *imageDB) image(hex string, config *imageConfig, err error) {
	name := db.configName(hex)
	node := scan.ImageNode("sha256:" + hex)
	if err != nil {
		if !db.in.Gone(name) {
			db.in.AllDiffs = false
			db.doubt(name, err, "which layers this image has is not known; they may be any")
		}
		if errors.As(err, &contentError{}) {
			db.record(hex, node, err.Error())
		}
		return
	}
	db.g.Live(node, "image "+db.g.TitleOf(node), name)
	for _, diff := range config.RootFS.DiffIDs {
		noteDiff(db.in, diff)
	}
	chains := chainIDs(config.RootFS.DiffIDs)
	for _, chain := range chains {
		db.g.Refer(node, scan.ChainNode(db.b.Name, chain), scan.ByDiffIDs)
	}
	if missing := db.missing(chains); missing != "" {
		if record, ok := db.record(hex, node, missing); ok {
			db.g.Refer(node, record, scan.ByConfig)
			for _, chain := range chains {
				if n := scan.ChainNode(db.b.Name, chain); db.g.Object(n) != nil {
					db.g.Refer(record, n, scan.ByConfig)
				}
			}
		}
	}
}

// missing says which layer of an image is gone; "" if all are there. One that
// was registered since the registry was read is.
func (db *imageDB) missing(chains []string) string {
	for i, chain := range chains {
		n := scan.ChainNode(db.b.Name, chain)
		o, what := db.g.Object(n), "is not registered"
		switch {
		case o == nil && db.g.Object(scan.Node{Kind: scan.KindRecord, Name: n.Name}) == nil && !db.in.Gone(n.Name):
			continue
		case o != nil && o.Note().Missing == "":
			continue
		case o != nil:
			what = "is gone"
		}
		return fmt.Sprintf("layer %d of %d %s", i+1, len(chains), what)
	}
	return ""
}

// record adds the config of an image whose layers are not all there, with what
// the daemon keeps of the image beside it (moby image/fs.go).
func (db *imageDB) record(hex string, image scan.Node, missing string) (scan.Node, bool) {
	var objects []scan.Object
	var changed time.Time
	for _, name := range []string{db.configName(hex), db.dir + "/imagedb/metadata/sha256/" + hex} {
		info, err := db.in.Tree.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && len(objects) > 0 {
			continue // of most images nothing is kept
		}
		if err != nil {
			return scan.Node{}, false
		}
		o := scan.Object{
			Node: scan.Node{Kind: scan.KindRecord, Name: name}, Backend: db.b.Name, Medium: info.Medium(), Stamp: info.Stamp,
		}
		if changed = o.Stamp.Change; changed.After(o.Stamp.Made()) {
			o.Annotate().Created = &changed // nobody has loaded it since
		}
		objects = append(objects, o)
	}
	record := objects[0].Node
	objects[0].Annotate().Missing, objects[0].Annotate().Was = missing, "image "+db.g.TitleOf(image)
	for _, o := range objects {
		if o.Node != record {
			db.g.Refer(record, o.Node, scan.ByName)
		}
		db.g.Add(o)
	}
	return record, true
}

// A contentError is that of a config which was read and that no daemon loads.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }

// imageConfig is the part of an image's config that says what it needs.
type imageConfig struct {
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	Config struct {
		Labels map[string]string
	} `json:"config"`
}

// readImage reads an image's config and checks it against its digest.
func readImage(in *scan.Input, name, hex string) (*imageConfig, error) {
	data, err := in.Tree.ReadFile(name, maxConfig)
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(data).Encoded() != hex {
		return nil, contentError{errors.New("its content does not match its digest")}
	}
	var config imageConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, contentError{fmt.Errorf("%s: %w", name, err)}
	}
	for _, id := range config.RootFS.DiffIDs {
		if _, err := digest.Parse(id); err != nil {
			return nil, contentError{fmt.Errorf("%s: diff id %q: %w", name, id, err)}
		}
	}
	return &config, nil
}

// chainIDs returns the ids of the layers that lead to an image, the base
// first: layer n's id is a digest of layer n−1's and of its own content.
func chainIDs(diffIDs []string) []string {
	chains := make([]string, len(diffIDs))
	parent := ""
	for i, diff := range diffIDs {
		parent = chainID(parent, diff)
		chains[i] = parent
	}
	return chains
}

// tags reads repositories.json: it names images for people, and it tells of
// images whose config is lost.
func (db *imageDB) tags(images int) {
	name := db.dir + "/repositories.json"
	data, err := db.in.Tree.ReadFile(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) && images == 0 {
		return
	}
	var repositories struct{ Repositories map[string]map[string]string }
	if err == nil {
		err = json.Unmarshal(data, &repositories)
	}
	if err != nil {
		db.doubt(name, err, "which images have a name is not known")
		return
	}
	for _, repository := range slices.Sorted(maps.Keys(repositories.Repositories)) {
		tags := repositories.Repositories[repository]
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			db.tag(tag, tags[tag])
		}
	}
}

func (db *imageDB) tag(tag, id string) {
	node := scan.ImageNode(id)
	if !strings.Contains(tag, "@") { // name@digest is no name that people use
		db.g.Title(node, tag)
	}
	if _, err := db.in.Tree.Stat(db.configName(id)); err != nil { // lost, or perhaps lost
		db.g.Host.LostTags = append(db.g.Host.LostTags, "tag "+tag)
		if record := (scan.Node{Kind: scan.KindRecord, Name: db.configName(id)}); errors.Is(err, fs.ErrNotExist) && db.g.Object(record) == nil {
			db.g.Host.LostImages = append(db.g.Host.LostImages, scan.Loss{Node: scan.ImageNode(tag), What: "its image is gone"})
		}
	}
}

// configName is the path of an image's config.
func (db *imageDB) configName(id string) string {
	return db.dir + "/imagedb/content/sha256/" + strings.TrimPrefix(id, "sha256:")
}

func (db *imageDB) doubt(where string, err error, hint string) {
	db.g.Doubt(scan.Doubt{
		Source: scan.SourceImageDB, Where: where, Err: err.Error(), Hint: hint,
		Scope: scan.Scope{Backend: db.b.Name, Types: []scan.Type{scan.TypeLayer, scan.TypeImageLayer}},
	})
}
