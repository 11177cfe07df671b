// Package archive writes what a data root holds as archives that `docker load`
// takes: a registered layer as the archive that it was made from, byte by byte,
// and a written one as an archive of what it changes.
//
// # Registered layers
//
// Since Docker 1.10 the daemon keeps, beside each layer that it registers, all
// of its archive but the content of files (tar-split). [Registered] puts that
// together with the files and compares what comes out with the layer's digest:
// it is the original or an error.
//
// # Written layers
//
// [Written] archives the difference that the storage driver keeps of what a
// container wrote, or, where the driver keeps a whole copy, all that the
// container saw. It is read twice: once for its digest and size and once to be
// written. If it changed in between, that is an error.
//
// Not kept: sockets, access and change times, holes in sparse files, names that
// mean a removal in an archive (".wh.…"), and extended attributes but for those of
// users, access control lists and capabilities; what was left out is told, but
// for times, holes and the labels of security modules.
//
// # Hostile content
//
// A layer's files, their names and the daemon's records of them are whatever
// whoever made the image wanted. Files are opened below the layer's directory,
// through no symbolic link and on no other mount, and nothing but regular files
// is read. Where the daemon unpacked a file through a link of the same layer,
// that is resolved here, with the layer as the root, and not by the kernel.
package archive
