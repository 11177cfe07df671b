package mount

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/process"
)

// Read reads the mount table of every thread below proc, those that share
// namespace and root once, and of every namespace that a mount pins; see
// [Survey.ReadPinned]. It calls each for every mount. The process first,
// if there is one, is read before the others, so that what many see is told of
// it. What cannot be read of single threads is in the survey; an error means
// that there is no process table, that no mount table could be read, or that
// the context is done.
//
// Processes start and end meanwhile: one may enter a pinned namespace behind
// the reader's back, the one through which a pin was found may end before it is
// opened, and another may be half way into its new root. One reading without
// a gap is enough, so it reads again while there is any.
func Read(ctx context.Context, proc string, first int, each func(*View, *mountinfo.Info)) (*Survey, error) {
	const tries = 3
	var survey *Survey
	for range tries {
		var err error
		if survey, err = readOnce(ctx, proc, first, each); err != nil {
			return nil, err
		}
		if len(survey.Problems) == 0 && len(survey.Unseen()) == 0 {
			break
		}
	}
	return survey, nil
}

func readOnce(ctx context.Context, proc string, first int, each func(*View, *mountinfo.Info)) (*Survey, error) {
	r := &reader{
		proc: proc, first: first, each: each, file: os.ReadFile,
		done: map[string]bool{}, failed: map[string]bool{}, whole: map[string]bool{}, jailed: map[string]View{},
		survey: &Survey{Namespaces: map[string]bool{}},
	}
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	if err := r.survey.ReadPinned(ctx, proc, each); err != nil {
		return nil, err
	}
	r.jails()
	if len(r.done) == 0 && len(r.survey.Problems) == 0 {
		return nil, fmt.Errorf("%s: no process has a mount table", proc)
	}
	return r.survey, nil
}

// PlacesOf returns where a directory lies, by the caller's own mount table. A
// process table that does not list the caller gives none.
func PlacesOf(proc, dir string) (Places, error) {
	table, err := Table(proc + "/self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return places(table, dir), nil
}

// Table reads one mount table.
func Table(file string) ([]*mountinfo.Info, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return mountinfo.GetMountsFromReader(bytes.NewReader(data), nil)
}

type reader struct {
	proc   string
	first  int
	each   func(*View, *mountinfo.Info)
	file   func(name string) ([]byte, error)
	done   map[string]bool // views by namespace and root, or by content
	failed map[string]bool // the same, those that are a problem already
	whole  map[string]bool // namespaces that some view shows from the top
	jailed map[string]View // namespaces of views that show only what is below some root
	survey *Survey
}

// all visits every thread once.
func (r *reader) all(ctx context.Context) error {
	pids, err := process.List(r.proc)
	if err != nil {
		return err
	}
	slices.SortStableFunc(pids, func(a, b int) int { return rank(a, r.first) - rank(b, r.first) })
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.process(pid)
	}
	return nil
}

func rank(pid, first int) int {
	if pid == first {
		return 0
	}
	return 1
}

// process visits every thread of a process: a thread can have a namespace of
// its own, and the daemon's do while they unpack layers (Docker 24 on).
func (r *reader) process(pid int) {
	dir := r.proc + "/" + strconv.Itoa(pid)
	r.thread(pid, dir)
	tids, err := process.Threads(r.proc, pid)
	if err != nil && !process.Gone(err) {
		r.problem(dir, View{PID: pid, File: dir + "/task"}, err)
	}
	for _, tid := range tids {
		if tid != pid {
			r.thread(pid, dir+"/task/"+strconv.Itoa(tid))
		}
	}
}

// thread reads a thread's view unless it is known.
func (r *reader) thread(pid int, dir string) {
	namespace, err := os.Readlink(dir + "/ns/mnt")
	root, rootErr := os.Readlink(dir + "/root")
	key := namespace + " " + root
	named := err == nil && rootErr == nil
	if named && r.done[key] {
		return
	}
	v := View{PID: pid, File: dir + "/mountinfo", Namespace: namespace}
	data, err := r.file(v.File)
	if !named {
		// Anybody may read the table itself, and its content tells the
		// views apart.
		sum := sha256.Sum256(data)
		key = "content " + string(sum[:])
		if r.done[key] {
			return
		}
	}
	v.Name = process.Name(r.proc, pid)
	if err == nil {
		err = r.read(&v, data)
	}
	switch {
	case over(err):
		return // another thread of the view will tell, if there is any
	case err != nil:
		r.problem(key, v, err)
		return
	}
	r.done[key] = true
	if namespace == "" {
		r.survey.Unnamed++
		return
	}
	r.survey.Namespaces[namespace] = true
	if named && root == "/" {
		r.whole[namespace] = true
	} else if _, ok := r.jailed[namespace]; named && !ok {
		r.jailed[namespace] = v
	}
}

// jails makes problems of namespaces whose every process has changed its root:
// a table shows only what its thread's root leads to, and there may be mounts
// beside that. The link of a root that was never changed reads "/".
func (r *reader) jails() {
	for _, namespace := range slices.Sorted(maps.Keys(r.jailed)) {
		if v := r.jailed[namespace]; !r.whole[namespace] {
			r.problem(namespace, v, errJail)
		}
	}
}

var errJail = errors.New("it sees only what is below its own root, and no other process sees the rest of its namespace")

// read passes on a view's mounts. It reads the table until two readings in a
// row agree, and what stood in any of them counts: kernels before 5.8 skip a
// mount when one that is listed before it goes away between two pieces.
func (r *reader) read(v *View, data []byte) error {
	const tries = 10
	before := r.survey.Mounts
	for range tries {
		r.survey.Mounts = before
		if err := r.parse(v, data); err != nil {
			return err
		}
		again, err := r.file(v.File)
		if err != nil {
			return err
		}
		if bytes.Equal(again, data) {
			return nil
		}
		data = again
	}
	return fmt.Errorf("changed %d times while it was read", tries)
}

// over reports that a thread ended. Until it is waited for, its table is
// there and cannot be read: it has no namespace any more.
func over(err error) bool { return process.Gone(err) || errors.Is(err, unix.EINVAL) }

// parse passes on the mounts of one reading, without keeping them.
func (r *reader) parse(v *View, data []byte) error {
	before := len(r.survey.Pins)
	var remote []string
	_, err := mountinfo.GetMountsFromReader(bytes.NewReader(data), func(m *mountinfo.Info) (skip, stop bool) {
		r.survey.Mounts++
		if namespace, ok := pinned(m); ok {
			r.survey.Pins = append(r.survey.Pins, Pin{Namespace: namespace, Path: m.Mountpoint, View: *v})
		}
		if Remote(m) {
			remote = append(remote, m.Mountpoint)
		}
		r.each(v, m)
		return true, false
	})
	for i := range r.survey.Pins[before:] {
		p := &r.survey.Pins[before+i]
		if slices.ContainsFunc(remote, func(point string) bool { _, below := within(p.Path, point); return below }) {
			p.Err = errRemote
		}
	}
	return err
}

// errRemote keeps from opening a pin: while its file system does not answer,
// whoever opens it hangs.
var errRemote = errors.New("it lies on a file system that asks another machine or another process")

// problem records why a view could not be read, once for each view.
func (r *reader) problem(key string, v View, err error) {
	if r.failed[key] {
		return
	}
	r.failed[key] = true
	r.survey.Problems = append(r.survey.Problems, Problem{v, err})
}
