package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/spf13/pflag"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/keep"
)

// globalOptions are the options of ours that every command takes.
type globalOptions struct {
	dataRoot        string
	grace           duration
	allowShortGrace bool
	allowQuickLooks bool
	keepDir         string
	allVolumes      bool // of prune
	includePrecious bool // of prune
}

// install binds the options to their flags.
func (o *globalOptions) install(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataRoot, "data-root", "", "Data root to look at, if no daemon runs on it (default: the daemon's)")
	flags.Var(&o.grace, "grace", fmt.Sprintf("How long a thing must be unchanged to be an orphan, where it cannot be shown to be older than the daemon's start (default %s)", days(scan.DefaultGrace)))
	flags.BoolVar(&o.allowShortGrace, "allow-short-grace", false, "Allow a grace below the floor, for tests of this program")
	flags.BoolVar(&o.allowQuickLooks, "allow-quick-looks", false, "Allow two looks without a time between them, for tests of this program")
	flags.StringVar(&o.keepDir, "keep-dir", keep.Dir, "Directory of keep lists, for tests of this program")
	for _, hidden := range []string{"allow-short-grace", "allow-quick-looks", "keep-dir"} {
		_ = flags.MarkHidden(hidden) // the flag exists: it was bound above
	}
}

// policy is how the user wants findings to be judged, with the defaults of
// the docker CLI's config file.
func (o *globalOptions) policy(config *configfile.ConfigFile, now time.Time) (scan.Policy, error) {
	p := scan.Policy{Now: now, Grace: scan.DefaultGrace, AllVolumes: o.allVolumes, IncludePrecious: o.includePrecious}
	configured, err := configuredDefaults(config)
	if err != nil {
		return p, err
	}
	if configured.grace != 0 {
		p.Grace = configured.grace
	}
	if o.grace.set {
		p.Grace = o.grace.value
		if p.Grace < scan.MinGrace && !o.allowShortGrace {
			return p, usageError("invalid --grace %s: the least is %s", o.grace.text, scan.MinGrace)
		}
	}
	return p, nil
}

// runPolicy is how carefully a run goes about it, with the defaults of the
// docker CLI's config file. keep is what the user said on the command line.
func (o *globalOptions) runPolicy(config *configfile.ConfigFile, keep duration) (prune.Policy, error) {
	p := prune.DefaultPolicy()
	if o.allowQuickLooks {
		p.Between, p.Settle = 0, 0
	}
	configured, err := configuredDefaults(config)
	if err != nil {
		return p, err
	}
	if configured.keep != 0 {
		p.Keep = configured.keep
	}
	if keep.set {
		p.Keep = keep.value
	}
	return p, nil
}

// defaults are those that a user may set in config.json; zero is not set.
type defaults struct {
	grace    time.Duration
	keep     time.Duration
	keepList string
}

// minKeep is the shortest time in quarantine that may be a default: long
// enough for a person to miss something.
const minKeep = 24 * time.Hour

// configuredDefaults reads the defaults in config.json, below plugins.orphans.
// A default may never be daring: nobody should lose data to a line in a file
// that they forgot.
func configuredDefaults(config *configfile.ConfigFile) (defaults, error) {
	given := config.Plugins[name]
	var d defaults
	for _, key := range sortedKeys(given) {
		var err error
		switch {
		case key == "hooks" || key == "error-hooks":
			// the docker CLI's own
		case key == "grace":
			d.grace, err = configuredDuration(given[key], scan.DefaultGrace, "a shorter grace")
		case key == "keep":
			d.keep, err = configuredDuration(given[key], minKeep, "a shorter time")
		case key == keepListKey:
			d.keepList = given[key]
		case forbidden(key):
			err = errors.New("may be given on the command line only")
		default:
			err = errors.New("unknown key (known: grace, keep, keep-list)")
		}
		if err != nil {
			return d, fmt.Errorf("%s: plugins.%s.%s: %w", config.GetFilename(), name, key, err)
		}
	}
	return d, nil
}

// keepListKey is the setting in config.json that is a keep list.
const keepListKey = "keep-list"

// keepList reads what must stay by the users' word: config.json's own list and
// those of the machine. The error tells of lines that cannot be understood;
// the others count all the same.
func (o *globalOptions) keepList(config *configfile.ConfigFile, now time.Time) ([]scan.KeepEntry, error) {
	configured, err := configuredDefaults(config)
	if err != nil {
		return nil, err
	}
	own, err := keep.Parse(configured.keepList, fmt.Sprintf("%s: plugins.%s.%s", config.GetFilename(), name, keepListKey), now)
	machine, errMachine := keep.Read(o.keepDir, now)
	return append(own, machine...), errors.Join(err, errMachine)
}

// configuredDuration reads a default that has a least value.
func configuredDuration(text string, least time.Duration, what string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d < least {
		err = fmt.Errorf("%s is below %s: %s may be given on the command line only", text, days(least), what)
	}
	return d, err
}

// forbidden reports whether a default of this name would let the program
// remove more than it does without.
func forbidden(key string) bool {
	return strings.HasPrefix(key, "allow-") ||
		slices.Contains([]string{"force", "purge", "include-precious", "all-volumes", "data-root"}, key)
}

// A duration is a flag's value that also takes days.
type duration struct {
	value time.Duration
	text  string
	set   bool
}

func (d *duration) String() string { return d.text }

func (*duration) Type() string { return "duration" }

// Set reads what the user typed.
func (d *duration) Set(text string) error {
	value, err := parseDuration(text)
	if err != nil {
		return err
	}
	*d = duration{value: value, text: text, set: true}
	return nil
}

// parseDuration reads a Go duration that may begin with days: 36h, 7d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("invalid duration %q (examples: 36h, 7d)", text)
	var sum time.Duration
	rest := text
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, wrong
		}
		sum, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest != "" || sum == 0 && text == rest {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, wrong
		}
		sum += d
	}
	return sum, nil
}

// days prints a duration in days where it is whole days, else as Go does.
func days(d time.Duration) string {
	if d > 24*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
