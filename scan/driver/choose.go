package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Choice is which storage driver a data root's daemon uses that does not run.
type Choice struct {
	Left      []*Driver // those that left anything
	Name      string    // the one that it uses; "" if that is not known
	Undecided string    // why it is not known
}

// Choose decides which driver the daemon uses, as the daemon would: what it is
// told counts, then the one tree that is not empty, but for vfs (moby
// graphdriver/driver.go, New). A daemon that finds several refuses to start;
// whoever starts it all the same tells it on its command line, and no file has
// that. So the records must not contradict: another driver has none that
// changed later, and none without its layers.
func Choose(tree scan.Tree, told Told) (Choice, error) {
	var c Choice
	for i := range All {
		left, err := All[i].Left(tree)
		if err != nil {
			return c, err
		}
		if left {
			c.Left = append(c.Left, &All[i])
		}
	}
	switch {
	case len(c.Left) == 0:
	case told.Containerd:
		c.Undecided = told.By + ": images are kept in containerd, and not by a storage driver"
	case told.Name != "":
		c.Name = told.Name
	case len(c.Left) == 1:
		c.Name = c.Left[0].Name
	default:
		return c, c.among(tree)
	}
	return c, nil
}

// among chooses among several.
func (c *Choice) among(tree scan.Tree) error {
	prior, err := Prior(tree)
	if err != nil {
		return err
	}
	switch len(prior) {
	case 0:
		c.Undecided = fmt.Sprintf("%s have records and no layers: a disk may not be mounted", list(c.Left))
		return nil
	case 1:
	default:
		c.Undecided = fmt.Sprintf("%s hold layers, and a daemon uses only one: it does not start unless it is told which", strings.Join(prior, " and "))
		return nil
	}
	chosen, err := newest(tree, Named(prior[0]))
	if err != nil {
		return err
	}
	for _, d := range c.Left {
		if d.Name == prior[0] {
			continue
		}
		has, err := filled(tree, d.Name)
		if err != nil {
			return err
		}
		if !has {
			c.Undecided = fmt.Sprintf("%s has records and no layers: a disk may not be mounted", d.Name)
			return nil
		}
		changed, err := newest(tree, d)
		if err != nil {
			return err
		}
		if changed.After(chosen) {
			c.Undecided = fmt.Sprintf("a daemon that is not told chooses %s, but the records of %s changed later", prior[0], d.Name)
			return nil
		}
	}
	c.Name = prior[0]
	return nil
}

func list(drivers []*Driver) string {
	var names []string
	for _, d := range drivers {
		names = append(names, d.Name)
	}
	return strings.Join(names, " and ")
}

// newest is the newest change of a driver's records.
func newest(tree scan.Tree, d *Driver) (time.Time, error) {
	var newest time.Time
	for _, name := range d.Records() {
		info, err := tree.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return newest, err
		}
		if info.Stamp.Change.After(newest) {
			newest = info.Stamp.Change
		}
	}
	return newest, nil
}

// Records lists what of the driver's records changes when an image or a
// container is made or removed.
func (d *Driver) Records() []string {
	store := d.Store()
	return []string{
		d.oldNames(),
		store + "/repositories.json", store + "/imagedb/content/sha256", store + "/imagedb/metadata/sha256",
		store + "/layerdb/sha256", store + "/layerdb/mounts", store + "/layerdb/tmp",
	}
}
