package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"unicode/utf8"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"go.etcd.io/bbolt"
)

// Swarm reads the tasks that a swarm gave to this node, with the paths that
// they mount: a task that is between two containers has none that would tell
// (swarmkit agent/storage.go):
//
//	swarm/docker-state.json  the node is in a swarm
//	swarm/worker/tasks.db    v1/tasks/<id>/data: a task
//
// Services without a task here use nothing here; those that a manager knows
// are asked for through the API, as the managers' own log is encrypted.
var Swarm = &scan.Source{
	ID:      scan.SourceSwarm,
	Doc:     "swarm/worker/tasks.db: paths that this node's tasks mount",
	Collect: collectSwarm,
}

const (
	swarmState = "swarm/docker-state.json"
	swarmTasks = "swarm/worker/tasks.db"
)

func collectSwarm(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
	_, stateErr := in.Tree.Stat(swarmState)
	_, tasksErr := in.Tree.Stat(swarmTasks)
	if errors.Is(stateErr, fs.ErrNotExist) && errors.Is(tasksErr, fs.ErrNotExist) {
		return "not in a swarm", nil
	}
	db, err := in.Bolt(ctx, swarmTasks)
	if err != nil {
		return "", doubtTasks(ctx, g, err)
	}
	defer func() { _ = db.Close() }() // of a copy that was only read
	count := 0
	var problems []error
	err = bolt.View(db, func(tx *bbolt.Tx) error {
		version := tx.Bucket([]byte("v1"))
		if version == nil {
			return errors.New("has no bucket v1")
		}
		tasks := version.Bucket([]byte("tasks"))
		if tasks == nil {
			return errors.New("has no bucket v1/tasks")
		}
		return tasks.ForEachBucket(func(id []byte) error {
			count++
			data := tasks.Bucket(id).Get([]byte("data"))
			problems = append(problems, readTask(in, g, scan.Printable(string(id)), data))
			return nil
		})
	})
	if err = errors.Join(append(problems, err)...); err != nil {
		return "", doubtTasks(ctx, g, err)
	}
	compareOpen(in, []string{swarmTasks}, false, func(where string, err error, hint string) {
		g.Doubt(scan.Doubt{Source: scan.SourceSwarm, Where: where, Err: said(err, where), Hint: hint})
	})
	return fmt.Sprintf("%d tasks", count), nil
}

// readTask makes live what a task mounts by its path, and each volume of which
// any text in it is the name.
func readTask(in *scan.Input, g *scan.Graph, id string, data []byte) error {
	var problems []error
	use := func(to scan.Node) { g.Live(to, "swarm task "+id, swarmTasks) }
	ok := eachText(data, maxTaskDepth, func(text string) {
		problems = append(problems, eachPathIn(in, text, use))
		if to, ok := volumeNamed(g, text); ok {
			use(to)
		}
	})
	if !ok || len(data) == 0 {
		problems = append(problems, fmt.Errorf("task %s: has a form that is not known", id))
	}
	return errors.Join(problems...)
}

// doubtTasks doubts everything: a task may mount any path.
func doubtTasks(ctx context.Context, g *scan.Graph, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.Doubt(scan.Doubt{
		Source: scan.SourceSwarm, Where: swarmTasks, Err: said(err, swarmTasks),
		Hint: "which paths below the data root this node's tasks mount is not known; `docker swarm leave` drops them",
	})
	return err
}

// maxTaskDepth bounds how deep messages are looked into: a task's mounts are
// in the fourth.
const maxTaskDepth = 16

// eachText calls yield for every text in a protobuf message and in those
// within it. What is a text and what a message is not written there, so each
// field that may be either is taken as both. It reports false if the bytes are
// no message.
func eachText(data []byte, depth int, yield func(string)) bool {
	for len(data) > 0 {
		field, rest, ok := nextField(data)
		if !ok {
			return false
		}
		if utf8.Valid(field) {
			yield(string(field))
		}
		if depth > 0 {
			eachText(field, depth-1, yield)
		}
		data = rest
	}
	return true
}

// nextField returns the content of a message's first field, none if it is a
// number, and what follows. It is not ok if the bytes are no message.
func nextField(data []byte) (field, rest []byte, ok bool) {
	tag, n := binary.Uvarint(data)
	if n <= 0 || tag>>3 == 0 {
		return nil, nil, false
	}
	data = data[n:]
	size := uint64(0)
	switch tag & 7 {
	case 0: // a number
		_, n = binary.Uvarint(data)
		return nil, data[max(n, 0):], n > 0
	case 1:
		size = 8
	case 5:
		size = 4
	case 2: // bytes, a text or a message
		size, n = binary.Uvarint(data)
		if n <= 0 {
			return nil, nil, false
		}
		data = data[n:]
	default: // groups, which nobody writes any more
		return nil, nil, false
	}
	if size > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:size], data[size:], true
}
