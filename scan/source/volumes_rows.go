package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"go.etcd.io/bbolt"
)

// volumeRows is the daemon's database of volumes, with the options that they
// were created with: also those of drivers that keep no file of their own (moby
// volume/service/db.go, 1.11 on).
const volumeRows = volumesDir + "/metadata.db"

// rows reads which paths the options of volumes name, and makes sure that the
// database is the one that the daemon has open. Only a cancelled context is an
// error.
func (v *volumes) rows(ctx context.Context) error {
	if _, err := v.in.Tree.Stat(volumeRows); errors.Is(err, fs.ErrNotExist) {
		if v.in.Info.Since(1, 12) {
			v.doubtAll(volumeRows, errors.New("is missing"))
		}
		return nil
	}
	db, err := v.in.Bolt(ctx, volumeRows)
	if err == nil {
		err = bolt.View(db, v.readRows)
		_ = db.Close() // of a copy that was only read
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		v.doubtAll(volumeRows, err)
		return nil
	}
	compareOpen(v.in, []string{volumeRows}, v.in.Info.Since(1, 12), func(where string, err error, hint string) {
		v.g.Doubt(scan.Doubt{Source: scan.SourceVolumes, Where: where, Err: said(err, where), Hint: hint})
	})
	return nil
}

func (v *volumes) readRows(tx *bbolt.Tx) error {
	rows := tx.Bucket([]byte("volumes"))
	if rows == nil {
		return errors.New("has no bucket volumes")
	}
	return rows.ForEach(func(name, row []byte) error {
		if err := v.row(string(name), row); err != nil {
			return err
		}
		return eachPath(v.in, row, func(to scan.Node) { v.use(string(name), to, scan.ByPath, volumeRows) })
	})
}

// row notes what the daemon's record says of a volume on disk.
func (v *volumes) row(name string, row []byte) error {
	var record struct {
		Driver  string
		Options map[string]string
		Labels  map[string]string
	}
	if err := json.Unmarshal(row, &record); err != nil {
		return err
	}
	node, ok := volumeNamed(v.g, name)
	if !ok {
		local := record.Driver == "" || record.Driver == scan.LocalDriver
		if local && scan.IsVolumeName(name) && v.in.Gone(node.Name) {
			v.g.Host.LostVolumes = append(v.g.Host.LostVolumes, name)
		}
		return nil
	}
	o := v.g.Object(node)
	note := o.Annotate()
	if note.Volume == nil {
		note.Volume = &scan.Volume{}
	}
	note.Volume.Recorded, note.Volume.Driver, note.Volume.Options = true, record.Driver, record.Options
	note.Labels.Known = true
	note.Labels.AddAll(record.Labels, volumeRows)
	mounts(v.g, o, record.Options["type"], record.Options["device"], o.Name)
	doubtDriver(v.g, node, record.Driver, volumeRows)
	return nil
}

// doubtDriver doubts a volume that another driver has: what lies here under its
// name is not what Docker means by it.
func doubtDriver(g *scan.Graph, n scan.Node, driver, where string) {
	if driver == "" || driver == scan.LocalDriver {
		return
	}
	g.Doubt(scan.Doubt{
		Source: scan.SourceVolumes, Where: n.Name, Err: fmt.Sprintf("%s has a volume of this name of the driver %s", where, scan.Printable(driver)),
		Scope: scan.Scope{Nodes: []scan.Node{n}},
	})
}
