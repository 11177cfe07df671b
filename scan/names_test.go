package scan

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// Only names that Docker gives are recognised (rule 3).
func TestNames(t *testing.T) {
	id := strings.Repeat("0a", 32)
	forms := map[string]func(string) bool{
		"id": IsID, "init": IsInitID, "build": IsBuildID, "link": IsLinkName, "removing": IsRemoving,
	}
	for name, want := range map[string]string{
		id: "id", id + "-init": "init", "k5z0abcdefghijklmnopqrstu": "build", "ABCDEFGHIJKLMNOPQRSTUVWX27": "link",
		id + "-0123abc-removing": "removing", id + "-z9-removing": "removing",
		"": "", id[1:]: "", id + "0": "", strings.ToUpper(id): "", id[:63] + "g": "", id[:63] + "\n": "",
		id + "-init-init": "", "-init": "", id[1:] + "-init": "", id + "\n-init": "", id + "-INIT": "",
		"K5z0abcdefghijklmnopqrstu": "", "k5z0abcdefghijklmnopqrst": "", "k5z0abcdefghijklmnopqrst\n": "",
		"ABCDEFGHIJKLMNOPQRSTUVWX28": "", "ABCDEFGHIJKLMNOPQRSTUVWX2": "", "abcdefghijklmnopqrstuvwx27": "",
		id + "-removing": "", id + "--removing": "", id + "-a-b-removing": "", id + "-A-removing": "", id + "-a-removing ": "",
		id + "\xff": "", "\xff" + id[1:]: "",
	} {
		for form, is := range forms {
			assert.Equal(t, is(name), form == want, "%q as %s", name, form)
		}
		assert.Equal(t, IsLayerID(name), want == "id" || want == "init" || want == "build", "%q", name)
	}
}
