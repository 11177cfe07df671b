package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli/config"

	"github.com/docker-orphans/docker-orphans/scan"
)

// buildxConfig is where this user's buildx keeps what it knows (buildx
// util/confutil, ConfigDir).
func buildxConfig() string {
	if dir := os.Getenv("BUILDX_CONFIG"); dir != "" {
		return dir
	}
	return filepath.Join(config.Dir(), "buildx")
}

// builderInstance is the file by which buildx knows the builder that a volume is
// the cache of (instances/<builder>, with its nodes' names); "" if there is
// none. That is a hint and no proof: another user or another machine may have the
// builder.
func builderInstance(dir, volume string) string {
	if !scan.IsBuilderVolume(volume) {
		return ""
	}
	files, _ := filepath.Glob(filepath.Join(dir, "instances", "*")) // the pattern is well-formed
	for _, file := range files {
		var instance struct{ Nodes []struct{ Name string } }
		data, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(data, &instance) != nil {
			continue
		}
		if slices.ContainsFunc(instance.Nodes, func(n struct{ Name string }) bool { return "buildx_buildkit_"+n.Name+"_state" == volume }) {
			return file
		}
	}
	return ""
}
