package journal

import "strings"

// An UnreadError tells of runs whose journals cannot be read: what they took, or
// still have to put back, is not known. All others were read.
type UnreadError []RunError

func (e UnreadError) Error() string {
	var lines []string
	for _, r := range e {
		lines = append(lines, r.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap lists the errors, by run.
func (e UnreadError) Unwrap() []error {
	var all []error
	for _, r := range e {
		all = append(all, r)
	}
	return all
}

// A RunError is that of one run.
type RunError struct {
	Run string
	Err error
}

func (e RunError) Error() string { return e.Err.Error() }

func (e RunError) Unwrap() error { return e.Err }

// Hint says what a person can do.
func (e RunError) Hint() string {
	dir := RunDir(e.Run)
	return "nothing is removed as long as it is not known what that run took: use the version of docker orphans that wrote its journal; " +
		"or see what lies in " + dir + "/held and trash, and move " + dir + " out of the data root: what is in it then comes back by hand only"
}
