package plugin

import (
	"testing"

	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestCompleteFilter(t *testing.T) {
	keys, directive := completeFilter(nil, nil, "")
	assert.Equal(t, len(keys), len(filterKeys))
	assert.Equal(t, directive, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp)
	for typed, want := range map[string]string{"type=": "type=rw-layer", "verdict=o": "verdict=orphan", "backend=": "backend=overlay2"} {
		values, directive := completeFilter(nil, nil, typed)
		assert.Check(t, is.Contains(values, want))
		assert.Equal(t, directive, cobra.ShellCompDirectiveNoFileComp)
	}
	// Whatever is completed must be taken.
	for _, key := range []string{"type", "verdict", "backend"} {
		for _, value := range valuesOf(key) {
			var f filter
			assert.NilError(t, f.Set(key+"="+value))
		}
	}
	values, _ := completeFilter(nil, nil, "until=")
	assert.Equal(t, len(values), 0)
}

// Completion never says why it knows nothing.
func TestCompleteIDsIsSilent(t *testing.T) {
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	ids, directive := completeIDs(newCLI(t, nil), &globalOptions{dataRoot: t.TempDir() + "/none"})(cmd, nil, "")
	assert.Equal(t, len(ids), 0)
	assert.Equal(t, directive, cobra.ShellCompDirectiveNoFileComp)
	images, directive := completeImages(newCLI(t, nil), &globalOptions{dataRoot: t.TempDir() + "/none"}, &exportOptions{})(cmd, nil, "")
	assert.Equal(t, len(images), 0)
	assert.Equal(t, directive, cobra.ShellCompDirectiveNoFileComp)
}
