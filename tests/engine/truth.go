//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/storage"
	"github.com/docker/docker/client"
)

// Live is what the daemon needs, by its own answers and the records that they
// lead to: names below the data root, each with who needs it.
type Live map[string]string

// Truth asks the running daemon what it needs.
func Truth(t TB, d *Daemon) Live {
	t.Helper()
	return d.truth(t, 1, func(error) bool { return false })
}

// Passing is Truth while things come and go: what is gone by the time that it
// is asked about is not needed. The daemon fails to answer at all at times,
// while it removes an image ("layer does not exist", "corruption?").
func Passing(t TB, d *Daemon) Live {
	t.Helper()
	const tries = 20
	return d.truth(t, tries, func(err error) bool { return errdefs.IsNotFound(err) || errors.Is(err, fs.ErrNotExist) })
}

// asking is one round of questions to a daemon.
type asking struct {
	d    *Daemon
	c    *client.Client
	live Live
	gone func(error) bool // whether an error means that the thing asked about does not count
}

func (d *Daemon) truth(t TB, tries int, gone func(error) bool) Live {
	t.Helper()
	c, ctx := d.client(t)
	defer c.Close()
	a := &asking{d: d, c: c, live: Live{}, gone: gone}
	for _, ask := range []func(context.Context) error{a.images, a.containers, a.builds} {
		err := ask(ctx)
		for n := 1; err != nil && n < tries; n++ {
			time.Sleep(100 * time.Millisecond)
			err = ask(ctx)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	if err := a.below(); err != nil {
		t.Fatalf("%v", err)
	}
	return a.live
}

func (a *asking) images(ctx context.Context) error {
	images, err := a.c.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	for _, one := range images {
		if err := a.image(ctx, one.ID); err != nil && !a.gone(err) {
			return fmt.Errorf("image %s: %w", one.ID, err)
		}
	}
	return nil
}

func (a *asking) image(ctx context.Context, id string) error {
	i, err := a.c.ImageInspect(ctx, id)
	if err != nil {
		return err
	}
	who := "image " + i.ID
	a.live[a.d.ImageConfig(i.ID)] = who
	for n := range i.RootFS.Layers {
		record := a.d.Chains() + "/" + strings.TrimPrefix(ChainID(i.RootFS.Layers[:n+1]...), "sha256:")
		layer, err := a.word(record + "/cache-id")
		if err != nil {
			return err
		}
		a.live[record], a.live[a.d.LayerDir()+"/"+layer] = who, who
	}
	a.graph(i.GraphDriver, who)
	return nil
}

// word reads a small file below the data root.
func (a *asking) word(name string) (string, error) {
	data, err := os.ReadFile(a.d.Path(name))
	return string(data), err
}

func (a *asking) containers(ctx context.Context) error {
	containers, err := a.c.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return fmt.Errorf("containers: %w", err)
	}
	for _, one := range containers {
		if err := a.container(ctx, one.ID); err != nil && !a.gone(err) {
			return fmt.Errorf("container %s: %w", one.ID, err)
		}
	}
	return nil
}

func (a *asking) container(ctx context.Context, id string) error {
	who := "container " + id
	i, err := a.c.ContainerInspect(ctx, id)
	if isWithoutLayer(err) {
		a.live["containers/"+id] = who
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range i.Mounts {
		if m.Name != "" {
			a.live["volumes/"+m.Name] = who
		}
	}
	record := a.d.MountRecord(i.ID)
	writable, err := a.word(record + "/mount-id")
	if err != nil {
		return err
	}
	initial, err := a.word(record + "/init-id")
	if err != nil {
		return err
	}
	for _, name := range []string{"containers/" + id, record, a.d.LayerDir() + "/" + writable, a.d.LayerDir() + "/" + initial} {
		a.live[name] = who
	}
	a.graph(i.GraphDriver, who)
	return nil
}

// graph adds the layers whose directories GraphDriver.Data names, where the
// driver tells any: also those that no record names.
func (a *asking) graph(g storage.DriverData, who string) {
	for _, dirs := range g.Data {
		for dir := range strings.SplitSeq(dirs, ":") {
			below, err := filepath.Rel(a.d.Path(a.d.LayerDir()), dir)
			if err != nil || strings.HasPrefix(below, "..") {
				continue // not a directory of the driver
			}
			id, _, _ := strings.Cut(below, "/")
			a.live[a.d.LayerDir()+"/"+id] = who
		}
	}
}

func (a *asking) builds(ctx context.Context) error {
	usage, err := a.c.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.BuildCacheObject}})
	if err != nil {
		return fmt.Errorf("build cache: %w", err)
	}
	for _, record := range usage.BuildCache {
		// Its layer has mostly, not always, the record's id.
		if layer := a.d.LayerDir() + "/" + record.ID; a.d.Has(layer) {
			a.live[layer] = "build record " + record.ID
		}
	}
	return nil
}

// below adds what the layers lie on and their short links, where the driver
// keeps such: the kernel mounts by those, whatever any record says.
func (a *asking) below() error {
	if a.d.Driver == "overlay" {
		return a.lowerIDs()
	}
	if a.d.Links() == "" {
		return nil
	}
	for _, layer := range a.d.Layers() {
		who, ok := a.live[layer]
		if !ok {
			continue
		}
		link, err := a.word(layer + "/link")
		if a.gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		a.live[a.d.Links()+"/"+link] = who
		lower, err := a.word(layer + "/lower")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the base has none
			return err
		}
		for short := range strings.SplitSeq(lower, ":") {
			if target, err := os.Readlink(a.d.Path(a.d.LayerDir() + "/" + short)); err == nil {
				a.live[a.d.LayerDir()+"/"+short] = who
				a.live[path.Join(a.d.Links(), path.Dir(target))] = who
			}
		}
	}
	return nil
}

// lowerIDs adds what the layers of the first overlay driver lie on.
func (a *asking) lowerIDs() error {
	for _, layer := range a.d.Layers() {
		who, ok := a.live[layer]
		if !ok {
			continue
		}
		lower, err := a.word(layer + "/lower-id")
		switch {
		case err == nil:
			a.live[a.d.LayerDir()+"/"+lower] = who
		case !errors.Is(err, fs.ErrNotExist): // that of an image has none
			return err
		}
	}
	return nil
}

// Owner tells who needs a name: whoever needs it, what is above it or what is
// below.
func (l Live) Owner(name string) (who string, ok bool) {
	for at := name; at != "."; at = path.Dir(at) {
		if who, ok := l[at]; ok {
			return who, true
		}
	}
	for at, who := range l {
		if strings.HasPrefix(at, name+"/") {
			return who, true
		}
	}
	return "", false
}
