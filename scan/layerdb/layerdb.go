// Package layerdb reads the registry of layers that a storage driver has since
// Docker 1.10, and knows how the ids in it follow from each other (moby layer).
package layerdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxDepth is more layers than any image has: the image store allows 125,
// drivers up to 128.
const MaxDepth = 128

// maxWord bounds a file that holds one id.
const maxWord = 4 << 10

// A Layer is one registered layer.
type Layer struct {
	Chain   string // "sha256:<hex>": its own id, and that of all that is below it
	Diff    string // "sha256:<hex>": the id of its content
	CacheID string // the storage driver's name for it
}

// Read reads a chain from the registry of a storage driver, the base first.
// Every id is checked against what it is a digest of, so a file that was
// damaged, swapped or forged is an error.
func Read(tree scan.Tree, driver, chain string) ([]Layer, error) {
	var layers []Layer
	for id := chain; id != ""; {
		if len(layers) == MaxDepth {
			return nil, fmt.Errorf("chain %s: deeper than any image", scan.Short(chain))
		}
		l, parent, err := ReadLayer(tree, driver, id)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
		id = parent
	}
	slices.Reverse(layers)
	return layers, nil
}

// ReadLayer reads one entry, and the id of its parent, "" for a base.
func ReadLayer(tree scan.Tree, driver, chain string) (l Layer, parent string, err error) {
	in := &scan.Input{Tree: tree}
	if !IsDigest(chain) {
		return Layer{}, "", fmt.Errorf("chain %q: not a layer's id", chain)
	}
	dir := scan.ChainNode(driver, chain).Name
	l.Chain = chain
	if l.Diff, err = in.Word(dir+"/diff", maxWord); err != nil {
		return Layer{}, "", err
	}
	if l.CacheID, err = in.Word(dir+"/cache-id", maxWord); err != nil {
		return Layer{}, "", err
	}
	if parent, err = in.Word(dir+"/parent", maxWord); errors.Is(err, fs.ErrNotExist) {
		parent = ""
	} else if err != nil {
		return Layer{}, "", err
	}
	switch {
	case !IsDigest(l.Diff):
		return Layer{}, "", fmt.Errorf("%s/diff: %q is no digest", dir, l.Diff)
	case !scan.IsLayerID(l.CacheID):
		return Layer{}, "", fmt.Errorf("%s/cache-id: %q is no layer's id", dir, l.CacheID)
	case ChainID(parent, l.Diff) != chain:
		return Layer{}, "", fmt.Errorf("%s: its id does not follow from its diff and parent", dir)
	}
	return l, parent, nil
}

// maxDescriptor bounds a file that describes where a layer comes from.
const maxDescriptor = 1 << 20

// Loads checks what else than ids a daemon wants of an entry when it loads it: a
// size, and a descriptor that is JSON if there is one. Without them it knows
// neither the entry nor what lies on it (moby layer/filestore.go).
func Loads(tree scan.Tree, entry string) error {
	size, err := tree.ReadFile(entry+"/size", maxWord)
	if err != nil {
		return err
	}
	if _, err := strconv.ParseInt(string(size), 10, 64); err != nil { // as it is: the end of a line is no digit
		return fmt.Errorf("%s/size: %.40q is no number", entry, size)
	}
	descriptor, err := tree.ReadFile(entry+"/descriptor.json", maxDescriptor)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(descriptor, new(ocispec.Descriptor)); err != nil {
		return fmt.Errorf("%s/descriptor.json: %w", entry, err)
	}
	return nil
}

// ReadMount reads a mount record: the storage driver's name for its layer, and
// the chain that the layer lies on, "" for none.
func ReadMount(tree scan.Tree, record string) (id, parent string, err error) {
	in := &scan.Input{Tree: tree}
	if id, err = in.Word(record+"/mount-id", maxWord); err != nil {
		return "", "", err
	}
	if !scan.IsLayerID(id) {
		return "", "", fmt.Errorf("%s/mount-id: %q is no layer's id", record, id)
	}
	parent, err = in.Word(record+"/parent", maxWord)
	if errors.Is(err, fs.ErrNotExist) {
		// Made from scratch, unless the record goes away right now.
		_, err = tree.Stat(record)
		return id, "", err
	}
	if err == nil && !IsDigest(parent) {
		err = fmt.Errorf("%s/parent: %q is not a layer's id", record, parent)
	}
	return id, parent, err
}

// ChainID is the id of a layer on a parent, "" for none (moby layer.CreateChainID).
func ChainID(parent, diff string) string {
	if parent == "" {
		return diff
	}
	return digest.FromString(parent + " " + diff).String()
}

// IsDigest reports whether an id is "sha256:" and 64 hexadecimal digits.
func IsDigest(id string) bool {
	hex, ok := strings.CutPrefix(id, "sha256:")
	return ok && scan.IsID(hex)
}

// ChainIDs are the ids of the chains of an image, the base first.
func ChainIDs(diffs []string) []string {
	chains := make([]string, len(diffs))
	parent := ""
	for i, d := range diffs {
		parent = ChainID(parent, d)
		chains[i] = parent
	}
	return chains
}

// Diffs are the diff ids of layers.
func Diffs(layers []Layer) []string {
	diffs := make([]string, len(layers))
	for i, l := range layers {
		diffs[i] = l.Diff
	}
	return diffs
}
