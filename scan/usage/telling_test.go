package usage

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestTells(t *testing.T) {
	for name, want := range map[string]bool{
		"PG_VERSION": true, "ibdata1": true, ".git": true, "dump.rdb": true, "wallet.dat": true, "wallet": true,
		"id_rsa": true, "id_ed25519": true, "keystore": true,
		"a.sqlite": true, "a.b.sqlite3": true, "app.db-wal": true, "x.kdbx": true, "x.jks": true, "x.p12": true,
		"pg_version": false, "PG_VERSION.old": false, ".gitignore": false, "id_rsa.pub": false, "sqlite": false,
		"a.sqlite.gz": false, "db-wal": false, "": false, ".": false, "file": false, "ibdata10": false,
	} {
		assert.Check(t, tells([]byte(name)) == want, "%q", name)
	}
}

func TestFromPackage(t *testing.T) {
	const layer = "overlay2/abc"
	for _, c := range []struct {
		top, path string
		want      bool
	}{
		{layer, layer + "/diff/usr/lib/python3/test.sqlite", true},
		{layer, layer + "/diff/usr/share/x/y/keystore", true},
		{layer, layer + "/diff/lib/x.p12", true},
		{layer, layer + "/diff/var/lib/rpm/rpmdb.sqlite", true},
		{layer, layer + "/diff/var/cache/dnf/x.sqlite", true},
		{layer, layer + "/diff/root/.cache/x.sqlite", true},
		{"overlay/abc", "overlay/abc/root/usr/lib/x.sqlite", true},
		{"overlay/abc", "overlay/abc/upper/root/.cache/x.sqlite", true},
		{"vfs/dir/abc", "vfs/dir/abc/root/.cache/x.sqlite", true},
		{"vfs/dir/abc", "vfs/dir/abc/usr/lib/x.sqlite", true},
		{"snapshots/7", "snapshots/7/fs/usr/lib/x.sqlite", true},

		{"overlay/abc", "overlay/abc/upper/opt/app/.git", false},
		{"vfs/dir/abc", "vfs/dir/abc/root/usr/lib/x.sqlite", false},
		{layer, layer + "/diff/var/lib/postgresql/PG_VERSION", false},
		{layer, layer + "/diff/usr/src/app/data.sqlite", false},
		{layer, layer + "/diff/usr/local/x.sqlite", false},
		{layer, layer + "/diff/opt/app/.git", false},
		{layer, layer + "/diff/usr/library/x.sqlite", false},
		{layer, layer + "/diff/home/x/usr/lib/x.sqlite", false},
		{"volumes/v", "volumes/v/_data/lib/x.sqlite", false},
		{"volumes/v/_data", "volumes/v/_data/lib/x.sqlite", false},
		{"volumes", "volumes/lib/x.sqlite", false},
	} {
		assert.Check(t, fromPackage(c.top, c.path) == c.want, c.path)
	}
}
