package hold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan/dockerd"
)

// A Machine is where daemons may be started.
type Machine struct {
	Root string // where its own files begin: "/"
	Proc string // its process table: "/proc"
	// Show is systemctl show of these properties of some units.
	Show func(ctx context.Context, properties string, units ...string) ([]byte, error)
}

// This is the machine that the program runs on.
func This() Machine { return Machine{Root: "/", Proc: "/proc", Show: systemctl} }

// showTime is how long systemd may take to answer.
const showTime = 10 * time.Second

func systemctl(ctx context.Context, properties string, units ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	args := append([]string{"show", "--no-pager", "--property=" + properties}, units...)
	out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
	var exited *exec.ExitError
	if errors.As(err, &exited) && len(exited.Stderr) > 0 {
		err = errors.New(string(bytes.TrimSpace(exited.Stderr)))
	}
	return out, err
}

// A service is how Docker is started on a machine.
type service struct {
	systemd  bool             // systemd starts it
	units    []string         // of it, as far as systemd has them
	awake    []string         // what of them is not at rest: "docker.socket is active"
	failed   []string         // those that systemd does not start again by itself
	settings dockerd.Settings // what the daemon is told
	doubt    error            // why they are not known
}

// The units that start Docker, and the files in which its options are where
// no unit tells: those of Debian, Red Hat and Alpine.
var (
	units       = []string{"docker.socket", "docker.service"}
	optionFiles = []string{"/etc/default/docker", "/etc/sysconfig/docker", "/etc/conf.d/docker"}
)

// service finds out how Docker is started.
func (m *Machine) service(ctx context.Context) (*service, error) {
	s := &service{}
	args := []string{"dockerd", "$DOCKER_OPTS", "$OPTIONS"}
	files, variables := optionFiles, map[string]string{}
	info, err := os.Stat(m.path("/run/systemd/system")) // sd_booted(3)
	if err == nil && info.IsDir() {
		s.systemd = true
		text, err := m.Show(ctx, "Id,LoadState,ActiveState,ExecStart,Environment,EnvironmentFiles", units...)
		if err != nil {
			return nil, fmt.Errorf("whether Docker is stopped cannot be told: systemctl: %w", err)
		}
		for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
			u := parseUnit(block)
			s.add(u)
			if u.args != nil {
				args, files, variables = u.args, u.files, u.variables
			}
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, file := range files {
		if err := m.assignments(file, variables); err != nil {
			s.doubt = err
		}
	}
	words, err := expand(args, variables)
	s.doubt = errors.Join(s.doubt, err)
	settings, err := dockerd.Read(words, func(name string) ([]byte, error) { return os.ReadFile(m.path(name)) })
	s.settings, s.doubt = settings, errors.Join(s.doubt, err)
	return s, nil
}

// path is where a file of the machine is.
func (m *Machine) path(name string) string { return filepath.Join(m.Root, name) }

// has reports whether the machine has a file.
func (m *Machine) has(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// A unit is what systemctl show prints of one.
type unit struct {
	id, load, active string
	args             []string // of ExecStart, words that are variables as they are
	files            []string // EnvironmentFiles
	variables        map[string]string
}

// parseUnit parses lines "PROPERTY=VALUE". That of ExecStart is
// "{ path=… ; argv[]=PROGRAM WORD… ; ignore_errors=… ; … }", that of an
// environment file "FILE (ignore_errors=…)".
func parseUnit(text string) unit {
	u := unit{variables: map[string]string{}}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "Id":
			u.id = value
		case "LoadState":
			u.load = value
		case "ActiveState":
			u.active = value
		case "ExecStart":
			_, rest, _ := strings.Cut(value, "argv[]=")
			argv, _, _ := strings.Cut(rest, " ; ")
			u.args = strings.Fields(argv)
		case "Environment":
			for word := range strings.FieldsSeq(value) {
				name, is, _ := strings.Cut(strings.Trim(word, `"`), "=")
				u.variables[name] = is
			}
		case "EnvironmentFiles", "EnvironmentFile":
			file, _, _ := strings.Cut(value, " (")
			u.files = append(u.files, file)
		}
	}
	return u
}

// add takes in what a unit is up to.
func (s *service) add(u unit) {
	if u.load == "not-found" || u.id == "" {
		return
	}
	s.units = append(s.units, u.id)
	switch u.active {
	case "inactive":
	case "failed":
		s.failed = append(s.failed, u.id)
	default:
		s.awake = append(s.awake, u.id+" is "+u.active)
	}
}

// assignments reads the variables of a file as systemd and shells have them:
// NAME="VALUE", a line each. One that is missing has none.
func (m *Machine) assignments(file string, into map[string]string) error {
	text, err := os.ReadFile(m.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			into[strings.TrimPrefix(name, "export ")] = strings.Trim(value, `"'`)
		}
	}
	return err
}

// embedded is a variable within a word, as systemd has them.
var embedded = regexp.MustCompile(`\$\{(\w+)\}`)

// expand replaces variables as systemd does: a word $NAME by the words in it,
// ${NAME} by its value as it is. The error is of one of those that nobody set:
// systemd may know it from elsewhere.
func expand(args []string, variables map[string]string) (words []string, err error) {
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "$"); ok && !strings.HasPrefix(name, "{") {
			for word := range strings.FieldsSeq(variables[name]) {
				words = append(words, strings.Trim(word, `"'`))
			}
			continue
		}
		words = append(words, embedded.ReplaceAllStringFunc(arg, func(variable string) string {
			value, ok := variables[embedded.FindStringSubmatch(variable)[1]]
			if !ok {
				err = fmt.Errorf("%s: its value is not known", variable)
			}
			return value
		}))
	}
	return words, err
}

// uses reports whether Docker would use a data root if it were started, or
// may. It may if the one that it was told of is not there: systemd does not tell
// where a path with a space ends, and what is mounted there may be here now.
func (m *Machine) uses(s *service, root string) bool {
	if s.doubt != nil {
		return true
	}
	theirs, err := os.Stat(m.path(s.settings.DataRoot))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) || s.settings.DataRoot != dockerd.Defaults.DataRoot
	}
	dirs := []string{root}
	if dockerd.IsRemapped(filepath.Base(root)) {
		dirs = append(dirs, filepath.Dir(root))
	}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		ours, err := os.Stat(dir)
		return err != nil || os.SameFile(ours, theirs)
	})
}
