package main

import "slices"

// mutations lists every break. One is added where a check is added: the file,
// a piece of it that stands there once, what it becomes, and the rule that is
// broken then. What becomes of the code must compile.
func mutations() []mutation {
	return slices.Concat(doubts, witnesses, recognised, ages, holders, owners, references, backends, apart, subvolumes, archives, volumes, removals, stored)
}
