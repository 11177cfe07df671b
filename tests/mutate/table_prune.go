package main

// removals are breaks of what is checked before anything is written, and of how.
var removals = []mutation{
	{6, "what is mounted in a tree that goes", "prune/tree_linux.go", "Mounted: func() error { return mounted(ctx, d.proc, name) }", "Mounted: func() error { return nil }"},
	{7, "a chain that a daemon has in memory by now", "prune/verify.go", "journal.Adopt && x.graph.Host.Online:", "journal.Adopt && false:"},
	{7, "a thin device, once a daemon runs", "prune/devices.go", "if seen.Graph.Host.Online || seen.Graph.Host.Owner != nil {", "if false {"},
	{8, "the stamp before a rename", "prune/take.go", "info.Stamp != s.Objects[at].Stamp {", "info.Stamp != s.Objects[at].Stamp && false {"},
	{8, "what was swapped before a rename", "prune/take.go", "if err := fits(x.Tree, mv, place); err != nil {\n\t\treturn errors.Join", "if err := fits(x.Tree, mv, place); err != nil && false {\n\t\treturn errors.Join"},
	{8, "the stamp at a look", "prune/verify.go", "stamps && f.Parts[at].Stamp != o.Stamp ||", ""},
	{8, "the verdict at a look", "prune/verify.go", "case f.Verdict != scan.Orphan && (!s.Damaged || f.Verdict != scan.Damaged):", "case false:"},
	{8, "another daemon meanwhile", "prune/run.go", "!sameProcess(x.owner, is) {", "!sameProcess(x.owner, is) && false {"},
	{8, "a thin device of a number that another has by now", "prune/thinpool_linux.go", "is == nil || is.Transaction+1 != d.Made {", "is == nil {"},
	{9, "flags of what has another name", "prune/unlink/flags_linux.go", "st.Links != 1:", "st.Links > 99:"},
	{9, "another mount", "prune/disk_linux.go", "err == nil && st.Mount != d.mount {", "err == nil && st.Mount != d.mount && false {"},
	{10, "a journal that could not be written", "prune/run.go", "if err := x.begin(); err != nil {", "if err := x.begin(); err != nil && false {"},
	{11, "a name that was taken", "prune/disk_linux.go", "unix.RENAME_NOREPLACE)", "0)"},
	{11, "a device without a record, put aside", "prune/draft.go", "(d.purge || !f.Unrecorded())", "true"},
	{13, "the last of a driver's directory", "prune/take.go", "if len(entries) < 2 {", "if len(entries) < 0 {"},
	{14, "the lock", "prune/state_linux.go", "unix.LOCK_EX|unix.LOCK_NB", "unix.LOCK_SH|unix.LOCK_NB"},
	{14, "who can write in the state directory", "prune/state_linux.go", "case st.Mode&0o022 != 0:", "case false:"},
	{15, "the look before anything is unlinked", "prune/act.go", "why = index.differs(index.aside(x.id, s), false)", "_ = index.aside"},
	{16, "what other steps lie on that stay", "prune/run.go", `x.ends[i].End == "" && e != "" && !x.ends[before-1].Gone() {`, `x.ends[i].End == "" && e != "" && false {`},
	{12, "the looks at what seems damaged", "prune/brakes.go", "looks < damageLooks", "looks < 1"},
	{12, "what each look finds damaged", "prune/brakes.go", "return !still[d.String()]", "return len(still) == 0"},
}
