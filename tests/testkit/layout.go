package testkit

import (
	"os"
	"path/filepath"
	"strings"
)

// How each storage driver lays its layers out.

// furnish makes what a driver has before its first layer.
func (r *Root) furnish() error {
	dir := r.layerDir("")
	if r.Driver == "overlay2" || r.Driver == "fuse-overlayfs" {
		dir = r.Driver + "/l"
	}
	if r.Driver == "aufs" {
		for _, dir := range []string{"aufs/layers", "aufs/mnt"} {
			if err := os.MkdirAll(r.path(dir), 0o711); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(r.path(dir), 0o711)
}

func (r *Root) layerDir(id string) string {
	switch r.Driver {
	case "vfs":
		return filepath.Join("vfs/dir", id)
	case "aufs":
		return filepath.Join("aufs/diff", id)
	case "btrfs":
		return filepath.Join("btrfs/subvolumes", id)
	}
	return filepath.Join(r.Driver, id)
}

// linked makes a layer of overlay2 and its like.
func (r *Root) linked(name, id string, below []string) error {
	link := r.linkName(name)
	r.symbols[link] = "{link " + name + "}"
	files := map[string]string{"diff/file": name, "link": link}
	if len(below) > 0 {
		var lower []string
		for _, b := range below {
			lower = append(lower, "l/"+r.linkName(b))
		}
		files["lower"] = strings.Join(lower, ":")
		files["work/.keep"] = ""
	}
	for file, content := range files {
		if err := r.write(r.layerDir(id)+"/"+file, content); err != nil {
			return err
		}
	}
	return os.Symlink("../"+id+"/diff", r.path(r.Driver+"/l/"+link))
}

// overlay makes a layer of the first overlay driver: one of an image whole,
// with the files of the layer below by hard links, one that is written on the
// nearest that is whole.
func (r *Root) overlay(name, id string, written bool, below []string) error {
	dir := r.layerDir(id)
	for len(below) > 0 && written {
		whole := r.layers[below[0]]
		if _, err := os.Lstat(r.path(r.layerDir(whole) + "/root")); err != nil {
			below = below[1:] // its upper is copied, and what it lies on is what this lies on
			continue
		}
		for file, content := range map[string]string{"upper/file": name, "work/.keep": "", "lower-id": whole} {
			if err := r.write(dir+"/"+file, content); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.write(dir+"/root/"+name, name); err != nil || len(below) == 0 {
		return err
	}
	lower := r.path(r.layerDir(r.layers[below[0]]) + "/root")
	entries, err := os.ReadDir(lower)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Link(filepath.Join(lower, e.Name()), r.path(dir+"/root/"+e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// aufs makes a layer of aufs: its directory, where it is mounted, and the list
// of all layers below.
func (r *Root) aufs(name, id string, below []string) error {
	var list strings.Builder
	for _, b := range below {
		list.WriteString(r.layers[b] + "\n")
	}
	if err := os.MkdirAll(r.path("aufs/mnt/"+id), 0o711); err != nil {
		return err
	}
	if err := r.write(r.layerDir(id)+"/file", name); err != nil {
		return err
	}
	return r.write("aufs/layers/"+id, list.String())
}
