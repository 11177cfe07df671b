package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// System reads the machine's own configuration for paths below the data root:
// what is mounted there at the next boot, and what it shares with others. What
// is in use now is told by mounts and processes.
var System = &scan.Source{
	ID:      scan.SourceSystem,
	Doc:     "/etc/fstab, mount units, NFS exports: paths below the data root",
	Collect: collectSystem,
}

// systemFiles are the files to read, below the machine's root. The third holds
// what is exported now, also what nobody wrote into the second.
var systemFiles = []string{
	"etc/fstab", "etc/exports", "var/lib/nfs/etab", "etc/exports.d/*.exports",
	"etc/systemd/system/*.mount", "etc/systemd/system/*.automount", "etc/systemd/system/*.swap",
}

func collectSystem(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
	if in.Machine == "" {
		return "not asked: the data root is of another machine", nil
	}
	read := 0
	var problems []error
	for _, pattern := range systemFiles {
		files, err := filepath.Glob(filepath.Join(in.Machine, pattern))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if err := readSystemFile(in, g, file); err != nil {
				problems = append(problems, err)
				g.Doubt(scan.Doubt{
					Source: scan.SourceSystem, Where: file, Err: said(err, file),
					Hint: "which paths below the data root it names is not known",
				})
			}
			read++
		}
	}
	return fmt.Sprintf("%d files", read), errors.Join(problems...)
}

// readSystemFile makes live what a file's words lead to. Their spaces are
// escaped, and a # begins a comment only where a word can begin.
func readSystemFile(in *scan.Input, g *scan.Graph, file string) error {
	const maxSystemFile = 16 << 20
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a link that leads nowhere, as systemd's to /dev/null need not exist
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // /dev/null: a unit that is masked
	}
	if info.Size() > maxSystemFile {
		return fmt.Errorf("%s: is %d bytes long", file, info.Size())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var problems []error
	for line := range strings.Lines(string(text)) {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "#") {
				break
			}
			word = strings.Trim(mount.Unescape(word), `"'`)
			problems = append(problems, eachPathIn(in, word, func(to scan.Node) { g.Live(to, file, file) }))
		}
	}
	return errors.Join(problems...)
}
