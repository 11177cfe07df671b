package zfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/tool"
)

// A State is what there is to know of a dataset before it is touched.
type State struct {
	Dataset
	Mounted    bool   // here; other mount namespaces are not asked
	Mountpoint string // "legacy": it is mounted by whoever wants to, as Docker does
	Snapshots  []Snapshot
	Others     []string // what else lies directly in it: datasets, bookmarks
}

// A Snapshot is one of a dataset's.
type Snapshot struct {
	Dataset
	Clones []string // the datasets that began as it
	Holds  int      // how often somebody has said that it must stay
	Leaves bool     // it goes with the last of its clones
}

const stateColumns = "guid,creation,origin,mounted,mountpoint,clones,userrefs,defer_destroy,name"

// State tells the state of one dataset. That there is none of the name is an
// error that satisfies errors.Is(err, fs.ErrNotExist).
func (s System) State(ctx context.Context, name string) (*State, error) {
	out, err := s.Tool.Run(ctx, "list", "-H", "-p", "-r", "-d", "1", "-t", "all", "-o", stateColumns, "--", name)
	var failed *tool.Error
	if errors.As(err, &failed) && strings.HasSuffix(failed.Said, "'"+name+"': dataset does not exist") {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return parseState(string(out), name)
}

// parseState reads the lines of zfs list -H -p of a dataset and what is
// directly in it.
func parseState(out, name string) (*State, error) {
	var state *State
	var snapshots []Snapshot
	var others []string
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 9 {
			return nil, fmt.Errorf("zfs list: %q is no dataset", line)
		}
		all, err := parse(strings.Join([]string{fields[0], fields[1], fields[2], fields[8]}, "\t"))
		if err != nil {
			return nil, err
		}
		d := all[0]
		rest, inside := strings.CutPrefix(d.Name, name)
		switch {
		case !inside:
			return nil, fmt.Errorf("zfs list: %s is not in %s", d.Name, name)
		case rest == "":
			state = &State{Dataset: d, Mounted: fields[3] != "no", Mountpoint: fields[4]}
		case strings.HasPrefix(rest, "@"):
			s := Snapshot{Dataset: d, Leaves: fields[7] == "on"}
			if fields[5] != "" && fields[5] != "-" {
				s.Clones = strings.Split(fields[5], ",")
			}
			if s.Holds, err = strconv.Atoi(fields[6]); err != nil {
				return nil, fmt.Errorf("zfs list: %s: userrefs %q", d.Name, fields[6])
			}
			snapshots = append(snapshots, s)
		default:
			others = append(others, d.Name)
		}
	}
	if state == nil {
		return nil, fmt.Errorf("zfs list: does not list %s", name)
	}
	state.Snapshots, state.Others = snapshots, others
	return state, nil
}

// IsDockers reports whether a snapshot of a layer has a name as Docker gives
// it: a number of nanoseconds (moby daemon/graphdriver/zfs, cloneFilesystem).
func IsDockers(snapshot string) bool {
	return snapshot != "" && len(snapshot) <= 9 && strings.Trim(snapshot, "0123456789") == ""
}
