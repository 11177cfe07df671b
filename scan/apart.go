package scan

import (
	"fmt"
	"slices"
)

// Stays says why nothing of ours can remove a finding, named or not, because
// of what it is made of; "" if something can. What lies apart from the data
// root is the storage driver's, which keeps a state of its own about it: a
// daemon that runs deletes it, or nobody does (rules 6, 7).
func (f *Finding) Stays(h *Host) string {
	if f.Type == TypeVolume || f.Type == TypeBuilder {
		return f.waits(h)
	}
	for _, o := range f.Parts {
		if why := f.stays(h, o); why != "" {
			return why
		}
	}
	return ""
}

func (f *Finding) stays(h *Host, o *Object) string {
	switch {
	case o.Medium == Directory, o.Medium == File, o.Medium == Subvolume:
		return ""
	case h.Online && f.Type == TypeImageLayer:
		return "" // it takes the chain, and lets it go
	case o.Medium == Dataset && !h.Online:
		return ""
	case o.Medium == ThinDevice && h.Online && f.Type == TypeLayer && !f.MayBeContainers() && h.CollectsMarked():
		return ""
	case h.Online:
		return fmt.Sprintf("a %s goes by hand only while Docker is stopped", o.Medium)
	case o.Medium != ThinDevice:
		return fmt.Sprintf("nothing is known that removes a %s", o.Medium)
	case o.Note().Handle == nil:
		return "its metadata file does not tell which device it is"
	case o.Note().Handle.Foreign:
		return "its pool is not made of files of the data root (direct-lvm): only Docker deletes its devices, while it runs, and no container's"
	}
	return ""
}

// named says why prune leaves to rm what it could remove; "" if it does not.
func (f *Finding) named(h *Host) string {
	for _, o := range f.Parts {
		switch {
		case o.unrecorded():
			return "it could not be brought back: only rm --purge"
		case o.Medium == Dataset && !h.Online:
			return "a dataset goes only if it is named"
		}
	}
	return ""
}

// Unrecorded reports whether a finding is a device of a pool that no metadata
// file names. It may be what a container wrote, and there is nothing of it that
// could be put aside.
func (f *Finding) Unrecorded() bool { return slices.ContainsFunc(f.Parts, (*Object).unrecorded) }

func (o *Object) unrecorded() bool { return o.Medium == ThinDevice && o.Stamp == (Stamp{}) }

// CollectsMarked reports whether the running daemon deletes, when it stops in
// order, the layers of records that say they are being removed: from 20.10 on
// (moby layer_store.go, Cleanup).
func (h *Host) CollectsMarked() bool {
	return h.Online && h.Info.Since(20, 10)
}
