// Package beneath opens and describes files below a directory that is held
// open, without ever following a symbolic link, on every Linux from 3.10 on.
//
// A name is slash-separated and relative to a descriptor; its elements are any
// bytes but NUL and slash. Where the kernel has openat2 (5.6) one call resolves
// the whole name with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS. Where it
// has not, or a seccomp profile of that time forbids it, each element is opened
// by itself with O_NOFOLLOW, which confines as well: an element cannot be "..",
// and what was opened cannot be swapped for a link afterwards.
//
// Nothing here writes, and no access time changes where the caller may say so
// (O_NOATIME needs the file's owner or CAP_FOWNER). Errors are the kernel's
// bare [unix.Errno], with ELOOP for a symbolic link where a directory or a file
// should be: the caller knows what the name means and puts it in front.
//
// What it does not promise: opening a device node calls its driver, if only
// with O_NONBLOCK and O_NOCTTY. Names of content that a container made are for
// [Calls.Path], [Calls.Lstat] and [Calls.DirOn], which call no driver.
package beneath
