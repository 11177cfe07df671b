package main

// witnesses are breaks of rule 2, two witnesses, and of rule 12, brakes.
var witnesses = []mutation{
	{2, "what the daemon knows and the disk has not", "scan/source/api.go", "if err != nil || !still {", "if err != nil || !still || true {"},
	{2, "images of the daemon", "scan/source/api.go", `a.g.Live(node, "image "+a.g.TitleOf(node), "GET /images/json")`, ""},
	{2, "layers of the daemon's images", "scan/source/api.go", "a.g.Refer(node, scan.ChainNode(b.Name, chain), scan.ByDiffIDs)", "_ = chain"},
	{2, "containers of the daemon", "scan/source/api.go", `a.g.Live(node, "container "+a.g.TitleOf(node), "GET /containers/json")`, ""},
	{2, "records of the daemon's containers", "scan/source/api.go", "a.g.Refer(node, scan.MountNode(b.Name, c.ID), scan.ByRWLayer)", "_ = b"},
	{2, "layers by the paths that the daemon tells", "scan/source/api.go", "a.g.Refer(from, to, scan.ByGraph)", "_ = to"},
	{2, "volumes of the daemon that are layers", "scan/source/api.go", "a.g.Refer(volumeRecord(v.Name), to, scan.ByVolume)", "_ = to"},
	{2, "build records in no database", "scan/source/api.go", "if !a.g.Has(node) {", "if !a.g.Has(node) && false {"},
	{2, "a container that the daemon does not know", "scan/source/containers.go", `c.g.Live(node, "container "+name, node.Name+"/config.v2.json")`, ""},
	{2, "databases that the daemon does not have open", "scan/source/buildkit.go", "bk.compare(databases)\n\treturn", "return"},
	{2, "another file of the name is open", "scan/source/opened.go", "if other != key {", "if other != key && false {"},
	{2, "no file of the name is open", "scan/source/opened.go", "if len(files) == 0 && ", "if len(files) < 0 && "},
	{2, "no buildkit directory, and layers of its making", "scan/source/buildkit.go", "if made || ", "if made && false || "},
	{2, "no buildkit directory on an engine that has one", "scan/source/buildkit.go", "if made || bk.in.Info.Since(18, 9) {", "if made {"},
	{2, "a database is missing", "scan/source/buildkit.go", `bk.doubt(name, errors.New("is missing"), "if it was removed while Docker ran, restart Docker")`, ""},
	{2, "a database that cannot be read", "scan/source/buildkit.go", "bk.doubt(name, err, hint)\n\t}\n\treturn nil", "_ = hint\n\t}\n\treturn nil"},
	{2, "a database of a form that is not known", "scan/source/buildkit_records.go", "check(k, value, false)", "check(k, value, true)"},
	{2, "a build record whose chain is in no registry", "scan/source/buildkit_mark.go", "bk.unregistered(key, s)", ""},
	{12, "a daemon that does not own the root", "scan/locate/locate.go", "if !listens {", "if !listens && false {"},
	{12, "the root of another engine", "scan/locate/locate.go", "info.Since(23, 0) && strings", "info.Since(99, 0) && strings"},
	{2, "an engine before 23 that another's id lies beside", "scan/locate/locate.go", "info.Since(23, 0) && strings", "strings"},
	{12, "a root in use, offline", "scan/locate/locate.go", "if owner := in.Host.Owner; owner != nil {\n\t\twhy,", "if owner := in.Host.Owner; owner != nil && false {\n\t\twhy,"},
	{12, "a daemon that is only starting", "scan/source/processes_daemons.go", "if uses || err != nil && !process.Gone(err) {", "if uses && false {"},
	{12, "a daemon of which it cannot be told", "scan/source/processes_daemons.go", "if uses || err != nil && !process.Gone(err) {", "if uses {"},
	{12, "a daemon with user namespaces", "scan/source/processes_daemons.go", "dockerd.IsRemapped(base) {", "dockerd.IsRemapped(base) && false {"},
	{12, "a daemon that is starting on a root without one", "scan/source/processes_daemons.go", `p.g.Use(d.String() + " " + d.why)`, ``},
	{12, "who writes below a root without a daemon", "scan/source/processes_daemons.go", `p.g.Use(scan.Printable(name) + " is " + what)`, `_ = what`},
	{12, "a mount below a root without a daemon", "scan/source/mounts.go", "if h.offline && h.found {", "if false {"},
	{12, "who has the root locked beside a run of ours", "scan/locate/locate.go", "run != nil && process.Same(by, run)", "run != nil"},
	{12, "a daemon that systemd has started is not asked", "scan/locate/locate.go", "return err == nil && by == nil", "return err == nil && (by == nil || true)"},
	{12, "a root that nobody has locked, online", "scan/locate/locate.go", "if owner == nil {\n\t\treturn refuse", "if owner == nil && false {\n\t\treturn refuse"},
	{12, "another daemon's root by its path", "scan/locate/locate.go", `o.DataRoot == "" || sameDir(o.DataRoot, info.DataRoot)`, `o.DataRoot == "" || true`},
	{12, "the daemon sees another directory", "scan/locate/locate.go", "if !os.SameFile(seen, ours) {", "if !os.SameFile(seen, ours) && false {"},
	{12, "images that live in containerd", "scan/locate/locate.go", "case info.ContainerdStore:", "case info.ContainerdStore && false:"},
	{12, "two owners", "scan/process/owner_linux.go", "return nil, fmt.Errorf(\"%s: two processes hold locks of it", "return Find(proc, pids[0])\n\treturn nil, fmt.Errorf(\"%s: two processes hold locks of it"},
}

// recognised are breaks of rule 3: only names that we know.
var recognised = []mutation{
	{3, "unknown forms are judged", "scan/classify.go", "if o.Unrecognised != \"\" {\n\t\t\tc.raise", "if o.Unrecognised == \"-\" {\n\t\t\tc.raise"},
	{3, "layers of any name", "scan/backend/dirs.go", "case !scan.IsLayerID(name):", "case !scan.IsLayerID(name) && false:"},
	{3, "layers that are symbolic links", "scan/backend/dirs.go", "case mode&fs.ModeSymlink != 0:\n\t\treturn \"a symbolic link where a directory should be\"\n\tcase !mode.IsDir():", "case false:"},
	{3, "links of any name", "scan/backend/overlay2.go", "case !scan.IsLinkName(e.Name):", "case false:"},
	{3, "links to anywhere", "scan/backend/overlay2.go", "return id, ok && scan.IsLayerID(id)", "return id, ok"},
	{3, "files among the links", "scan/backend/overlay2.go", "case e.Type&fs.ModeSymlink == 0:", "case false:"},
	{3, "temporary files of any name", "scan/source/files.go", "case !known:", "case false:"},
	{3, "a plugin that is there and is being removed", "scan/source/downloads.go", "if _, err := d.in.Tree.Stat(pluginsDir + \"/\" + id); !errors.Is(err, fs.ErrNotExist) {", "if false {"},
	{3, "what is half written of a record that is lost", "scan/source/halfwritten.go", "&& there(name)", "&& (there(name) || true)"},
	{3, "half-written files of any name", "scan/source/halfwritten.go", "if !numbered(rest, was) {", "if false {"},
	{3, "a plugin that has its old root file system only", "scan/source/downloads.go", "o != nil && !slices.ContainsFunc(", "o != nil && false && !slices.ContainsFunc("},
	{3, "what nobody knows in an old tmp", "scan/source/downloads.go", "return !known }) {", "return !known }) && false {"},
	{3, "what nobody knows in an old build cache", "scan/source/leftovers.go", `e.Name != "fscache.db" && !scan.IsID(e.Name)`, "false"},
	{3, "mount points of any name", "scan/source/leftovers.go", "case !scan.IsID(id):", "case false:"},
	{3, "mount points that are not empty", "scan/source/leftovers.go", "if len(below) > 0 {", "if len(below) < 0 {"},
	{1, "the build cache of a Docker of unknown version", "scan/source/leftovers.go", "case !known:", "case !known && false:"},
	{1, "mount points of containers", "scan/source/leftovers.go", "g.Refer(scan.ContainerNode(id), node, scan.ByPath)", ""},
	{1, "mount points of containers that were lost", "scan/source/leftovers.go", "if len(points) > 0 && len(entries) == 0 {", "if len(points) < 0 && len(entries) == 0 {"},
	{7, "broken images that the daemon has in memory", "scan/repair.go", "m.Where != record.Name {", "m.Where == \"\" {"},
	{7, "layers that a daemon may have in memory", "scan/repair.go", "case x.g.Host.Online:", "case false:"},
	{1, "what a broken image shares with something in use", "scan/repair.go", "case f == nil || f.Verdict != Damaged && f.Verdict != Orphan:", "case f == nil:"},
	{4, "an entry is as young as its last change", "scan/source/layerdb.go", "notes.Created, notes.Was = &changed, \"layer\"", "_, notes.Was = changed, \"layer\""},
	{4, "a config is as young as its last change", "scan/source/imagedb.go", "o.Annotate().Created = &changed", "_ = changed"},
	{1, "an entry that has something in it and cannot be read", "scan/source/layerdb.go", "notes.Missing = \"the entry has no cache-id\"\n\tdb.chainDoubt(p, o, err)", "notes.Missing = \"the entry has no cache-id\""},
	{1, "layers of which a record cannot be read, among what registries have", "scan/source/registries.go", "if !r.in.AllDiffs {", "if false {"},
	{1, "images' layers that are not registered, among what registries have", "scan/source/imagedb.go", "noteDiff(db.in, diff)", "_ = diff"},
	{1, "registered layers that the daemon does not load", "scan/source/layerdb.go", "\tdb.unloaded(p, o)\n", ""},
	{4, "the removal of a plugin is as young as its change", "scan/source/downloads.go", "\to.Renamed()\n", ""},
	{3, "temporary files that are symbolic links", "scan/source/files.go", "case info.Mode&fs.ModeSymlink != 0:", "case false:"},
	{3, "write-sets of any name", "scan/source/layerdb.go", `known := numbered(e.Name, "write-set-") || numbered(e.Name, "layer-")`, "known := true"},
	{3, "chains of any name", "scan/source/layerdb.go", "case scan.IsID(e.Name):\n\t\tdb.chain(p, &o)\n\tdefault:", "case true:\n\t\tdb.chain(p, &o)\n\tdefault:"},
	{3, "releases of any name", "scan/names.go", `return ok && cut && IsID(id) && random != ""`, `return ok && cut && random != ""`},
	{3, "containers of any name", "scan/source/containers.go", "case !scan.IsID(e.Name):\n\t\to.Unrecognised = \"no container has such an id\"", "case false:"},
	{3, "ids of any length", "scan/names.go", "return len(name) == 64 &&", "return"},
	{3, "build ids of any length", "scan/names.go", "return len(name) == 25 &&", "return"},
}

// The two halves of a scan, whose order is part of its design.
const (
	enumerate = `	for _, b := range in.Backends {
		report := Report{Source: b.source(), Began: in.Now()}
		before := len(g.Objects)
		err := b.Enumerate(ctx, in, g)
		report.Note = strings.Join(append([]string{fmt.Sprintf("%d objects", len(g.Objects)-before)}, g.notes...), "; ")
		g.notes = nil
		g.finish(in, report, err, Scope{Backend: b.Name})
	}
`
	collect = `	for _, s := range sources {
		report := Report{Source: s.ID, Began: in.Now()}
		note, err := s.Collect(ctx, in, g)
		report.Note = note
		g.finish(in, report, err, Scope{})
	}
`
)

// ages are breaks of rule 4: old enough, provably.
var ages = []mutation{
	{4, "times in the future", "scan/age.go", "case made.After(p.Now) || o.Stamp.Change.After(p.Now):", "case false:"},
	{4, "a time in the future below", "scan/age.go", "if newest.After(p.Now) {", "if newest.After(p.Now) && false {"},
	{4, "a layer is being written", "scan/age.go", "case !h.OldestWriteSet.IsZero() && ", "case !h.OldestWriteSet.IsZero() && false && "},
	{4, "its directory may be older", "scan/age.go", "h.OldestWriteSet.Add(-writeSetMargin)", "h.OldestWriteSet"},
	{4, "the earlier clock: the process's alone", "scan/age.go", "if h.TmpMade.Before(h.Owner.Started) {", "if false {"},
	{4, "the earlier clock: the file system's alone", "scan/age.go", "if h.TmpMade.Before(h.Owner.Started) {", "if true {"},
	{4, "no birth of tmp", "scan/age.go", "if h.Owner == nil || h.TmpMade.IsZero() {", "if h.Owner == nil {"},
	{4, "the last change does not count", "scan/age.go", "if rule == AgeMade || rule == AgeMadeBefore {", "if rule != \"\" {"},
	{4, "downloads since the start", "scan/age.go", "if rule == AgeMadeBefore {", "if rule == AgeMadeBefore && false {"},
	{4, "the grace", "scan/age.go", "rest < p.Grace {", "rest < 0 {"},
	{4, "the machine slept", "scan/age.go", "lost := h.Suspended", "lost := 0 * h.Suspended"},
	{4, "what could not be walked", "scan/age.go", "&& !o.Usage.Complete {", "&& !o.Usage.Complete && false {"},
	{4, "its own change", "scan/age.go", "if o.Stamp.Change.After(newest) {", "if false {"},
	{4, "no birth", "scan/graph.go", "if s.Birth.IsZero() {", "if false {"},
	{4, "offline, and a process has it locked", "scan/age.go", "case !h.Online && h.Owner == nil:", "case !h.Online:"},
	{4, "parents of young things", "scan/classify.go", "c.spread(Held, Unknown, Unsure, Young)", "c.spread(Held, Unknown, Unsure)"},
	{4, "writable layers by when they were made", "scan/contract.go", "Undo:    \"restore, with its record\",\n\t\tLabels:  \"the container's config, else every image that has its parent chain\",\n\t\tUnknown: UnknownNeverMatches,\n\t\tAge:     AgeLastChange,", "Undo:    \"restore, with its record\",\n\t\tLabels:  \"the container's config, else every image that has its parent chain\",\n\t\tUnknown: UnknownNeverMatches,\n\t\tAge:     AgeMade,"},
	{4, "what was made between listing and reading", "scan/scan.go", "\tg.addLate(ctx, in, sources)\n", ""},
	{4, "what a record needs that was made between listing and reading", "scan/late.go", "if g.readLate(ctx, in, sources, n) {", "if false && g.readLate(ctx, in, sources, n) {"},
	{4, "what is being released now", "scan/source/layerdb.go", "\to.Renamed()\n", ""},
	{4, "what aufs removes now", "scan/backend/aufs.go", "\t\to.Renamed()\n", ""},
	{4, "references before objects", "scan/scan.go", enumerate + collect, collect + enumerate},
	{4, "containers before mount records", "scan/source/all.go", "\tGraph,\n\tLayerDB,\n\tImageDB,\n\tRegistries,\n\tContainers,", "\tGraph,\n\tImageDB,\n\tContainers,\n\tLayerDB,"},
	{4, "write-sets that processes have open", "scan/source/processes.go", "p.writeSet(name, f)", "_ = name"},
}

// owners are breaks of rule 16, a record and what it names are one, and of
// rule 11, what holds data that nobody can make again.
var owners = []mutation{
	{16, "records and their data are judged apart", "scan/classify.go", "if r.why.owns() {\n\t\t\tc.group", "if r.why.owns() && false {\n\t\t\tc.group"},
	{16, "a layer and its -init are judged apart", "scan/graph.go", "case ByCacheID, ByMountID, ByInitID, ByInitName, ByDriver, ByName:", "case ByCacheID, ByMountID, ByInitID, ByDriver, ByName:"},
	{16, "the strongest part decides", "scan/classify.go", "if v.strength() > c.verdict[group].strength() {", "if v.strength() > c.verdict[group].strength() && c.verdict[group] == Orphan {"},
	{16, "tags that lost their image", "scan/source/imagedb.go", `db.g.Host.LostTags = append(db.g.Host.LostTags, "tag "+tag)`, ""},
	{16, "containers that lost their image", "scan/source/containers.go", `c.g.Host.LostTags = append(c.g.Host.LostTags, "container "+c.g.TitleOf(node))`, ""},
	{16, "lost tags keep nothing from prune", "scan/findings.go", `len(lost) > 0 && f.Origin == ""`, `len(lost) < 0`},
	{16, "a registry has one layer of many", "scan/source/origins.go", "if repository == \"\" {\n\t\t\treturn \"\"\n\t\t}", ""},
	{16, "parents of a leaked record, pinned in memory", "scan/source/containers.go", `if c.in.Daemon != nil && parent != "" {`, `if c.in.Daemon != nil && parent == "-" {`},
	{11, "what is precious", "scan/findings.go", "f.Precious = len(f.Size().Telling) > 0", "f.Precious = false"},
	{11, "precious things are taken", "scan/findings.go", "if !f.Precious || c.p.IncludePrecious {", "if true {"},
	{3, "images of before 1.10 of any name", "scan/source/graph.go", "if parent != \"\" && !scan.IsID(parent) {", "if parent == \"-\" {"},
	{3, "layers of images of any name", "scan/source/containers_old.go", `config.Image != "" && !scan.IsID(config.Image) {`, "false {"},
	{11, "an -init may be a container's", "scan/finding.go", "if (o.Kind == KindLayer || o.Kind == KindPart) && IsInitID(base(o.Name)) {", "if false {"},
}
