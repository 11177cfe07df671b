package space

import (
	"cmp"
	"encoding/json"

	"github.com/docker-orphans/docker-orphans/scan"
)

// maxHostConfig bounds a container's hostconfig.json.
const maxHostConfig = 16 << 20

// NoLimit is the limit of a log that grows for ever.
const NoLimit = "no limit"

// LogLimit says how large a container's log gets: "limit 10m × 3", which is
// max-size by max-file, or [NoLimit]; "" where that is not known, or the log
// goes elsewhere. It is a help for people (containers/<id>/hostconfig.json; moby
// daemon/logger/jsonfilelog, local).
func LogLimit(tree scan.Tree, i *Item) string {
	var host struct {
		LogConfig struct {
			Type   string
			Config map[string]string
		}
	}
	data, err := tree.ReadFile(i.Path+"/hostconfig.json", maxHostConfig)
	if err != nil || json.Unmarshal(data, &host) != nil {
		return ""
	}
	size, files := host.LogConfig.Config["max-size"], host.LogConfig.Config["max-file"]
	switch host.LogConfig.Type {
	case "json-file":
		files = cmp.Or(files, "1")
	case "local":
		size, files = cmp.Or(size, "20m"), cmp.Or(files, "5")
	default:
		return ""
	}
	if size == "" || size == "-1" {
		return NoLimit
	}
	return scan.Printable("limit " + size + " × " + files)
}

// UnlimitedLogs lists the containers whose logs grow without limit.
func (l *Ledger) UnlimitedLogs(tree scan.Tree) []*Item {
	var unlimited []*Item
	for _, i := range l.Items {
		if i.Account == Logs && LogLimit(tree, i) == NoLimit {
			unlimited = append(unlimited, i)
		}
	}
	return unlimited
}
