//go:build e2e && linux

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune/rescue"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/tests/engine"
)

func TestRescue(t *testing.T) {
	at(t, everywhere, "chain", rescueChain)
	at(t, everywhere, "written", rescueWritten)
}

// request asks to rescue what a path below the data root is part of.
func (a *adopter) request(t *testing.T, below string) rescue.Request {
	t.Helper()
	g := scan.Scan(t.Context(), a.in, source.All)
	findings, err := scan.Judge(t.Context(), a.in, g, scan.Policy{Now: time.Now(), Grace: scan.MinGrace})
	assert.NilError(t, err)
	i := slices.IndexFunc(findings, func(f scan.Finding) bool { return slices.Contains(f.Paths(), below) })
	assert.Assert(t, i >= 0, "%s: in no finding", below)
	return rescue.Request{Daemon: a.api, Tree: a.in.Tree, Host: &g.Host, Finding: &findings[i]}
}

// A chain whose image is lost gets a name, and runs with the settings of the
// image that it lies on.
func rescueChain(t *testing.T, h *host) {
	before := engine.Snapshot(t, h.Daemon)
	a := newAdopter(t, h)
	// app:1 has a label of its own.
	image := h.Build(t, "lost:1", "FROM app:1\nCOPY l /l\n", engine.File{Name: "l", Data: "l"})
	chains := a.layersOf(t, image)
	a.lose(t, image)
	a = newAdopter(t, h)
	record, _ := h.Registered(t, chains[0])
	r := a.request(t, record)
	assert.Equal(t, r.Finding.Verdict, scan.Orphan, r.Finding.Reason)

	rescued, err := rescue.Rescue(t.Context(), r)
	assert.NilError(t, err)
	assert.Equal(t, rescued.Tag, "orphans/rescued:"+filepath.Base(record)[:12])
	assert.DeepEqual(t, a.layersOf(t, rescued.Tag), chains)
	assert.Equal(t, h.Docker(t, "image", "inspect", "--format", "{{.Config.Labels.protected}}", rescued.Tag), "true")
	assert.Equal(t, h.Docker(t, "run", "--rm", "--network=none", rescued.Tag, "cat", "/l"), "l")

	// A name that there is is never moved.
	_, err = rescue.Rescue(t.Context(), r)
	assert.ErrorIs(t, err, rescue.ErrTaken)
	r.Tag = "base:1"
	_, err = rescue.Rescue(t.Context(), r)
	assert.ErrorIs(t, err, rescue.ErrTaken)

	h.Docker(t, "rmi", rescued.Tag)
	assert.Assert(t, !h.Has(record), "the image was the last that needed it")
	engine.Check(t, h.Daemon, before)
}

// What a container wrote, with everything that a layer can hold.
func rescueWritten(t *testing.T, h *host) {
	h.Build(t, "rich:1", "FROM base:1\nCOPY d /d\nCOPY e /e\nENV A=b\n",
		engine.File{Name: "d/a", Data: "a"}, engine.File{Name: "d/b", Data: "b"},
		engine.File{Name: "e/x", Data: "x"}, engine.File{Name: "e/y", Data: "y"}, engine.File{Name: "e/z/deep", Data: "z"})
	lost := h.Down(t, "--cap-add=MKNOD", "rich:1", "sh", "-c", `set -e
		b=busybox
		$b rm -r /d; mkdir /d; echo new >/d/c
		$b rm /e/x; $b rm -r /e/z; echo more >>/e/y
		echo 1 >/one; $b ln /one /two; $b ln -s ../../../../etc/shadow /sym; $b ln -s nowhere /dangling
		$b mknod /null c 1 3; $b mknod /block b 7 99; $b mkfifo /fifo
		mkdir /empty; $b chmod 1777 /empty; echo s >/suid; $b chown 123:456 /suid; $b chmod 4751 /suid
		$b truncate -s 3000000 /sparse; echo end >>/sparse
		echo odd >"/$(printf 'odd\001\377 name')"; echo t >/time; $b touch -d '2001-02-03 04:05:06' /time
		$b chmod 751 /
		mkdir -p /long/$(head -c 200 /dev/zero | $b tr '\0' x)/$(head -c 200 /dev/zero | $b tr '\0' y); echo attr >/attr`)
	writable, _ := h.ContainerLayers(t, lost)
	content := h.Path(h.Content(writable))
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service=ep
	assert.NilError(t, unix.Setxattr(content+"/attr", "user.mime", []byte("text\x00plain"), 0))
	assert.NilError(t, unix.Setxattr(content+"/attr", "security.capability", []byte(capability), 0))
	before := view(t, h, lost)
	for _, name := range []string{"d/a", "e/x", "e/z"} {
		_, there := before[name]
		assert.Assert(t, !there, name)
	}
	h.stopped(t, func() { h.Lose(t, "containers/"+lost) })

	a := newAdopter(t, h)
	disk := stamps(t, content)
	r := a.request(t, h.MountRecord(lost))
	r.Tag = "mine:back"
	rescued, err := rescue.Rescue(t.Context(), r)
	assert.NilError(t, err)
	assert.Equal(t, len(rescued.LeftOut), 0, "%v", rescued.LeftOut)
	assert.DeepEqual(t, stamps(t, content), disk)
	made := h.Create(t, "mine:back", "true")
	assert.DeepEqual(t, view(t, h, made), before)
	assert.Equal(t, h.Docker(t, "run", "--rm", "--network=none", "mine:back", "sh", "-c", "echo $A; cat /e/y"), "b\nymore")

	_, layer := h.Registered(t, a.layersOf(t, "mine:back")[0])
	file := h.Path(h.Content(layer) + "/attr")
	for name, want := range map[string]string{"user.mime": "text\x00plain", "security.capability": capability} {
		value := make([]byte, 100)
		n, err := unix.Getxattr(file, name, value)
		assert.NilError(t, err)
		assert.Equal(t, string(value[:n]), want)
	}
}

// view is what a container sees: each file by its name, but for times of
// directories in which the daemon makes files of its own.
func view(t *testing.T, h *host, container string) map[string]string {
	t.Helper()
	data, err := h.Command(t.Context(), "export", container).Output()
	assert.NilError(t, err)
	says, group := map[string]string{}, map[string]string{}
	for in := tar.NewReader(bytes.NewReader(data)); ; {
		f, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		name := path.Clean(f.Name)
		content, err := io.ReadAll(in)
		assert.NilError(t, err)
		if f.Typeflag == tar.TypeLink {
			says[name] = says[path.Clean(f.Linkname)]
			group[path.Clean(f.Linkname)] += " " + name
			continue
		}
		when := f.ModTime.Unix()
		if slices.Contains([]string{".", "dev", "etc", "proc", "sys", ".dockerenv"}, strings.Split(name, "/")[0]) {
			when = 0
		}
		says[name] = fmt.Sprintf("%c %o %d:%d %d %s %d:%d %x %x", f.Typeflag, f.Mode, f.Uid, f.Gid, when, f.Linkname,
			f.Devmajor, f.Devminor, sha256.Sum256(content), f.PAXRecords["SCHILY.xattr.security.capability"])
	}
	for first, others := range group {
		all := strings.Fields(first + others)
		slices.Sort(all)
		for _, name := range all {
			says[name] += fmt.Sprint(" links ", all)
		}
	}
	return says
}
