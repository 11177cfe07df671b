package prune

import (
	"errors"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A registered layer that was taken while no daemon ran comes back only while
// none runs. A daemon reads the records of layers when it starts: of one that was
// away then it knows nothing, makes it anew when the layer is pulled again, and
// fails on the old one (rule 7). Its data stays where the record is: the record
// alone would name what is not there, and the data alone would be nobody's.

// An offlineOnlyError is that of a record that the running daemon would not read.
type offlineOnlyError struct{ error }

// Hint says what a person can do.
func (offlineOnlyError) Hint() string {
	return "it waits where it is, and harms nothing; stop Docker, and docker orphans --data-root DIR restore brings it back (or prune, if its run was interrupted)"
}

var errOfflineOnly = offlineOnlyError{errors.New("the record of a registered layer is put back only while Docker is stopped: it reads them when it starts")}

// offlineOnly is an error if a step is about a registered layer, and a daemon runs.
func (r *Runner) offlineOnly(s *Step) error {
	if s.Type == scan.TypeImageLayer && r.Volumes != nil {
		return errOfflineOnly
	}
	return nil
}
