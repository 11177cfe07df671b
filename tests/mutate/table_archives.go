package main

// archives are breaks of what is checked of an image that is written from its
// layers: they are whatever whoever made the image wanted (rule 9), and what
// comes out is the original or nothing (rule 1).
var archives = []mutation{
	{9, "files on other mounts", "scan/archive/open_linux.go", "case s.elsewhere(&is):", "case s.elsewhere(&is) && false:"},
	{9, "what is no regular file", "scan/archive/open_linux.go", "case is.Type() != unix.S_IFREG:", "case is.Type() != unix.S_IFREG && false:"},
	{9, "the layer as the root of its links", "scan/archive/open_linux.go", `next := path.Join("/", at, rest[0])[1:]`, "next := path.Join(at, rest[0])"},
	{1, "a layer's digest", "scan/archive/registered.go", "err == nil && sum.diff() != r.layer.Diff", "false"},
	{1, "a file's checksum", "scan/archive/registered.go", "case !bytes.Equal(sum.Sum(nil), e.Payload):", "case false:"},
	{1, "a file's size", "scan/archive/registered.go", "if size != e.Size {", "if false {"},
	{1, "entries of kinds that are not known", "scan/archive/registered.go", "case e.Type != content && e.Type != segment:", "case false:"},
	{1, "sizes below nothing", "scan/archive/registered.go", "case e.Size < 0:", "case false:"},
	{1, "a sum that overflows", "scan/archive/registered.go", "if r.size < 0 {", "if false {"},
	{1, "what one line takes", "scan/archive/registered.go", "if l.line > maxLine {", "if false {"},
	{1, "an image's digest", "scan/catalog/open.go", "if digest.FromBytes(config).Encoded() != hex {", "if false {"},
	{1, "a written layer that changes", "scan/archive/written.go", "err == nil && diff != w.diff", "err == nil && diff != w.diff && false"},
	{1, "owners that no container has", "scan/archive/owners_linux.go", "if st.Uid-o.uid >= idsMapped || st.Gid-o.gid >= idsMapped {", "if false {"},
	{1, "a rootless daemon's owners", "scan/archive/owners_linux.go", "if st.Uid != 0 {", "if false {"},
	{1, "a mount record's layer", "scan/layerdb/layerdb.go", "if !scan.IsLayerID(id) {", "if false {"},
	{1, "a mount record's parent", "scan/layerdb/layerdb.go", "err == nil && !IsDigest(parent)", "false"},
	{1, "a chain's id", "scan/layerdb/layerdb.go", "case ChainID(parent, l.Diff) != chain:", "case false:"},
	{9, "the data root as a place to write to", "prune/outfile/outfile.go", "if below {", "if below && false {"},
}
