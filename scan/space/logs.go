package space

import (
	"encoding/json"

	"github.com/docker-orphans/docker-orphans/scan"
)

// maxHostConfig bounds a container's hostconfig.json.
const maxHostConfig = 16 << 20

// UnlimitedLogs lists the containers whose logs grow without limit: those of
// the driver json-file without a max-size (containers/<id>/hostconfig.json). It
// is a help for people: what cannot be read is not told.
func (l *Ledger) UnlimitedLogs(tree scan.Tree) []*Item {
	var unlimited []*Item
	for _, i := range l.Items {
		if i.Account != Logs {
			continue
		}
		var host struct {
			LogConfig struct {
				Type   string
				Config map[string]string
			}
		}
		data, err := tree.ReadFile(i.Path+"/hostconfig.json", maxHostConfig)
		if err != nil || json.Unmarshal(data, &host) != nil {
			continue
		}
		if host.LogConfig.Type == "json-file" && host.LogConfig.Config["max-size"] == "" {
			unlimited = append(unlimited, i)
		}
	}
	return unlimited
}
