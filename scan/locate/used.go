package locate

import (
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// used returns the backend that a daemon uses that does not run, or, where that
// is not known, all that left anything: then each is judged by its own records,
// and none is taken for one that the daemon does not use.
func used(in *scan.Input) ([]*scan.Backend, error) {
	told, toldErr := driver.Configured(in.Machine, in.DataRoot)
	choice, err := driver.Choose(in.Tree, told)
	if err != nil {
		return nil, &Error{Object: in.DataRoot, Err: err, hint: "which storage driver the daemon uses cannot be told"}
	}
	if toldErr != nil {
		choice.Name, choice.Undecided = "", toldErr.Error()
	}
	in.Undecided = choice.Undecided
	if choice.Name != "" {
		if b := backend.Named(choice.Name); b != nil {
			return []*scan.Backend{b}, nil
		}
		return nil, refuse(in.DataRoot, "its daemon uses the storage driver "+scan.Printable(choice.Name)+", which is not supported yet", "supported: "+names())
	}
	var found []*scan.Backend
	for _, d := range choice.Left {
		if b := backend.Named(d.Name); b != nil {
			found = append(found, b)
		}
	}
	return found, nil
}
