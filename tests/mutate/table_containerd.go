package main

// stored are breaks of what is read of containerd's root.
var stored = []mutation{
	{1, "images in containerd are not judged", "plugin/look.go", "if len(l.in.Backends) == 0 {", "if len(l.in.Backends) < 0 {"},
	{1, "a metadata database of a version that is not known", "scan/containerd/meta.go", "!slices.Contains(forms, s.Version)", "!slices.Contains(forms, s.Version) && false"},
	{1, "a metadata database of a form that is not known", "scan/containerd/meta.go", "if top.Bucket == nil {", "if top.Bucket == nil && false {"},
	{1, "a value where records are", "scan/containerd/read.go", `r.fail(fmt.Sprintf("%q is no bucket", k))`, "_ = fmt.Sprint()"},
	{1, "a snapshotter's database of which a part is not known", "scan/containerd/read.go", "s.Rows = nil\n\t\tr.problem(at, err)", "s.Read = true"},
	{1, "a snapshot of a kind that is not known", "scan/containerd/snapshotter.go", `r.fail("kind is unknown")`, ""},
	{2, "containerd's database is not where we look", "scan/locate/containerd.go", "!= holder.Key {", "!= holder.Key && false {"},
	{2, "containerd's database was removed", "scan/locate/containerd.go", "if holder.Removed {", "if holder.Removed && false {"},
	{2, "a daemon that is connected to two containerds", "scan/locate/containerd.go", "case len(found) > 1:", "case len(found) > 99:"},
	{2, "a containerd that the daemon is not connected to", "scan/process/connected_linux.go", "connected := other == pid", "connected := true"},
	{2, "a container's lease whose container is not in the data root", "scan/space/containerd.go", "== containerd.ContainerOwner && hasContainer(in.Tree, key.Name):", "== containerd.ContainerOwner:"},
	{2, "an image's lease whose image is not in the data root", "scan/space/containerd.go", "== containerd.ImageOwner && hasImage(in, n.Leases[i].Image()):", "== containerd.ImageOwner:"},
	{3, "namespaces that are not Docker's", "scan/containerd/docker.go", `return name == "moby" || `, `return name != "" || `},
	{3, "names below containerd's root that it does not give", "scan/containerd/place.go", "return Place{What: Unknown, Path: top}\n}", "return Place{What: Structure, Path: top}\n}"},
}
