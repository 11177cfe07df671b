package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// Sight makes sure that the daemon sees the directories that were read. A disk
// that is mounted over one of them in one mount namespace and not in another
// shows records that are not the daemon's, or none (rule 2).
var Sight = &scan.Source{
	ID:  scan.SourceSight,
	Doc: "/proc/<daemon>/root: that the daemon sees the directories that were read",
	Collect: func(_ context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		owner := in.Host.Owner
		if in.Daemon == nil || owner == nil {
			return "no daemon runs on this data root", nil
		}
		root := path.Join(in.Proc, strconv.Itoa(owner.PID), "root")
		dirs := sightDirs(in)
		var problems []error
		for _, dir := range dirs {
			err := compareSight(in, root, dir)
			if err == nil {
				continue
			}
			problems = append(problems, err)
			g.Doubt(scan.Doubt{
				Source: scan.SourceSight, Where: dir, Err: err.Error(),
				Hint: fmt.Sprintf("run in the daemon's mount namespace: nsenter -t %d -m docker-orphans …", owner.PID),
			})
		}
		return fmt.Sprintf("%d directories as %s (pid %d) sees them", len(dirs), owner.Name, owner.PID), errors.Join(problems...)
	},
}

// sightDirs lists the directories in which records and layers are, and the
// places where a disk of their own is mounted.
func sightDirs(in *scan.Input) []string {
	dirs := []string{".", "containers", volumesDir, pluginsDir, buildDir, "swarm", "image"}
	for _, b := range in.Backends {
		image := "image/" + b.Name
		dirs = append(dirs, b.Dir, image, image+"/layerdb", image+"/layerdb/sha256", image+"/layerdb/mounts", image+"/imagedb/content/sha256")
	}
	for _, d := range in.Dormant {
		dirs = append(dirs, d.Paths...)
	}
	return dirs
}

// compareSight compares what we see with what a process sees, twice if need
// be: a directory may come or go between the two looks.
func compareSight(in *scan.Input, root, dir string) error {
	for try := 1; ; try++ {
		ours, err := in.Tree.Stat(dir)
		theirs, theirErr := process.Lookup(root, path.Join(in.DataRoot, dir))
		gone, theirsGone := errors.Is(err, fs.ErrNotExist), errors.Is(theirErr, fs.ErrNotExist)
		if gone && theirsGone {
			return nil
		}
		if gone || theirsGone {
			err, theirErr = nil, nil
		}
		if err = errors.Join(err, theirErr); err != nil {
			return err
		}
		key := scan.FileKey{Device: ours.Stamp.Device, Inode: ours.Stamp.Inode}
		if key == theirs {
			return nil
		}
		if try == 2 {
			return errors.New("the daemon sees another directory there, or none")
		}
	}
}
