package scan

// Recordless reports whether a finding has no record that a daemon reads, or
// only the record of a container that is gone. What has one and is not used, a
// volume or an image's layer, is no damage.
func (f *Finding) Recordless() bool {
	switch f.Type {
	case TypeLayer, TypeRWLayer, TypeContainer, TypeDownload, TypeLink:
		return true
	case TypeVolume, TypeBuilder:
		v := f.Parts[0].Note().Volume
		return v != nil && !v.Listed && !v.Recorded
	case TypeImageLayer, TypeBuild, TypeBackend, TypeRoot, TypeMetadata:
	}
	return false
}
