package plugin

import "github.com/docker-orphans/docker-orphans/scan"

// wouldBeLive lists what would make a thing of this type live. It says in
// words what the sources of the contract look for.
func wouldBeLive(t scan.Type) []string {
	layer := []string{
		"a layerdb entry whose cache-id names it",
		"a mount record whose mount-id or init-id names it",
		"a live layer whose lower file or link leads to it",
		"a BuildKit record or snapshot of its id",
		"a mount of it, or of an overlay that has it below, in any mount namespace",
		"a process with a file of it open, or its working directory or root there",
		"a container's config with a path at or below it",
	}
	switch t {
	case scan.TypeLayer:
		return append([]string{"an image or a container of Docker before 1.10 that has its id"}, layer...)
	case scan.TypeImageLayer:
		return append([]string{
			"an image config whose diff_ids lead to it",
			"a layerdb entry or mount record of something live whose parent it is",
		}, layer[1:]...)
	case scan.TypeRWLayer:
		return append([]string{
			"a container's directory with its id and a config.v2.json",
			"a container with its id in the daemon's answer",
			"an image mount of a container that names it",
		}, layer[2:]...)
	case scan.TypeContainer:
		return []string{
			"a config.v2.json in it that can be read",
			"a mount record with its id",
			"a container with its id in the daemon's answer",
			"a mount at or below it, or a process with a file of it open",
		}
	case scan.TypeVolume, scan.TypeBuilder:
		return []string{
			"a container, loaded or not, whose config names it",
			"a container that has it in the daemon's answer",
			"a service or a task of a swarm that names it",
			"a config of a container, a plugin, a service or the machine with a path at or below it",
			"options of another volume with a path at or below it",
			"a mount at or below it, in any mount namespace",
			"a process with a file of it open",
		}
	case scan.TypeDownload:
		return []string{
			"a process with it, or with a file below it, open",
			"having been made after the daemon started",
		}
	case scan.TypeMetadata:
		return []string{
			"an image that the daemon lists, or whose layers are all there",
			"a change since the daemon started",
		}
	case scan.TypeBuild:
		return []string{
			"a daemon from before Docker 20.10 on this data root",
			"a mount at or below it, or a process with a file of it open",
		}
	case scan.TypeBackend:
		return []string{
			"the daemon using this storage driver",
			"a volume whose data is among its layers, as those of Docker before 1.9 are",
			"a mount at or below it, or of one of its layers, in any mount namespace",
			"a process with a file of it open, or a loop device on one",
			"a config of anything that is not its own with a path at or below it",
		}
	case scan.TypeRoot:
		return []string{
			"a volume that it is the data of",
			"a mount at or below it, in any mount namespace",
			"a process with a file of it open, such as its own daemon",
			"a config of anything here with a path at or below it",
		}
	case scan.TypeLink:
		return []string{
			"the layer that it points to",
			"a layer whose link file or lower file names it",
			"a mounted overlay whose options name it",
		}
	}
	return nil
}
