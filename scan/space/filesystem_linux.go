package space

import "golang.org/x/sys/unix"

// FileSystemOf describes the file system that a directory is on (statfs).
func FileSystemOf(dir string) (FileSystem, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return FileSystem{}, err
	}
	block := s.Bsize
	return FileSystem{
		Size: int64(s.Blocks) * block, Used: int64(s.Blocks-s.Bfree) * block, Available: int64(s.Bavail) * block,
	}, nil
}
