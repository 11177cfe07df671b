package main

// apart are breaks of what is asked about layers that lie apart from the data
// root: thin devices, datasets.
var apart = []mutation{
	{1, "two files that name one device", "scan/backend/devicemapper.go", "len(owners[h.Name]) < 2 {", "len(owners[h.Name]) < 200 {"},
	{1, "a file that names the device of the base", "scan/backend/devicemapper.go", `owners[t.base] = []scan.Node{thinLayer("base")}`, "owners[t.base] = nil"},
	{1, "a damaged record of the base", "scan/backend/devicemapper.go", "d := thinDoubt(thinBase, err, anyLayer)", "d := thinDoubt(thinBase, err, scan.Scope{Nodes: []scan.Node{{}}})"},
	{1, "a metadata file that cannot be read", "scan/backend/devicemapper.go", "p.Doubts = append(p.Doubts, thinDoubt(o.Name, err, scan.Scope{Nodes: []scan.Node{o.Node}}))", "_ = err"},
	{1, "a pool that cannot be read", "scan/backend/thinpool.go", "d := thinDoubt(thinPool, err, anyLayer)", "d := thinDoubt(thinPool, err, scan.Scope{Nodes: []scan.Node{{}}})"},
	{1, "a device that another transaction made", "scan/backend/thinpool.go", "case d.Transaction+1 != h.Made:", "case d.Transaction+1 != h.Made && false:"},
	{1, "devices without a file, while some file does not tell its own", "scan/backend/thinpool.go", "if !told {", "if !told && false {"},
	{1, "devices without a file, while two files name one", "scan/backend/thinpool.go", "|| known[h.Name] {", "{"},
	{1, "devices without a file, while the base has none", "scan/backend/thinpool.go", `told := t.base != ""`, "told := true"},
	{1, "a device that the daemon takes back", "scan/backend/thinpool.go", "last.Open > pool.Transaction}", "last.Open > pool.Transaction && false}"},
	{1, "a device without a file, before 1.10", "scan/backend/thinpool.go", "if !g.Host.Before110 || o.Medium != scan.ThinDevice ||", "if true || o.Medium != scan.ThinDevice ||"},
	{1, "a mount record whose thin device is gone", "scan/source/layerdb.go", "if db.b.Medium.Apart() {", "if false {"},
	{1, "a release that cannot be read", "scan/source/layerdb.go", "db.doubtOf(o.Name, err, scan.TypeLayer), itself)", "db.doubtOf(o.Name, err, scan.TypeLayer))\n\t\t_ = itself"},

	{1, "origins of datasets", "scan/backend/zfs.go", "g.Refer(zfsLayer(id), zfsLayer(below), scan.ByLower)", "_ = below"},
	{1, "a parent without layers", "scan/backend/zfs.go", "if layers == 0 {", "if layers < 0 {"},
	{3, "a dataset in a layer", "scan/backend/zfs.go", "case deeper:", "case deeper && false:"},
	{3, "a snapshot of a user's", "scan/backend/zfs.go", "case isSnapshot && !zfs.IsDockers(snapshot):", "case isSnapshot && false && zfs.IsDockers(snapshot):"},
	{4, "zfs tells whole seconds", "scan/backend/zfs.go", "d.Created.Add(time.Second - 1)", "d.Created.Add(0 * time.Second)"},
	{5, "a clone elsewhere", "scan/backend/zfs.go", `g.Hold(zfsLayer(below), "cloned by "+scan.Printable(d.Name), "zfs list")`, "_ = below"},
	{16, "a dataset and its -init", "scan/backend/zfs.go", `g.Refer(zfsLayer(id), zfsLayer(id+"-init"), scan.ByInitName)`, "_ = id"},
	{3, "what the driver would not write", "scan/backend/devicemapper.go", "\td.DisallowUnknownFields()\n", ""},
	{3, "what follows the end of a file", "scan/backend/devicemapper.go", "case len(bytes.TrimSpace(data[d.InputOffset():])) > 0:", "case false:"},
	{3, "a file that names no device", "scan/backend/devicemapper.go", "case file.Device == nil || file.Transaction == nil:\n\t\treturn nil, errors.New(\"names no device\")", "case file.Device == nil || file.Transaction == nil:\n\t\tfile.Device, file.Transaction = new(int64), new(uint64)"},
	{3, "numbers that no device has", "scan/backend/devicemapper.go", "*file.Device < 0 || *file.Device > thin.MaxDevice:", "*file.Device < -thin.MaxDevice:"},

	{4, "devices without a file, while a daemon runs", "scan/backend/thinpool.go", "if t.in.Host.Online || t.in.Host.Owner != nil {", "if t.in.Host.Online && false {"},
	{4, "when a thin device was last written", "scan/age.go", "case rule == AgeLastChange:", "case rule == AgeLastChange && false:"},
	{4, "when a thin device was made", "scan/age.go", "case p.Now.Sub(made)-h.lost() < p.Grace:", "case p.Now.Sub(made)-h.lost() < 0:"},
	{4, "a thin device that may be a container's", "scan/classify.go", "if o.Medium.Apart() && hasInit(objects) {", "if false {"},

	{5, "a thin device that something has open", "scan/source/devices.go", "case d.Open > 0:", "case d.Open > 1:"},
	{5, "a thin device of which nobody knows who has it open", "scan/source/devices.go", "if len(blind) > 0 {", "if len(blind) < 0 {"},
	{5, "a device mapper that does not answer", "scan/source/devices.go", "\t\treturn \"\", err\n", "\t\treturn \"\", nil\n"},
	{5, "the name of a thin device in a mount table", "scan/mount/index.go", "ok && !yield(id) {", "ok && false && !yield(id) {"},
	{5, "the name of a thin device from the daemon", "scan/source/api.go", "id, _ = dm.LayerID(value)", "id = value"},

	{7, "a thin device beside a daemon", "scan/apart.go", "case h.Online:\n", "case false:\n"},
	{7, "a layer that a daemon would not collect", "scan/apart.go", "&& h.CollectsMarked():", ":"},
	{11, "a thin device without a metadata file is no part of prune", "scan/apart.go", "case o.unrecorded():", "case false:"},
	{7, "a dataset beside a daemon", "scan/apart.go", "case o.Medium == Dataset && !h.Online:\n\t\treturn \"\"", "case o.Medium == Dataset:\n\t\treturn \"\""},
	{7, "a pool that is not of the data root's files", "scan/apart.go", "case o.Note().Handle.Foreign:", "case false:"},
	{1, "a device whose file is in quarantine", "scan/backend/thinpool.go", "&& !aside[name] &&", "&&"},
}
