package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/locate"
)

// readContainerd finds the root of the daemon's containerd and reads it. That it
// is not found or not read is said with what is shown. It judges nothing.
func (l *look) readContainerd(ctx context.Context) error {
	found, err := locate.FindContainerd(l.in)
	if err != nil {
		l.containerdErr = err
		return ctx.Err()
	}
	closeRoot := l.close
	l.close = func() error { return errors.Join(found.Close(), closeRoot()) }
	store, err := containerd.Read(ctx, found)
	if err != nil {
		return err
	}
	l.containerd = &containerd.Root{Tree: found, Path: found.Path(), Below: found.Below, Store: store, Links: store.Links()}
	return nil
}

// containerdTrouble says what is not known of containerd, a line each.
func (l *look) containerdTrouble() []string {
	if l.containerdErr != nil {
		return []string{"containerd's root could not be found: " + scan.Printable(l.containerdErr.Error())}
	}
	var lines []string
	if l.containerd != nil {
		for _, p := range l.containerd.Problems {
			why := strings.TrimPrefix(p.Err.Error(), p.Where+": ")
			lines = append(lines, fmt.Sprintf("Whose what is in containerd cannot be told: %s/%s", scan.Printable(l.containerd.Path), scan.Printable(p.Where+": "+why)))
		}
	}
	return lines
}
