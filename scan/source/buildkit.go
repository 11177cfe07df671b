package source

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"go.etcd.io/bbolt"
)

// BuildKit's databases as the daemon has them (moby builder/builder-next/controller.go).
const (
	buildDir       = "buildkit"
	buildSnapshots = buildDir + "/snapshots.db"      // 18.06 on: which record has which layer
	buildLeases    = buildDir + "/containerdmeta.db" // 20.10 on: which record holds which snapshot
	buildRecords   = buildDir + "/metadata_v2.db"    // 20.10 on: the records of the build cache
	buildRecordsV1 = buildDir + "/metadata.db"       // 18.06 to 19.03; it stays behind after an upgrade, and is in use again after a downgrade
)

// BuildKit reads which layers and chains the build cache needs. They have no
// other record: every layer that BuildKit makes and nothing has exported yet
// is in no layerdb.
//
// A database that cannot be read, that the daemon does not have open, or that
// has a form which is not known, puts every id of BuildKit's making in doubt,
// and every chain; the reading goes on, for what is positively in use.
var BuildKit = &scan.Source{
	ID:  scan.SourceBuildKit,
	Doc: "buildkit/*.db: layers of the build cache",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		return (&buildKit{in: in, g: g, records: map[string][]string{}, live: map[scan.Node]bool{}}).collect(ctx)
	},
}

// buildKit is one reading of the databases.
type buildKit struct {
	in *scan.Input
	g  *scan.Graph

	snapshots map[string]buildSnapshot // by key: a record, a layer, or a chain
	leases    map[string][]string      // the snapshots' keys, by lease
	records   map[string][]string      // the snapshots' keys, by record: one in each database of records
	live      map[scan.Node]bool       // what is marked as live
}

func (bk *buildKit) collect(ctx context.Context) (string, error) {
	info, err := bk.in.Tree.Stat(buildDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bk.missing(), nil
	case err == nil && info.Mode&fs.ModeSymlink != 0:
		err = scan.ErrSymlink
	case err == nil && !info.Mode.IsDir():
		err = errors.New("is not a directory")
	}
	if err != nil {
		bk.doubt(buildDir, err, "")
		return "not read", nil
	}
	databases := bk.databases()
	for _, name := range databases {
		if err := bk.read(ctx, name); err != nil {
			return "", err
		}
	}
	bk.compare(databases)
	return bk.mark(), nil
}

// missing judges a data root without a buildkit directory: from 18.09 on the
// daemon always makes one (18.06 as an experiment), and a layer of BuildKit's
// making had one.
func (bk *buildKit) missing() string {
	made := false
	for i := range bk.g.Objects {
		o := &bk.g.Objects[i]
		made = made || (o.Kind == scan.KindLayer || o.Kind == scan.KindMount) && scan.IsBuildID(path.Base(o.Name))
	}
	if made || bk.in.Info.Since(18, 9) {
		const hint = "if it was removed while Docker ran, restart Docker; if its disk is not mounted, mount it"
		bk.doubt(buildDir, errors.New("is missing, and with it all that the build cache needs"), hint)
		return "buildkit is missing"
	}
	return "no BuildKit on this engine"
}

// databases lists those to read, in the order in which the daemon writes the
// last of them: a snapshot that is read has its lease and its record by the
// time that those are read. One that must be there and is not is a doubt. Where
// both databases of records are and no engine is known to use the newer, either
// may be in use.
func (bk *buildKit) databases() []string {
	there := func(name string) bool {
		_, err := bk.in.Tree.Stat(name)
		return !errors.Is(err, fs.ErrNotExist) // an error is met again when it is read
	}
	want := []string{buildSnapshots, buildLeases, buildRecords}
	switch {
	case bk.in.Info.Since(20, 10):
	case !there(buildRecords) && !there(buildLeases):
		want = []string{buildSnapshots, buildRecordsV1}
	case there(buildRecordsV1):
		want = append(want, buildRecordsV1)
	}
	var names []string
	for _, name := range want {
		if there(name) {
			names = append(names, name)
			continue
		}
		bk.doubt(name, errors.New("is missing"), "if it was removed while Docker ran, restart Docker")
	}
	return names
}

// read reads one database. Only a cancelled context is an error.
func (bk *buildKit) read(ctx context.Context, name string) error {
	db, err := bk.in.Bolt(ctx, name)
	if err == nil {
		err = bolt.View(db, func(tx *bbolt.Tx) error {
			switch name {
			case buildSnapshots:
				return bk.readSnapshots(tx)
			case buildLeases:
				return bk.readLeases(tx)
			}
			return bk.readRecords(tx)
		})
		_ = db.Close() // of a copy that was only read
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case errors.Is(err, bolt.ErrBusy):
		bk.doubt(name, err, "try again when no build runs")
	case err != nil:
		const hint = "if Docker cannot read it either: stop Docker and move the directory buildkit away; that drops the build cache, not the images"
		bk.doubt(name, err, hint)
	}
	return nil
}

// compare makes sure that the daemon has the very files open that were read.
func (bk *buildKit) compare(databases []string) {
	must := bk.in.Info.Since(18, 9) && !bk.in.Info.ContainerdStore
	compareOpen(bk.in, databases, must, bk.doubt)
}

// doubt puts in doubt whatever BuildKit alone may need: the layers and mount
// records that it names, and the chains that its records hold.
func (bk *buildKit) doubt(where string, err error, hint string) {
	for _, scope := range []scan.Scope{{BuildID: true}, {Types: []scan.Type{scan.TypeImageLayer}}} {
		bk.g.Doubt(scan.Doubt{Source: scan.SourceBuildKit, Where: where, Err: said(err, where), Hint: hint, Scope: scope})
	}
}
