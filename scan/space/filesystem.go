package space

// A FileSystem is how full a file system is, in bytes.
type FileSystem struct {
	Size, Used int64
	Available  int64 // to those who are not root
}

// Reserved is what is free and for root only: on ext4 a twentieth, unless it was
// made with less.
func (f FileSystem) Reserved() int64 { return max(f.Size-f.Used-f.Available, 0) }
