package plugin

import (
	"context"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"

	"github.com/docker-orphans/docker-orphans/scan/space"
)

// askDocker returns what docker system df says, in bytes (GET /system/df, added
// up as docker/cli cli/command/formatter/disk_usage.go does).
func askDocker(ctx context.Context, api client.SystemAPIClient) (map[space.Account]int64, error) {
	du, err := api.DiskUsage(ctx, types.DiskUsageOptions{})
	if err != nil {
		return nil, err
	}
	says := map[space.Account]int64{space.Images: du.LayersSize, space.WritableLayers: 0, space.Volumes: 0, space.BuildCache: 0}
	for _, c := range du.Containers {
		says[space.WritableLayers] += c.SizeRw
	}
	for _, v := range du.Volumes {
		if v.UsageData != nil && v.UsageData.Size > 0 { // -1: not known
			says[space.Volumes] += v.UsageData.Size
		}
	}
	for _, b := range du.BuildCache {
		if !b.Shared {
			says[space.BuildCache] += b.Size
		}
	}
	return says, nil
}
