//go:build linux

package engine

// A Pull is a docker pull that is under way: its first layer is registered,
// its second does not come.
type Pull struct {
	Record string // of the first layer, below the data root
	Layer  string // the first layer

	registry *Registry
	command  *Running
}

// BeginPull starts a pull and waits until its first layer is registered.
func (d *Daemon) BeginPull(t TB) *Pull {
	t.Helper()
	first := Tar(d.Base(t, File{Name: "pulled", Data: "1"})...)
	p := &Pull{registry: NewRegistry(t, first, Tar(File{Name: "second", Data: "2"}))}
	p.command = d.Begin(t, nil, "pull", p.registry.Image)
	Eventually(t, "the first layer of the pull", func() bool {
		return d.Has(d.Chains() + "/" + p.registry.Chain[len("sha256:"):] + "/cache-id")
	})
	p.Record, p.Layer = d.Registered(t, p.registry.Chain)
	return p
}

// Finish lets the second layer come, and returns the image's name.
func (p *Pull) Finish(t TB) string {
	t.Helper()
	p.registry.GoOn()
	p.command.Finish(t)
	return p.registry.Image
}

// KillInPull kills the daemon between the layers of a pull.
func (d *Daemon) KillInPull(t TB) *Pull {
	t.Helper()
	p := d.BeginPull(t)
	d.Kill(t)
	p.command.Fail(t)
	return p
}
