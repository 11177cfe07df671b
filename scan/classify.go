package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Classify decides what every object of the graph is. It is pure: it reads
// nothing but its arguments, and the same graph gives the same findings in
// the same order.
//
// A record and the data that it describes are one finding, with the weakest
// verdict of its parts (rule 16). A verdict spreads along references: what
// something live, held, kept, unsure or young needs is that too.
func Classify(g *Graph, p Policy) []Finding {
	c := newClassifier(g, p)
	c.run()
	return c.findings()
}

// Explain returns the references that lead to a finding from whatever gives
// it its verdict, that first; it is empty where the finding has its verdict
// by itself.
func Explain(g *Graph, p Policy, f *Finding) []Ref {
	c := newClassifier(g, p)
	c.run()
	var path []Ref
	for i := c.find(g.id(f.Parts[0].Node)); c.via[i] >= 0; {
		r := g.refs.at(c.via[i])
		path = append(path, Ref{g.nodes[r.from], g.nodes[r.to], r.why})
		i = c.find(r.from)
	}
	slices.Reverse(path)
	return path
}

// A classifier holds what is known of each group of nodes while judging. The
// slices are indexed by node; of a group, only its representative counts.
type classifier struct {
	g *Graph
	p Policy

	group []int32 // union-find: nodes tied by references that own
	next  []int32 // the next node of the same group, the representative first; -1 after the last
	refs  *layout // by the group that they start from

	verdict  []Verdict
	leads    []bool     // links that lead to a layer
	doubtful doubtIndex // those that count

	via    []int32           // the reference that brought the verdict, or -1
	cause  []int32           // the group whose own verdict it is
	reason map[int32]string  // of groups with a verdict of their own
	doubts map[int32][]Doubt // of groups that are unsure by themselves
	ages   map[int32]age
}

func newClassifier(g *Graph, p Policy) *classifier {
	n := len(g.nodes)
	c := &classifier{
		g: g, p: p,
		group: make([]int32, n), next: make([]int32, n),
		verdict: make([]Verdict, n), via: make([]int32, n), cause: make([]int32, n),
		leads: make([]bool, n), reason: map[int32]string{}, doubts: map[int32][]Doubt{}, ages: map[int32]age{},
	}
	for i := range c.group {
		c.group[i] = int32(i)
		c.via[i] = -1
		c.cause[i] = int32(i)
	}
	for _, r := range g.refs.all() {
		if r.why.Leads() {
			c.leads[r.from] = true
		}
		if r.why.owns() {
			c.group[c.find(r.to)] = c.find(r.from)
		}
	}
	c.linkGroups()
	c.refs = g.layout(func(r ref) int32 { return c.find(r.from) })
	return c
}

// linkGroups chains the nodes of each group, in their order.
func (c *classifier) linkGroups() {
	for i := range c.next {
		c.next[i] = -1
	}
	for i := len(c.group) - 1; i >= 0; i-- {
		if root := c.find(int32(i)); root != int32(i) {
			c.next[i], c.next[root] = c.next[root], int32(i)
		}
	}
}

func (c *classifier) find(i int32) int32 {
	for c.group[i] != i {
		c.group[i] = c.group[c.group[i]]
		i = c.group[i]
	}
	return i
}

// run judges every group: first what is positively in use, then, with that
// known, everything else. What is not free to go and needs something that is
// not there, or not known, is a doubt over what it may be; a doubt can only
// make more of them, so this ends.
func (c *classifier) run() {
	for i := range c.verdict {
		c.verdict[i] = Orphan
	}
	for _, m := range c.g.Marks {
		if m.Verdict != Used || !c.p.Without[m.Node] {
			c.raise(c.find(c.g.id(m.Node)), m.Verdict, m.What)
		}
	}
	c.spread(Used, Held, Kept)
	conditional := c.dangling()
	for _, d := range slices.DeleteFunc(slices.Concat(c.g.Doubts, c.contradictions()), c.p.isWithout) {
		if d.Of == (Node{}) {
			c.doubtful.add(d)
		} else {
			conditional = append(conditional, d)
		}
	}
	for {
		for i := range c.group {
			if int32(i) == c.find(int32(i)) {
				c.judgeGroup(int32(i))
			}
		}
		c.spread(Held, Unknown, Unsure, Young)
		waiting := slices.DeleteFunc(conditional, func(d Doubt) bool {
			counts := !c.free(d.Of)
			if counts {
				c.doubtful.add(d)
			}
			return counts
		})
		if len(waiting) == len(conditional) {
			return
		}
		conditional = waiting
	}
}

// free reports whether a node may go, as far as is known by now.
func (c *classifier) free(n Node) bool {
	v := c.verdict[c.find(c.g.id(n))]
	return v == Orphan || v == Damaged
}

// lostScope is what a record that was lost may have named.
var lostScope = Scope{Types: []Type{TypeLayer, TypeImageLayer}}

// dangling makes a doubt of each reference to something that is not there:
// records were lost, and any layer may be the one that is missed.
func (c *classifier) dangling() []Doubt {
	var doubts []Doubt
	for _, r := range c.g.refs.all() {
		if c.present(r.to) {
			continue
		}
		from, to := c.g.nodes[r.from], c.g.nodes[r.to]
		doubts = append(doubts, Doubt{
			Source: SourceLayerDB, Where: from.Name, Err: fmt.Sprintf("needs %s, which is not there (%s)", to.Name, r.why),
			Hint:  "it is damaged: remove or pull it again; until then any layer may be what it misses",
			Scope: lostScope, Of: from,
		})
	}
	return doubts
}

// contradictions makes a doubt of each layer that two records name: one of
// them is damaged, and the layer that it should name has no record now.
func (c *classifier) contradictions() []Doubt {
	var doubts []Doubt
	owner := make([]int32, len(c.g.nodes)) // the first record that names a node, from 1
	for _, r := range c.g.refs.all() {
		if !r.why.owns() || !isRecord(c.g.nodes[r.from].Kind) {
			continue
		}
		first := owner[r.to] - 1
		if first < 0 {
			owner[r.to] = r.from + 1
		} else if first != r.from {
			doubts = append(doubts, Doubt{
				Source: SourceLayerDB, Where: c.g.nodes[r.from].Name,
				Err:   fmt.Sprintf("names the same layer as %s", c.g.nodes[first].Name),
				Hint:  "one of the two records is damaged; the layer that it should name may be any without a record",
				Scope: Scope{Types: []Type{TypeLayer, TypeImageLayer, TypeRWLayer, TypeDownload}},
			})
		}
	}
	return doubts
}

// present reports whether a node that must be on disk is, in a form that says
// what it needs in turn.
func (c *classifier) present(n int32) bool {
	kind := c.g.nodes[n].Kind
	if kind == KindVolume {
		return true // one that is gone was no layer, and what it was made of its records tell
	}
	if o := c.g.object(n); o != nil && kind != KindPart {
		return kind != KindLink && o.Unrecognised == "" && o.Note().Missing == "" // a link that is an object leads nowhere
	}
	if kind == KindLink {
		return c.leads[n]
	}
	return !kind.onDisk()
}

// raise gives a group a verdict of its own unless it has a stronger one.
func (c *classifier) raise(group int32, v Verdict, reason string) {
	if v.strength() > c.verdict[group].strength() {
		c.verdict[group], c.via[group], c.cause[group] = v, -1, group
		c.reason[group] = reason
	}
}

func (c *classifier) judgeGroup(group int32) {
	if c.verdict[group] == Used {
		return // the strongest there is
	}
	objects := c.objectsOf(group)
	if len(objects) == 0 {
		return
	}
	head := objects[0]
	contract := ContractOf(TypeOf(head.Node))
	for _, o := range objects {
		if o.Unrecognised != "" {
			c.raise(group, Unknown, o.Unrecognised)
		}
		if o.Usage != nil && o.Usage.OpenedBy != "" {
			c.raise(group, Held, "open in "+o.Usage.OpenedBy)
		}
		if o.Note().Missing != "" {
			c.raise(group, Damaged, o.Note().Missing)
		}
	}
	if c.verdict[group].strength() >= Unsure.strength() {
		return
	}
	if doubts := c.doubtsOf(objects, contract); len(doubts) > 0 {
		c.raise(group, Unsure, doubts[0].String())
		c.doubts[group] = doubts
		return
	}
	for _, o := range objects {
		rule := contract.Age
		if o.Medium.Apart() && hasInit(objects) {
			rule = AgeLastChange // it may be a container's, of which the record was lost
		}
		a := c.p.ageOf(&c.g.Host, rule, o)
		if known, ok := c.ages[group]; !ok || a.verdict.strength() > known.verdict.strength() || a.unwalked && !known.unwalked {
			c.ages[group] = a
		}
		c.raise(group, a.verdict, a.text)
	}
}

// doubtsOf lists what keeps a group from being judged: the doubts whose scope
// covers any part of it, each needed source without a complete report, and
// records that contradict each other.
func (c *classifier) doubtsOf(objects []*Object, contract *Contract) []Doubt {
	doubts := c.doubtful.of(objects, contract.Type)
	for _, need := range contract.Needs {
		complete := func(r Report) bool { return r.Source == need && r.Complete }
		told := func(d Doubt) bool { return d.Source == need }
		if !slices.ContainsFunc(c.g.Reports, complete) && !slices.ContainsFunc(doubts, told) {
			doubts = append(doubts, Doubt{Source: need, Where: string(need), Err: "was not read to the end"})
		}
	}
	return doubts
}

func isRecord(k Kind) bool {
	return k == KindChain || k == KindMount || k == KindRemoving
}

// rank orders the objects of a group: what stands for all of it first. That is
// a storage driver's tree, if it has one, and not its image store.
func rank(o *Object) int {
	switch {
	case o.Kind == KindBackend && base(o.Name) == o.Name:
		return 0
	case o.Kind == KindBackend:
		return 1
	case isRecord(o.Kind):
		return 2
	}
	return 3
}

// objectsOf lists the objects of a group, records first.
func (c *classifier) objectsOf(group int32) []*Object {
	var objects []*Object
	for n := group; n >= 0; n = c.next[n] {
		if o := c.g.object(n); o != nil {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(a, b *Object) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})
	return objects
}

// spread carries verdicts of the given kinds along the references, the
// strongest first, so that each group is reached once.
func (c *classifier) spread(verdicts ...Verdict) {
	queues := c.queues(verdicts)
	for _, v := range verdicts {
		carried := v
		if v == Unknown {
			carried = Unsure // what an unknown thing needs may be needed
		}
		for queue := queues[v]; len(queue) > 0; queue = queue[1:] {
			if c.verdict[queue[0]] != v {
				continue // it got a stronger one meanwhile
			}
			for _, to := range c.reach(queue[0], carried) {
				if carried == v {
					queue = append(queue, to)
				} else {
					queues[carried] = append(queues[carried], to)
				}
			}
		}
	}
}

// queues lists the groups that have each of these verdicts.
func (c *classifier) queues(verdicts []Verdict) map[Verdict][]int32 {
	queues := map[Verdict][]int32{}
	for i, v := range c.verdict {
		if int32(i) == c.find(int32(i)) && slices.Contains(verdicts, v) {
			queues[v] = append(queues[v], int32(i))
		}
	}
	return queues
}

// reach gives every group that this one needs at least the verdict v, and
// returns those that had a weaker one.
func (c *classifier) reach(group int32, v Verdict) []int32 {
	var reached []int32
	for _, r := range c.refs.of(group) {
		to := c.find(c.g.refs.at(r).to)
		if v.strength() > c.verdict[to].strength() {
			c.verdict[to], c.via[to], c.cause[to] = v, r, c.cause[group]
			reached = append(reached, to)
		}
	}
	return reached
}
