package main

// backends are breaks of what is checked of a whole storage driver's tree that
// the daemon does not use.
var backends = []mutation{
	{1, "a driver that cannot be looked for", "scan/source/backends.go", "s.doubt(d, d.Name, err)\n\t}\n\taside", "_ = err\n\t}\n\taside"},
	{1, "a driver's directory that cannot be looked at", "scan/source/backends.go", "s.doubt(d, name, err)", "_ = err"},
	{1, "a driver's records that cannot be read", "scan/source/backends.go", "s.doubt(d, d.Store(), err)", "_ = err"},
	{1, "a driver's times that cannot be read", "scan/source/backends.go", "s.doubt(d, d.Name, err)\n\t}\n\tnotes.Recorded", "_ = err\n\t}\n\tnotes.Recorded"},
	{1, "a container without a config doubts what it is of", "scan/source/containers_dormant.go", "doubt.Scope.Nodes = append(doubt.Scope.Nodes, head.Node)", "_ = head"},
	{1, "a container with a record in the driver that is used", "scan/source/containers_dormant.go", "if !c.in.Gone(scan.MountNode(b.Name, id).Name) {", "if !c.in.Gone(scan.MountNode(b.Name, id).Name) && false {"},
	{1, "labels of images that cannot be read", "scan/source/backends_stock.go", "image.Lost = err.Error()\n\t\ts.labels.Known = false", "image.Lost = err.Error()"},
	{1, "labels of images that are lost", "scan/source/backends_stock.go", "s.labels.Known = false\n\t\ts.found", "s.found"},
	{1, "further values of a label", "scan/graph.go", "l.More[key] = append(l.More[key], value)", ""},
	{1, "what lies below a driver's tree", "scan/source/backends.go", `if rel == p || strings.HasPrefix(rel, p+"/") {`, `if rel == p {`},
	{1, "data of old volumes in vfs", "scan/source/volumes.go", "v.use(volume, to, scan.ByVolume, where)", "_ = to"},
	{1, "data of old volumes among what vfs left", "scan/source/volumes.go", `v.doubtData("vfs/dir", v.alike(), "")`, ""},
	{1, "lost data of old volumes in vfs", "scan/source/volumes.go", "return scan.Scope{Backend: \"vfs\", Types: []scan.Type{scan.TypeBackend}}", "return scan.Scope{Backend: \"vfs\", Types: []scan.Type{scan.TypeLayer}}"},
	{3, "a driver's tree that is a link", "scan/source/backends.go", "case info.Mode&fs.ModeSymlink != 0:", "case false:"},
	{4, "a driver's records that changed", "scan/age.go", "newest = *recorded", "_ = newest"},
	{5, "paths of a driver's tree", "scan/mount/index.go", "case scan.KindChain, scan.KindBackend:", "case scan.KindChain:"},
	{5, "ids of a driver's layers", "scan/source/mounts.go", "h.index.Add(id, d.Node)", "_ = id"},
	{12, "a driver that changed later", "scan/driver/choose.go", "if changed.After(chosen) {", "if changed.After(chosen) && false {"},
	{12, "a driver whose layers are missing", "scan/driver/choose.go", "if !has {", "if !has && false {"},
	{12, "which driver is used is not known", "scan/source/backends.go", `if s.in.Undecided != "" {`, `if s.in.Undecided == "-" {`},
	{16, "a driver's records without its tree", "scan/source/backends.go", "s.g.Refer(head.Node, o.Node, scan.ByDriver)", "_ = o"},
	{16, "containers without their driver's tree", "scan/source/containers_dormant.go", "c.g.Refer(head.Node, node, scan.ByDriver)", ""},
	{16, "what containers of other drivers need", "scan/source/containers_dormant.go", `c.g.Live(owner, "container "+c.g.TitleOf(node)+" of the storage driver "+name, file)`, ""},
}
