//go:build linux

package engine

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// A Finding is one line of `docker-orphans ls --format json`, with its paths
// made relative to the data root.
type Finding struct {
	Schema       int
	ID           string
	Type         string
	Backend      string
	Verdict      string
	Default      bool
	Precious     bool
	Path         string
	Paths        []string
	SizeBytes    *int64
	SizeComplete bool
	SizeAtMost   bool
	ChangedAt    *string
	Was          string
	Labels       map[string]string
	Reason       string
}

// Findings runs the program's ls on this daemon's data root with more
// arguments, and returns everything that it found.
func (d *Daemon) Findings(t TB, program string, args ...string) []Finding {
	t.Helper()
	args = slices.Concat([]string{"-H", d.Host}, args, []string{"ls", "--all", "--no-trunc", "--format", "json"})
	out := d.Run(t, program, args...)
	if out.Code != 0 {
		t.Fatalf("%s: exit status %d: %s", strings.Join(args, " "), out.Code, out.Stderr)
	}
	findings, err := d.ReadFindings([]byte(out.Stdout))
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out.Stdout)
	}
	return findings
}

// ReadFindings reads what ls --format json writes. A field that is not known
// here is an error: scripts rely on them.
func (d *Daemon) ReadFindings(data []byte) ([]Finding, error) {
	var findings []Finding
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	for {
		var f Finding
		if err := in.Decode(&f); err == io.EOF {
			return findings, nil
		} else if err != nil {
			return nil, err
		}
		f.Path = d.below(f.Path)
		for i := range f.Paths {
			f.Paths[i] = d.below(f.Paths[i])
		}
		findings = append(findings, f)
	}
}

// below is a path as a name below the data root.
func (d *Daemon) below(path string) string { return strings.TrimPrefix(path, d.Root+"/") }
