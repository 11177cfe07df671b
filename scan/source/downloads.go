package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Downloads lists the daemon's temporary files. The daemon empties tmp/ at
// each start since 17.05, by renaming it to tmp-old and deleting that, which
// a crash can leave behind (moby daemon.go, prepareTempDir).
var Downloads = &scan.Source{
	ID:  scan.SourceDownloads,
	Doc: "tmp and tmp-old: the daemon's temporary files",
	Collect: func(_ context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		count := 0
		for _, dir := range []string{"tmp", "tmp-old"} {
			entries, err := in.Tree.ReadDir(dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return "", err
			}
			for _, e := range entries {
				was, known := temporary(e.Name)
				addDownload(in, g, "", dir, e, known, was)
			}
			count += len(entries)
		}
		return fmt.Sprintf("%d temporary files", count), nil
	},
}

// temporaries are the prefixes of the names that the daemon gives to its
// temporary files (1.6 to 29); a number follows.
var temporaries = []struct{ prefix, was string }{
	{"GetImageBlob", "interrupted pull"},
	{"GetV2ImageBlob", "interrupted pull"},
	{"docker-import-", "interrupted load"},
	{"docker-export-", "interrupted save"},
	{"docker-builder", "interrupted build"},
	{"docker-build", "interrupted build"},
	{"docker-build-git", "interrupted build"},
	{"docker-remote", "interrupted build"},
	{"docker-tarsplit", "interrupted build"},
	{"docker-aufs-base", "interrupted build"},
	{"docker-aufs-union", "interrupted build"},
}

// temporary says what a temporary file was for, if its name is one that the
// daemon gives.
func temporary(name string) (was string, known bool) {
	i := slices.IndexFunc(temporaries, func(t struct{ prefix, was string }) bool { return numbered(name, t.prefix) })
	if i < 0 {
		return "", false
	}
	return temporaries[i].was, true
}
