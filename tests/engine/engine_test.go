//go:build linux

package engine

import (
	"testing"
	"time"
)

func TestX(t *testing.T) {
	e, err := Debian(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, drv := range []string{"overlay2", "vfs"} {
		t.Run(drv, func(t *testing.T) {
			t0 := time.Now()
			d := Start(t, e, Options{Driver: drv})
			t.Log(time.Since(t0), "started")
			d.Import(t, "base:1", d.Base(t)...)
			t.Log(time.Since(t0), "base")
			d.Build(t, "app:1", "FROM base:1\nCOPY a /a\nRUN echo b >/b\n", File{Name: "a", Data: "a"})
			t.Log(time.Since(t0), "app")
			d.BuildKit(t, "bk:1", "FROM base:1\nCOPY a /a\nRUN head -c 999 /dev/urandom >/b\n", File{Name: "a", Data: "bk"})
			t.Log(time.Since(t0), "bk")
			d.Load(t, Archive("loaded:1", Tar(d.Base(t, File{Name: "l", Data: "1"})...), Tar(File{Name: "m", Data: "2"})))
			d.Load(t, Archive("", Tar(d.Base(t, File{Name: "l", Data: "x"})...), Tar(File{Name: "m", Data: "2"})))
			t.Log(time.Since(t0), "load")
			d.Up(t, "--name=up", "--volume=named:/v", "--volume=/anon", "app:1", "sh", "-c", "echo v >/v/v; echo a >/anon/a; echo hi >/hi; sleep 1000")
			d.Down(t, "--name=down", "bk:1", "sh", "-c", "echo hi >/hi")
			d.Create(t, "--name=made", "loaded:1", "true")
			t.Log(time.Since(t0), "containers")
			s := Snapshot(t, d)
			t.Log(time.Since(t0), "snapshot")
			Check(t, d, s)
			t.Log(time.Since(t0), "check")
			live := Truth(t, d)
			for k, v := range live {
				t.Log(k, v)
			}
			for _, l := range d.Layers() {
				if live[l] == "" {
					t.Log(time.Since(t0), "not live", l)
				}
			}
			i := d.KillInImport(t, 20<<20)
			t.Log(i.Layer, i.WriteSet, d.Has(i.Layer), d.Has(i.WriteSet), d.List("tmp"))
			d.Start(t)
			t.Log(time.Since(t0), "restart")
			Check(t, d, s)
			t.Log(time.Since(t0), "check", d.Has(i.Layer), d.Has(i.WriteSet), d.List("tmp"))
			l := d.KillInLoad(t, 1<<20)
			t.Logf("%+v", l)
			d.Start(t)
			t.Logf("%v", d.List("tmp"))
			for _, x := range []string{l.Chain, l.ChainLayer, l.Layer, l.WriteSet, l.Temp} {
				t.Log(x, d.Has(x))
			}
			Check(t, d, s)
			r, ly := d.KillInRemove(t)
			t.Log(r, ly, d.Has(ly), d.List(r))
			d.Start(t)
			t.Log(r, ly, d.Has(ly), d.List(r))
			Check(t, d, s)
			id := d.Docker(t, "ps", "-aqf", "name=down", "--no-trunc")
			w, in := d.ContainerLayers(t, id)
			d.Stop(t)
			d.Lose(t, "containers/"+id)
			d.Start(t)
			t.Log(w, in, d.Has(w), d.Has(in), d.Has(d.MountRecord(id)))
			t.Log(d.Docker(t, "system", "prune", "-af", "--volumes"))
			t.Log(d.Docker(t, "system", "df"))
			for _, l := range d.Layers() {
				t.Log(time.Since(t0), "layer", l)
			}
		})
	}
}
