package main

// subvolumes are breaks of what is checked of a snapshot: it has all times of
// what it was made from.
var subvolumes = []mutation{
	{4, "when a subvolume was made", "scan/tree/stat_linux.go", "st.Birth = s.Made", "_ = s.Made"},
	{4, "a subvolume of which that is not told", "scan/backend/btrfs.go", "o.Medium == scan.Subvolume && o.Stamp.Birth.IsZero()", "false"},
	{4, "what is not told to have been made", "scan/age.go", "case o.untold():", "case o.untold() && false:"},
	{4, "a snapshot of what is at rest", "scan/age.go", "newest = made // a copy", "_ = made // a copy"},
	{5, "devices of subvolumes", "scan/source/processes_devices.go", "d.btrfs = d.btrfs || magic == process.Btrfs", "_ = magic"},
}
