package adopt

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/opencontainers/go-digest"
)

// maxDepth is more layers than any image has: the image store allows 125,
// drivers up to 128.
const maxDepth = 128

// maxWord bounds a file that holds one id.
const maxWord = 4 << 10

// A Layer is one registered layer.
type Layer struct {
	Chain   string // "sha256:<hex>": its own id, and that of all that is below it
	Diff    string // "sha256:<hex>": the id of its content
	CacheID string // the storage driver's name for it
}

// ReadLayers reads a chain from the registry of a storage driver, the base
// first. Every id is checked against what it is a digest of, so a file that
// was damaged, swapped or forged is an error.
func ReadLayers(tree scan.Tree, driver, chain string) ([]Layer, error) {
	in := &scan.Input{Tree: tree}
	var layers []Layer
	for id := chain; id != ""; {
		if len(layers) == maxDepth {
			return nil, fmt.Errorf("chain %s: deeper than any image", scan.Short(chain))
		}
		l, parent, err := readLayer(in, driver, id)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
		id = parent
	}
	slices.Reverse(layers)
	return layers, nil
}

// readLayer reads one entry, and the id of its parent, "" for a base.
func readLayer(in *scan.Input, driver, chain string) (l Layer, parent string, err error) {
	if !isDigest(chain) {
		return Layer{}, "", fmt.Errorf("chain %q: not a layer's id", scan.Printable(chain))
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
	case !isDigest(l.Diff):
		return Layer{}, "", fmt.Errorf("%s/diff: %q is no digest", dir, scan.Printable(l.Diff))
	case !scan.IsLayerID(l.CacheID):
		return Layer{}, "", fmt.Errorf("%s/cache-id: %q is no layer's id", dir, scan.Printable(l.CacheID))
	case ChainID(parent, l.Diff) != chain:
		return Layer{}, "", fmt.Errorf("%s: its id does not follow from its diff and parent", dir)
	}
	return l, parent, nil
}

// ChainID is the id of a layer on a parent, "" for none (moby layer.CreateChainID).
func ChainID(parent, diff string) string {
	if parent == "" {
		return diff
	}
	return digest.FromString(parent + " " + diff).String()
}

func isDigest(id string) bool {
	hex, ok := strings.CutPrefix(id, "sha256:")
	return ok && scan.IsID(hex)
}

// checkData checks that what the storage driver has for a layer is whole as
// far as removing it asks: a daemon before 18.06 whose layer has an empty link
// file removes the links of all layers.
func checkData(tree scan.Tree, layer scan.Node) error {
	info, err := tree.Stat(layer.Name)
	if err != nil {
		return err
	}
	if !info.Mode.IsDir() {
		return fmt.Errorf("%s: not a directory", layer.Name)
	}
	home := path.Dir(layer.Name)
	if _, err := tree.Stat(home + "/l"); errors.Is(err, fs.ErrNotExist) {
		return nil // a driver without links
	}
	link, err := (&scan.Input{Tree: tree}).Word(layer.Name+"/link", maxWord)
	if err != nil {
		return err
	}
	if !scan.IsLinkName(link) {
		return fmt.Errorf("%s/link: %q is not a short name", layer.Name, scan.Printable(link))
	}
	target, err := tree.ReadLink(home + "/l/" + link)
	if err != nil {
		return err
	}
	if want := "../" + path.Base(layer.Name) + "/diff"; target != want {
		return fmt.Errorf("%s/l/%s: leads to %q and not to %q", home, link, scan.Printable(target), want)
	}
	return nil
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
