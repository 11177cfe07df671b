package driver

import (
	"slices"
	"strings"
)

// Next says in words which driver a daemon chooses when it starts, once the
// trees that are not empty have changed: which there are then, what tells it
// its driver ("" if nothing does), and the one that it uses now ("" if that is
// not known). Like the daemon it does not count vfs.
func Next(prior []string, told, uses string) string {
	prior = slices.DeleteFunc(slices.Clone(prior), func(name string) bool { return name == "vfs" })
	switch {
	case told != "" && uses != "":
		return "uses " + uses + ", as " + told + " says"
	case told != "":
		return "uses what " + told + " says"
	case len(prior) == 0:
		return "finds no layers of any storage driver but vfs, and takes the first that works here, or from 29 on keeps images in containerd: \"storage-driver\" in /etc/docker/daemon.json tells it which"
	case len(prior) > 1:
		return "finds layers of " + strings.Join(prior, " and ") + ", and does not start unless \"storage-driver\" in /etc/docker/daemon.json tells it which"
	case uses != "" && uses != prior[0]:
		return "chooses " + prior[0] + ", and not " + uses + ", which it uses now: \"storage-driver\" in /etc/docker/daemon.json tells it otherwise"
	}
	return "chooses " + prior[0] + ", whose layers are the only ones"
}
