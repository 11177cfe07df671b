package scan

import (
	"testing"

	"gotest.tools/v3/assert"
)

// What is known of an image is its name, in each form in which people write it.
func TestKeepByImage(t *testing.T) {
	for was, want := range map[string][]string{
		"container 3f9c1b2d4e5f of app:1":    {"app:1", "app"},
		"build step of host:5000/app":        {"host:5000/app"},
		"layer of docker.io/library/app":     {"docker.io/library/app", "library/app", "app"},
		"layer of docker.io/team/app":        {"docker.io/team/app", "team/app", "team/app"},
		"image host:5000/app:2":              {"host:5000/app:2", "host:5000/app"},
		"image layer whose removal was late": nil,
		"layer":                              nil,
	} {
		o := Object{Node: Node{Kind: KindChain, Name: "image/overlay2/layerdb/sha256/1"}}
		o.Annotate().Was = was
		assert.DeepEqual(t, o.imageNames(), want)
	}
}
