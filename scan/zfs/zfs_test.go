package zfs

import (
	"os"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tool"
)

func TestParse(t *testing.T) {
	got, err := parse("17\t1795302436\t-\ttank\n18\t1795302437\ttank/a@12\ttank/b\n19\t1795302437\t-\ttank/a@12\n")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Dataset{
		{Name: "tank", GUID: 17, Created: time.Unix(1795302436, 0)},
		{Name: "tank/b", Origin: "tank/a@12", GUID: 18, Created: time.Unix(1795302437, 0)},
		{Name: "tank/a@12", GUID: 19, Created: time.Unix(1795302437, 0)},
	})
	for _, bad := range []string{"\n", "1\t2\t-\n", "x\t2\t-\ta\n", "1\tx\t-\ta\n", "1\t0\t-\ta\n", "1\t2\t-\t\n", "1\t2\t\ta\n", "1\t2\t-\ta\tb\n"} {
		_, err := parse(bad)
		assert.Assert(t, err != nil, "%q", bad)
	}
}

// What is asked, and what a failure says.
func TestSystem(t *testing.T) {
	dir := t.TempDir()
	s := System{tool.Tool{Name: "zfs", Packages: Zfs.Packages, Dirs: []string{dir}}}
	_, err := s.At(t.Context(), "/srv")
	assert.ErrorIs(t, err, tool.ErrMissing)
	_, err = s.List(t.Context(), "tank")
	assert.ErrorIs(t, err, tool.ErrMissing)
	put := func(script string) {
		assert.NilError(t, os.WriteFile(dir+"/zfs", []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	put(`echo "tank/docker"; echo "$@" >>` + dir + `/asked`)
	at, err := s.At(t.Context(), "/srv")
	assert.NilError(t, err)
	assert.Equal(t, at, "tank/docker")
	put(`printf '17\t1795302436\t-\ttank\n'; echo "$@" >>` + dir + `/asked`)
	all, err := s.List(t.Context(), "tank")
	assert.NilError(t, err)
	assert.Equal(t, len(all), 1)
	asked, err := os.ReadFile(dir + "/asked")
	assert.NilError(t, err)
	assert.Equal(t, string(asked), "list -H -o name -- /srv\nlist -H -p -r -t filesystem,volume,snapshot -o guid,creation,origin,name -- tank\n")
	for _, script := range []string{"echo cannot open >&2; exit 1", "true", "printf 'a\\nb\\n'"} {
		put(script)
		_, err := s.At(t.Context(), "/srv")
		assert.Assert(t, err != nil, script)
	}
}
