package plugin

import (
	"testing"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func TestParseDuration(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"36h": 36 * time.Hour, "7d": 7 * day, "1d12h": 36 * time.Hour, "0": 0, "0d": 0, "90m": 90 * time.Minute,
	} {
		got, err := parseDuration(text)
		assert.NilError(t, err, text)
		assert.Equal(t, got, want, text)
	}
	for _, text := range []string{"", "d", "7", "-1h", "-1d", "1dx", "1d-2h", "soon", "99999d", "1w", "1d1d"} {
		_, err := parseDuration(text)
		assert.Check(t, err != nil, "%q was taken", text)
	}
}

func TestDays(t *testing.T) {
	for want, d := range map[string]time.Duration{"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1h": time.Hour, "1m30s": 90 * time.Second} {
		assert.Equal(t, days(d), want)
	}
}

func TestPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		config map[string]string
		want   time.Duration
		err    string
	}{
		"by default":                   {want: scan.DefaultGrace},
		"flag":                         {args: []string{"--grace", "36h"}, want: 36 * time.Hour},
		"config":                       {config: map[string]string{"grace": "7d"}, want: 7 * 24 * time.Hour},
		"flag over config":             {args: []string{"--grace", "2h"}, config: map[string]string{"grace": "7d"}, want: 2 * time.Hour},
		"the CLI's own keys":           {config: map[string]string{"hooks": "run", "error-hooks": "run"}, want: scan.DefaultGrace},
		"at the floor":                 {args: []string{"--grace", "1h"}, want: time.Hour},
		"below the floor":              {args: []string{"--grace", "59m"}, err: "invalid --grace 59m: the least is 1h0m0s"},
		"below the floor, for tests":   {args: []string{"--grace", "0", "--allow-short-grace"}, want: 0},
		"config below the default":     {config: map[string]string{"grace": "23h"}, err: "config.json: plugins.orphans.grace: 23h is below 24h"},
		"config nonsense":              {config: map[string]string{"grace": "soon"}, err: "plugins.orphans.grace: invalid duration"},
		"config below, flag above":     {args: []string{"--grace", "36h"}, config: map[string]string{"grace": "1h"}, err: "plugins.orphans.grace"},
		"config forces":                {config: map[string]string{"force": "true"}, err: "plugins.orphans.force: may be given on the command line only"},
		"config purges":                {config: map[string]string{"purge": "true"}, err: "plugins.orphans.purge: may"},
		"config allows":                {config: map[string]string{"allow-most": "true"}, err: "plugins.orphans.allow-most: may"},
		"config takes precious things": {config: map[string]string{"include-precious": "true"}, err: "plugins.orphans.include-precious: may"},
		"config names a root":          {config: map[string]string{"data-root": "/"}, err: "plugins.orphans.data-root: may"},
		"config of another program":    {config: map[string]string{"colour": "red"}, err: "plugins.orphans.colour: unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &globalOptions{}
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.install(flags)
			assert.NilError(t, flags.Parse(tc.args))
			file := configfile.New("/home/u/.docker/config.json")
			file.Plugins = map[string]map[string]string{"orphans": tc.config}
			p, err := o.policy(file, now)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, p.Grace, tc.want)
			assert.Equal(t, p.Now, now)
		})
	}
}
