package plugin

import (
	"encoding/json"
	"path"
	"strconv"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/space"
	"github.com/docker-orphans/docker-orphans/scan/whose"
)

// usageFormat chooses the format of df.
func usageFormat(source string, verbose bool) formatter.Format {
	switch {
	case source != "" && source != formatter.TableFormatKey:
		return formatter.Format(source)
	case verbose:
		return "table {{.Account}}\t{{.Size}}\t{{.Path}}\t{{.What}}"
	}
	return "table {{.Account}}\t{{.Count}}\t{{.Size}}\t{{.Docker}}"
}

// usageRows are what df prints.
type usageRows struct {
	in        *scan.Input
	ledger    *space.Ledger
	index     *whose.Index // nil unless each thing is told
	removed   []scan.RemovedFile
	docker    map[space.Account]int64 // what docker system df says; nil: no daemon was asked
	dockerErr error
	disk      space.FileSystem
	verbose   bool
}

// write prints them through the docker CLI's formatter.
func (r *usageRows) write(ctx formatter.Context) error {
	err := ctx.Write(newUsageContext(), func(format func(formatter.SubContext) error) error {
		for _, row := range r.rows() {
			if err := format(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return templateError(err)
	}
	return nil
}

// totalAccount is the row that all others but that of open files add up to.
const (
	totalAccount = "total"
	openAccount  = "deleted, still open"
)

// rows are the accounts, or all things in them, and the total.
func (r *usageRows) rows() []*usageContext {
	rows := r.sums()
	if r.verbose {
		rows = r.things()
	}
	rows = append(rows, r.total())
	if len(r.removed) > 0 {
		open := &usageContext{account: openAccount, count: len(r.removed), complete: true}
		for _, f := range r.removed {
			open.bytes += f.Bytes
		}
		rows = append(rows, open)
	}
	return rows
}

// sums are the accounts.
func (r *usageRows) sums() []*usageContext {
	var rows []*usageContext
	for _, s := range r.ledger.Sums() {
		row := &usageContext{account: string(s.Account), kind: s.Type, count: s.Items, bytes: s.Bytes, atMost: s.AtMost, complete: s.Complete}
		if says, ok := r.docker[s.Account]; ok {
			row.docker = &says
		}
		rows = append(rows, row)
	}
	return rows
}

// things are all that is in them.
func (r *usageRows) things() []*usageContext {
	var rows []*usageContext
	for _, i := range r.ledger.Items {
		row := &usageContext{account: string(i.Account), bytes: i.Bytes, atMost: i.AtMost, complete: i.Complete, what: scan.Printable(i.Name)}
		if r.in != nil {
			row.path = path.Join(r.in.DataRoot, i.Path)
		}
		if i.Thing() {
			row.count = 1
		}
		if i.Finding != nil {
			row.kind, row.what = i.Finding.Type, r.what(i)
		}
		rows = append(rows, row)
	}
	return rows
}

// total is what all of them add up to.
func (r *usageRows) total() *usageContext {
	total := &usageContext{account: totalAccount, bytes: r.ledger.Bytes, atMost: r.ledger.AtMost, complete: !r.ledger.Partial}
	for _, s := range r.ledger.Sums() {
		total.count += s.Items
	}
	if r.docker != nil {
		var sum int64
		for _, says := range r.docker {
			sum += says
		}
		total.docker = &sum
	}
	return total
}

// what says whose a thing is.
func (r *usageRows) what(i *space.Item) string {
	a, err := r.index.Path(path.Join(r.in.DataRoot, i.Path))
	if err != nil {
		return i.Finding.Reason
	}
	return a.String()
}

// A usageContext is one row: a method for each column and template field.
type usageContext struct {
	formatter.HeaderContext
	account  string
	kind     scan.Type
	count    int
	bytes    int64
	atMost   bool
	complete bool
	docker   *int64
	path     string // absolute; "" of a sum
	what     string
}

func newUsageContext() *usageContext {
	c := usageContext{}
	c.Header = formatter.SubHeaderContext{
		"Schema": "SCHEMA", "Account": "ACCOUNT", "Type": "TYPE", "Count": "COUNT", "Size": "SIZE", "SizeBytes": "BYTES",
		"Docker": "DOCKER SYSTEM DF", "Path": "PATH", "What": "WHAT",
	}
	return &c
}

// usageJSON is one line of df --format json. Names stay; a change of meaning
// changes Schema.
type usageJSON struct {
	Schema       int
	Account      string // "total" is the sum of all others, but for "deleted, still open"
	Type         string // of orphans, and of what was judged
	Count        int    // things in it: layers, volumes; 0 of what is not counted
	SizeBytes    int64
	SizeAtMost   bool   // subvolumes of a btrfs share some of it, and no quota group tells how much
	SizeComplete bool   // false: it is a lower bound
	DockerBytes  *int64 // what docker system df says; null where it says nothing
	Path         string // absolute; "" of a sum
	What         string
}

// MarshalJSON makes {{json .}}, and so --format json.
func (c *usageContext) MarshalJSON() ([]byte, error) {
	return safeJSON(json.Marshal(usageJSON{
		Schema: schemaVersion, Account: c.account, Type: string(c.kind), Count: c.count, SizeBytes: c.bytes,
		SizeAtMost: c.atMost, SizeComplete: c.complete, DockerBytes: c.docker, Path: c.path, What: c.what,
	}))
}

// Schema is the version of the fields.
func (*usageContext) Schema() int { return schemaVersion }

// Account is what the space is used for; orphans are told by their type.
func (c *usageContext) Account() string {
	if c.account == string(space.Orphans) && c.kind != "" {
		return c.account + ": " + string(c.kind)
	}
	return c.account
}

// Type is that of an orphan, or of a thing that was judged.
func (c *usageContext) Type() string { return string(c.kind) }

// Count is how many things there are, or "-" of what is not counted.
func (c *usageContext) Count() string {
	if c.count == 0 {
		return "-"
	}
	return strconv.Itoa(c.count)
}

// Size is for people, with the marks that ls has.
func (c *usageContext) Size() string {
	return humanSize(scan.Usage{Bytes: c.bytes, AtMost: c.atMost, Complete: c.complete})
}

// SizeBytes is the space on disk.
func (c *usageContext) SizeBytes() int64 { return c.bytes }

// Docker is what docker system df says, or "-".
func (c *usageContext) Docker() string {
	if c.docker == nil {
		return "-"
	}
	return human(*c.docker)
}

// Path is where it is.
func (c *usageContext) Path() string { return orDash(scan.Printable(c.path)) }

// What says whose it is.
func (c *usageContext) What() string { return orDash(c.what) }
