package space

// A FileSystem is how full a file system is, in bytes.
type FileSystem struct {
	Size, Used int64
	Available  int64 // to those who are not root
}
