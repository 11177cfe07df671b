package plugin

import (
	"encoding/json"
	"path"
	"strconv"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/space"
	"github.com/docker-orphans/docker-orphans/scan/thin"
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
	apart     *space.Ledger // of containerd's root where that is not below the data root; else nil
	index     *whose.Index  // nil unless each thing is told
	removed   []scan.RemovedFile
	docker    map[space.Account]int64 // what docker system df says; nil: no daemon was asked
	dockerErr error
	disk      space.FileSystem
	pool      *backend.PoolUsage // nil: no layer is in one, or poolErr says why it is not known
	poolErr   error
	verbose   bool

	containerd *containerd.Root // nil if it is not known
	trouble    []string         // what is not known of it
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

// totalAccount is the row that all before it add up to. What follows is not part
// of the walk.
const (
	totalAccount = "total"
	openAccount  = "deleted, still open"
	poolAccount  = "used of the thin pool"
	metaAccount  = "used of its metadata"
)

// containerdPrefix begins the accounts of containerd's root where that is elsewhere:
// they add up to a total of their own.
const containerdPrefix = "containerd: "

// A part is one of the roots that were walked.
type part struct {
	ledger *space.Ledger
	prefix string // of its accounts
	root   string // absolute
	docker map[space.Account]int64
}

// parts are the data root, and containerd's where that is elsewhere.
func (r *usageRows) parts() []part {
	own := part{ledger: r.ledger, docker: r.docker}
	if r.in != nil {
		own.root = r.in.DataRoot
	}
	if r.apart == nil {
		return []part{own}
	}
	apart := part{ledger: r.apart, prefix: containerdPrefix, root: r.containerd.Path}
	if r.docker != nil && r.in.Info.ContainerdStore { // what it says of images is about containerd's
		own.docker, apart.docker = map[space.Account]int64{}, map[space.Account]int64{}
		for account, says := range r.docker {
			if account == space.Volumes {
				own.docker[account] = says
			} else {
				apart.docker[account] = says
			}
		}
	}
	return []part{own, apart}
}

// rows are the accounts, or all things in them, and the total.
func (r *usageRows) rows() []*usageContext {
	var rows []*usageContext
	for _, p := range r.parts() {
		if r.verbose {
			rows = append(rows, r.things(p)...)
		} else {
			rows = append(rows, p.sums()...)
		}
		rows = append(rows, p.total())
	}
	if r.pool != nil {
		rows = append(rows, filled(poolAccount, r.pool.Data), filled(metaAccount, r.pool.Meta))
	}
	if len(r.removed) > 0 {
		open := &usageContext{account: openAccount, count: len(r.removed), complete: true}
		for _, f := range r.removed {
			open.bytes += f.Bytes
		}
		rows = append(rows, open)
	}
	return rows
}

// filled is how much of a pool is in use.
func filled(account string, f thin.Fill) *usageContext {
	return &usageContext{account: account, bytes: f.Used, capacity: f.Size, complete: true, what: "of " + human(f.Size)}
}

// sums are the accounts.
func (p part) sums() []*usageContext {
	var rows []*usageContext
	for _, s := range p.ledger.Sums() {
		row := &usageContext{
			account: p.prefix + string(s.Account), kind: s.Type, count: s.Items, bytes: s.Bytes, atMost: s.AtMost, complete: s.Complete,
		}
		if says, ok := p.docker[s.Account]; ok {
			row.docker = &says
		}
		rows = append(rows, row)
	}
	return rows
}

// things are all that is in them.
func (r *usageRows) things(p part) []*usageContext {
	var rows []*usageContext
	for _, i := range p.ledger.Items {
		row := &usageContext{
			account: p.prefix + string(i.Account), bytes: i.Bytes, atMost: i.AtMost, complete: i.Complete, what: scan.Printable(i.Name),
		}
		if p.root != "" {
			row.path = path.Join(p.root, i.Path)
		}
		if i.Thing() {
			row.count = 1
		}
		if i.Finding != nil {
			row.kind = i.Finding.Type
		}
		if i.Account == space.Logs {
			if limit := space.LogLimit(r.in.Tree, i); limit != "" {
				row.what += "; " + limit
			}
		}
		if i.Finding != nil || i.Stored {
			row.what = r.what(row.path, i)
		}
		rows = append(rows, row)
	}
	return rows
}

// total is what all of them add up to.
func (p part) total() *usageContext {
	total := &usageContext{account: p.prefix + totalAccount, bytes: p.ledger.Bytes, atMost: p.ledger.AtMost, complete: !p.ledger.Partial}
	for _, s := range p.ledger.Sums() {
		total.count += s.Items
	}
	if p.docker != nil {
		var sum int64
		for _, says := range p.docker {
			sum += says
		}
		total.docker = &sum
	}
	return total
}

// what says whose a thing is.
func (r *usageRows) what(at string, i *space.Item) string {
	a, err := r.index.Path(at)
	switch {
	case err == nil:
		return a.String()
	case i.Finding != nil:
		return i.Finding.Reason
	}
	return scan.Printable(i.Name)
}

// A usageContext is one row: a method for each column and template field.
type usageContext struct {
	formatter.HeaderContext
	account  string
	kind     scan.Type
	count    int
	bytes    int64
	capacity int64 // of a pool
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
	Account      string // "total" is the sum of all before it; those that begin with "containerd: " have a total of their own; what follows is in none
	Type         string // of orphans, and of what was judged
	Count        int    // things in it: layers, volumes; 0 of what is not counted
	SizeBytes    int64
	SizeAtMost   bool   // subvolumes of a btrfs share some of it, and no quota group tells how much
	SizeComplete bool   // false: it is a lower bound
	DockerBytes  *int64 // what docker system df says; null where it says nothing
	Capacity     int64  // bytes that there are of it, of a thin pool; else 0
	Path         string // absolute; "" of a sum
	What         string
}

// MarshalJSON makes {{json .}}, and so --format json.
func (c *usageContext) MarshalJSON() ([]byte, error) {
	return safeJSON(json.Marshal(usageJSON{
		Schema: schemaVersion, Account: c.account, Type: string(c.kind), Count: c.count, SizeBytes: c.bytes,
		SizeAtMost: c.atMost, SizeComplete: c.complete, DockerBytes: c.docker, Capacity: c.capacity, Path: c.path, What: c.what,
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
