package hold

import (
	"context"
	"errors"
	"strings"
)

// A Hold keeps daemons away from a data root until it is released.
type Hold struct {
	machine Machine
	docker  bool // it is the one that Docker uses
	closers []func() error
}

// An Error says why a data root cannot be held, and what to do about it.
type Error struct {
	text string
	hint string
}

func (e *Error) Error() string { return e.text }

// Hint is what a person can do about it.
func (e *Error) Hint() string { return e.hint }

// Check refuses a data root on which somebody may start Docker in the middle.
func (m Machine) Check(ctx context.Context, root string) error {
	_, _, err := m.check(ctx, root)
	return err
}

func (m Machine) check(ctx context.Context, root string) (s *service, docker bool, err error) {
	s, err = m.service(ctx)
	if err != nil {
		return nil, false, err
	}
	docker = m.uses(s, root)
	if docker && len(s.awake) > 0 {
		return s, docker, &Error{
			text: root + ": " + strings.Join(s.awake, " and ") + ": Docker may start at any moment",
			hint: "systemctl stop " + strings.Join(s.units, " "),
		}
	}
	return s, docker, nil
}

// Take keeps daemons away from a data root, an absolute path without symbolic
// links. Nothing in it is changed.
func (m Machine) Take(ctx context.Context, root string) (*Hold, error) {
	h := &Hold{machine: m}
	s, docker, err := m.check(ctx, root)
	if err != nil {
		return nil, err
	}
	h.docker = docker
	err = h.lock(root)
	if err == nil && docker {
		err = h.sign(s.settings.Pidfile)
	}
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	return h, nil
}

// Release lets daemons start again.
func (h *Hold) Release() error {
	var problems []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		problems = append(problems, h.closers[i]())
	}
	h.closers = nil
	return errors.Join(problems...)
}

// Start says how to start Docker again; "" if it does not use the data root.
func (h *Hold) Start(ctx context.Context) string {
	if !h.docker {
		return ""
	}
	const stopped = "Docker is stopped; to start it: "
	s, err := h.machine.service(ctx)
	switch {
	case err == nil && len(s.failed) > 0: // one that failed too often is not started again
		return stopped + "systemctl reset-failed " + strings.Join(s.failed, " ") + " && systemctl start " + strings.Join(s.units, " ")
	case err == nil && len(s.units) > 0:
		return stopped + "systemctl start " + strings.Join(s.units, " ")
	case err == nil && !s.systemd && h.machine.has("/etc/init.d/docker"):
		return stopped + "service docker start"
	}
	return "Docker is stopped; start it as you did before"
}
