package scan

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestOfPlugin(t *testing.T) {
	for name, want := range map[string]bool{
		"plugins/1-removing":     true,
		"plugins/1/rootfs-old":   true,
		"plugins/1/.tmp-config1": false,
		"plugins/tmp/.rootfs1":   false,
		"tmp/rootfs-old":         false,
	} {
		f := Finding{Type: TypeDownload, Parts: []*Object{{Node: Node{Kind: KindDownload, Name: name}}}}
		assert.Equal(t, f.OfPlugin(), want, name)
	}
}
