package space

import (
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// An Item is one thing that takes space: a layer, a volume, the logs of a
// container.
type Item struct {
	Account  Account
	Name     string        // as a person knows it; "" if the account says it all
	Path     string        // below the data root, the main one
	Finding  *scan.Finding // what was judged; nil for the rest
	Stored   bool          // it is a blob or a snapshot of containerd's
	Bytes    int64
	Inodes   int64
	AtMost   bool   // others have some of Bytes too, and how much could not be told: on btrfs
	Complete bool   // false: some part could not be read, and Bytes is a lower bound
	Problem  string // the first thing that could not be read
}

// add adds what a walk found.
func (i *Item) add(u *scan.Usage) {
	i.Bytes += u.Bytes
	i.Inodes += u.Inodes
	i.AtMost = i.AtMost || u.AtMost
	if !u.Complete && !u.MountsOnly {
		i.Complete = false
		if i.Problem == "" {
			i.Problem = u.Problem
		}
	}
}

// A Ledger is where the space of a data root went.
type Ledger struct {
	Items   []*Item  // by account, the biggest first
	Mounts  []string // below the data root: other file systems, which were not walked
	Bytes   int64
	Inodes  int64
	AtMost  bool // see Item
	Partial bool // some part could not be read
}

// A Sum is an account's total.
type Sum struct {
	Account  Account
	Type     scan.Type // of orphans
	Items    int       // things in it
	Bytes    int64
	AtMost   bool
	Complete bool
}

// Sums adds up the accounts, in their order; orphans by type. Those without an
// item are left out.
func (l *Ledger) Sums() []Sum {
	var sums []Sum
	for _, i := range l.Items {
		kind := i.kind()
		if n := len(sums); n == 0 || sums[n-1].Account != i.Account || sums[n-1].Type != kind {
			sums = append(sums, Sum{Account: i.Account, Type: kind, Complete: true})
		}
		s := &sums[len(sums)-1]
		if i.Thing() {
			s.Items++
		}
		s.Bytes += i.Bytes
		s.AtMost = s.AtMost || i.AtMost
		s.Complete = s.Complete && i.Complete
	}
	return sums
}

// Thing reports whether it is one of many of its sort: a layer, a volume. The
// directories that they are in are none, nor is the space that runs put by.
func (i *Item) Thing() bool {
	return i.Finding != nil || i.Name != "" && i.Path != journal.Reserve
}

// kind is the type of an orphan.
func (i *Item) kind() scan.Type {
	if i.Account == Orphans && i.Finding != nil {
		return i.Finding.Type
	}
	return ""
}
