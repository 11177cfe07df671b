// Package scan finds out what in a Docker data root belongs to nothing any
// more, and proves it. It only reads: no type in it has a method that writes
// to the data root.
//
// # Words
//
// A data root is the daemon's directory. A backend is what holds layers in
// it. A node is the key of one thing; an object is a node that takes space on
// disk. A reference is an edge: one node needs another. A node is live if a
// user would miss it. A source says what is in use. A doubt is a source that
// could not be read to the end, or that contradicts another. A verdict is
// what references prove about a finding: a record and the data that it
// describes, taken together.
//
// # Flow
//
// [Scan] enumerates objects first and collects references second, into a
// [Graph]: plain data. [Classify] decides, purely, what each object is.
// [Judge] does so and reads what it takes to know an object's age. [Measure]
// walks for sizes what is shown to a user, and only that.
//
// # Promises
//
// Absence proves nothing: an object is an orphan only if every source that
// could own it was read to the end without an error and says no, and age
// rules out work in flight. A failure to read is a value in the graph; what it
// covers is unsure. One more reference never makes an orphan, one more doubt
// never does, and neither does a younger file.
//
// Not promised: that an orphan is still one a moment later. Whoever removes
// must look again.
package scan
