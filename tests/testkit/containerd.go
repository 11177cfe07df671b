package testkit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// The databases of a drawn containerd.
const (
	ContainerdMeta = "io.containerd.metadata.v1.bolt/meta.db"
	ContainerdRows = "io.containerd.snapshotter.v1.overlayfs/metadata.db"
)

// ContainerdTime is when something in it was made.
var ContainerdTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// containerdMeta is a metadata database as text; see [WriteBolt]. CID is the
// container's id, IMAGE the image's, and GONE that of one that is not there.
const containerdMeta = `
v1/version=#4
v1/k8s.io/images/pause:1/target/digest=sha256:p
v1/k8s.io/content/blob/sha256:p/size=#7
v1/moby/images/docker.io/library/app:1/target/digest=sha256:i
v1/moby/images/docker.io/library/app:1/target/mediatype=index
v1/moby/content/blob/sha256:i/size=#9
v1/moby/content/blob/sha256:i/labels/containerd.io/gc.ref.content.0=sha256:m
v1/moby/content/blob/sha256:m/labels/containerd.io/gc.ref.content.config=sha256:c
v1/moby/content/blob/sha256:m/labels/containerd.io/gc.ref.content.l.0=sha256:l
v1/moby/content/blob/sha256:c/labels/containerd.io/gc.ref.snapshot.overlayfs=sha256:top
v1/moby/content/blob/sha256:l/createdat=@
v1/moby/content/blob/sha256:b/size=#1
v1/moby/content/blob/sha256:n/size=#1
v1/moby/content/ingests/ref/ref=1-ref
v1/moby/content/ingests/ref/expected=sha256:x
v1/moby/snapshots/overlayfs/sha256:base/name=moby/1/sha256:base
v1/moby/snapshots/overlayfs/sha256:top/name=moby/2/sha256:top
v1/moby/snapshots/overlayfs/sha256:top/parent=sha256:base
v1/moby/snapshots/overlayfs/CID/name=moby/3/CID
v1/moby/snapshots/overlayfs/CID/parent=sha256:top
v1/moby/leases/CID/snapshots/overlayfs/CID=
v1/moby/snapshots/overlayfs/GONE/name=moby/4/GONE
v1/moby/leases/GONE/snapshots/overlayfs/GONE=
v1/moby/content/blob/sha256:g/size=#1
v1/moby/content/blob/sha256:h/size=#1
v1/moby/leases/moby-image-sha256:IMAGE/content/sha256:g=
v1/moby/leases/moby-image-sha256:GONE/content/sha256:h=
v1/moby/leases/xp25yys6oiu6ly8sq22vgeun2/labels/containerd.io/gc.flat=t
v1/moby/leases/xp25yys6oiu6ly8sq22vgeun2/content/sha256:b=
v1/moby/leases/xp25yys6oiu6ly8sq22vgeun2/ingests/ref=
v1/moby/containers/run/image=app:1
v1/moby/containers/run/snapshotter=overlayfs
v1/moby/containers/run/snapshotKey=sha256:top
`

const containerdRows = `
v1/snapshots/moby/1/sha256:base/id=%1
v1/snapshots/moby/1/sha256:base/kind=!3
v1/snapshots/moby/1/sha256:base/size=#100
v1/snapshots/moby/1/sha256:base/inodes=#3
v1/snapshots/moby/2/sha256:top/id=%2
v1/snapshots/moby/2/sha256:top/kind=!3
v1/snapshots/moby/2/sha256:top/parent=moby/1/sha256:base
v1/snapshots/moby/3/CID/id=%300
v1/snapshots/moby/3/CID/kind=!2
v1/snapshots/moby/4/GONE/id=%4
v1/snapshots/moby/4/GONE/kind=!2
v1/parents/x=
`

// containerdFiles are the files below a drawn containerd's root.
var containerdFiles = map[string]string{
	"blobs/sha256/i": `{"manifests":[{"digest":"sha256:m"}]}`,
	"blobs/sha256/m": `{"config":{"digest":"sha256:c"},"layers":[{"digest":"sha256:l"}]}`,
	"blobs/sha256/c": `{"config":{},"history":[{"created_by":"COPY a /a # buildkit"},{"empty_layer":true},{"created_by":"RUN /bin/sh -c make # buildkit"}]}`,
	"blobs/sha256/l": "layer", "blobs/sha256/b": "build", "blobs/sha256/n": "named by none", "blobs/sha256/o": "on record nowhere", "blobs/sha256/p": "pause",
	"blobs/sha256/g": "of a graphdriver's image", "blobs/sha256/h": "of one that is gone", "snapshots/4/fs/x": "x",
	fmt.Sprintf("ingest/%x/data", sha256.Sum256([]byte("1-ref"))): "half",
	"snapshots/1/fs/a": "a", "snapshots/2/fs/b": "b", "snapshots/300/fs/w": "w", "snapshots/7/fs/x": "x", "snapshots/new-1/fs/x": "x",
	"by-hand/x": "x", "io.containerd.runtime.v2.task/moby/run/config": "{}",
}

// Containerd makes the root of a containerd that has a container on record, and
// content of an image whose layers are a storage driver's.
func Containerd(dir, container, image string) error {
	ids := strings.NewReplacer("CID", container, "IMAGE", image, "GONE", strings.Repeat("f", 64))
	problems := []error{
		WriteBolt(filepath.Join(dir, ContainerdMeta), ids.Replace(containerdMeta)),
		WriteBolt(filepath.Join(dir, ContainerdRows), ids.Replace(containerdRows)),
		os.MkdirAll(filepath.Join(dir, "io.containerd.snapshotter.v1.native"), 0o700),
	}
	for name, text := range containerdFiles {
		switch top, _, _ := strings.Cut(name, "/"); top {
		case "blobs", "ingest":
			name = "io.containerd.content.v1.content/" + name
		case "snapshots":
			name = "io.containerd.snapshotter.v1.overlayfs/" + name
		}
		path := filepath.Join(dir, name)
		problems = append(problems, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
	}
	return errors.Join(problems...)
}

// WriteBolt adds to a bolt database, or makes it, what a text has, a value a line:
// the names of buckets and a key, and what the value is. #7 is a signed number, %7
// one without a sign, !7 a byte, @ is ContainerdTime. Labels, images and keys of a
// snapshotter may have slashes in their names. What bbolt refuses is left out.
func WriteBolt(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for line := range strings.Lines(text) {
			path, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if ok && strings.Contains(path, "/") {
				_ = putBolt(tx, boltPath(path), boltValue(value))
			}
		}
		if b := tx.Bucket([]byte("v1")); b != nil && b.Bucket([]byte("snapshots")) != nil {
			return b.Bucket([]byte("snapshots")).SetSequence(301)
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// boltPath splits a path at its slashes, but for those in names.
func boltPath(path string) []string {
	for _, mark := range []string{"/labels/", "/images/"} {
		before, name, ok := strings.Cut(path, mark)
		if !ok {
			continue
		}
		key := []string{name}
		if image, target, ok := strings.Cut(name+"/", "/target/"); ok {
			key = append([]string{image, "target"}, strings.FieldsFunc(target, func(r rune) bool { return r == '/' })...)
		}
		return append(append(boltPath(before), strings.Trim(mark, "/")), key...)
	}
	list := strings.Split(path, "/")
	if len(list) == 6 && list[1] == "snapshots" {
		list = []string{list[0], list[1], strings.Join(list[2:5], "/"), list[5]}
	}
	return list
}

func putBolt(tx *bbolt.Tx, path []string, value []byte) error {
	b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
	for _, name := range path[1 : len(path)-1] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists([]byte(name))
		}
	}
	if err != nil {
		return err
	}
	return b.Put([]byte(path[len(path)-1]), value)
}

func boltValue(text string) []byte {
	if text == "" {
		return []byte{}
	}
	n := int64(0)
	for _, c := range text[1:] {
		n = 10*n + int64(c-'0')
	}
	switch text[0] {
	case '#':
		return binary.AppendVarint(nil, n)
	case '%':
		return binary.AppendUvarint(nil, uint64(n))
	case '!':
		return []byte{byte(n)}
	case '@':
		raw, _ := ContainerdTime.MarshalBinary() // of a good time it never fails
		return raw
	}
	return []byte(text)
}
