package adopt

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
)

// maxWord bounds a file that holds one id.
const maxWord = 4 << 10

// checkData checks that what the storage driver has for a layer is whole as
// far as removing it asks: a daemon before 18.06 whose layer has an empty link
// file removes the links of all layers.
func checkData(tree scan.Tree, backend string, layer scan.Node) error {
	if backend == "zfs" {
		return nil // a dataset: its directory is there only while it is mounted
	}
	info, err := tree.Stat(layer.Name)
	if err != nil {
		return err
	}
	if backend == "devicemapper" {
		if !info.Mode.IsRegular() {
			return fmt.Errorf("%s: not a file", layer.Name)
		}
		return nil
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
		return fmt.Errorf("%s/link: %q is not a short name", layer.Name, link)
	}
	target, err := tree.ReadLink(home + "/l/" + link)
	if err != nil {
		return err
	}
	if want := "../" + path.Base(layer.Name) + "/diff"; target != want {
		return fmt.Errorf("%s/l/%s: leads to %q and not to %q", home, link, target, want)
	}
	return nil
}
