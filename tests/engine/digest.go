//go:build linux

package engine

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// digestTar reads an archive to its end, closes it and returns its digest,
// whatever the order of its entries. Times do not count: starting a container
// touches files.
func digestTar(r io.ReadCloser) (string, error) {
	defer r.Close()
	var entries []string
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			return digestLines(entries), nil
		}
		if err != nil {
			return "", err
		}
		content := sha256.New()
		if _, err := io.Copy(content, in); err != nil {
			return "", err
		}
		entries = append(entries, fmt.Sprintf("%s %c %o %d:%d %s %x", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, content.Sum(nil)))
	}
}

// digestTree is that of a directory's content.
func digestTree(dir string) (string, error) {
	var entries []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var data []byte
		if info.Mode().IsRegular() {
			if data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		entries = append(entries, fmt.Sprintf("%s %s %x", path, info.Mode(), sha256.Sum256(data)))
		return nil
	})
	return digestLines(entries), err
}

func digestLines(lines []string) string {
	slices.Sort(lines)
	return fmt.Sprintf("%.12x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}
