package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// Input opens a case's data root for scanning, on a machine on which nothing
// else runs.
func Input(t testing.TB, c *Case) *scan.Input {
	t.Helper()
	disk, err := tree.Open(c.Dir)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = disk.Close() })
	if c.proc == "" {
		c.proc = t.TempDir()
		assert.NilError(t, QuietProc(c.proc))
	}
	in := &scan.Input{
		Tree: disk, DataRoot: disk.Path(), Machine: c.machine, Proc: c.proc, Now: time.Now, Host: c.Host,
		Backends: []*scan.Backend{backend.Named(c.Driver)},
		Bolt:     func(ctx context.Context, name string) (*bbolt.DB, error) { return bolt.Copy(ctx, disk, name) },
	}
	if c.subvolumes != nil {
		in.Tree = &snapshots{Tree: disk, made: c.subvolumes}
	}
	in.Host.DataRoot, in.Host.Now = in.DataRoot, time.Now()
	if c.Driver == "zfs" {
		in.Pools = &c.Pools
	}
	if c.Mapper != nil {
		in.Mapper = c.Mapper
	}
	if c.Daemon != nil {
		in.Daemon = c.Daemon
	}
	return in
}

// Judge scans and judges a case's data root.
func Judge(t testing.TB, c *Case) (*scan.Graph, []scan.Finding) {
	t.Helper()
	return JudgeInput(t, Input(t, c), c.Policy)
}

// Tapped is Input with a hook in front of every read of the data root, those
// of databases too.
func Tapped(t testing.TB, c *Case, before func(Read) error) *scan.Input {
	t.Helper()
	in := Input(t, c)
	tap := &Tap{Tree: in.Tree, Before: before}
	in.Tree = tap
	in.Bolt = func(ctx context.Context, name string) (*bbolt.DB, error) { return bolt.Copy(ctx, tap, name) }
	return in
}

// JudgeInput scans and judges.
func JudgeInput(t testing.TB, in *scan.Input, p scan.Policy) (*scan.Graph, []scan.Finding) {
	t.Helper()
	g := scan.Scan(t.Context(), in, source.All)
	findings, err := scan.Judge(t.Context(), in, g, p)
	assert.NilError(t, err)
	return g, findings
}

// snapshots is a tree on which some directories are tops of subvolumes: born
// when those were made, whatever else their times say.
type snapshots struct {
	scan.Tree
	made map[string]time.Time // by path; zero: the kernel does not tell
}

// Stat implements [scan.Tree].
func (s *snapshots) Stat(name string) (scan.Info, error) {
	info, err := s.Tree.Stat(name)
	if made, ok := s.made[name]; ok && err == nil {
		info.Subvolume = info.Stamp.Inode
		info.Stamp.Birth, info.Stamp.Inode = made, 256
	}
	return info, err
}
