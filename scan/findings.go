package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// findings turns the judged groups into findings, sorted by type, id and
// backend.
func (c *classifier) findings() []Finding {
	var out []Finding
	for i := range c.group {
		if int32(i) != c.find(int32(i)) || c.p.OmitUsed && c.verdict[i] == Used {
			continue
		}
		if objects := c.objectsOf(int32(i)); len(objects) > 0 {
			out = append(out, c.finding(int32(i), objects))
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(typeOrder(a.Type), typeOrder(b.Type)),
			strings.Compare(a.ID, b.ID),
			strings.Compare(a.Backend, b.Backend),
			strings.Compare(a.Parts[0].Name, b.Parts[0].Name),
		)
	})
	return out
}

func typeOrder(t Type) int {
	return slices.IndexFunc(Contracts, func(c Contract) bool { return c.Type == t })
}

func (c *classifier) finding(group int32, objects []*Object) Finding {
	head := objects[0]
	contract := ContractOf(TypeOf(head.Node))
	f := Finding{
		ID: findingID(head.Node), Type: contract.Type, Backend: head.Backend,
		Verdict: c.verdict[group], Parts: objects, Labels: head.Note().Labels,
		Reason: c.reasonFor(group, contract), Age: c.ages[group].text, Doubts: c.doubts[group],
	}
	for _, o := range objects {
		f.Was = cmp.Or(f.Was, o.Note().Was)
		f.Origin = cmp.Or(f.Origin, o.Note().Origin)
	}
	if head.Kind == KindVolume && head.Unrecognised == "" {
		f.Was = cmp.Or(f.Was, c.g.Host.known(head, f.Size().Telling))
	}
	if contract.Unknown == UnknownMatches {
		f.Labels.Known = true // such things have no labels, and no owner that could have any
	}
	if contract.Default.precious() {
		f.Precious = len(f.Size().Telling) > 0
	}
	f.Unwalked = c.unwalked(group, &f, contract)
	if f.Verdict == Orphan {
		f.NotMine = c.exception(&f, contract)
		f.Default = f.NotMine == ""
	}
	if cause := c.cause[group]; f.Verdict == Unsure && len(f.Doubts) == 0 {
		f.Doubts = c.doubts[cause]
	}
	return f
}

// unwalked reports whether a walk can change what is said of the finding: its
// age, whether it is precious, or whether a process has a file of it open.
func (c *classifier) unwalked(group int32, f *Finding, contract *Contract) bool {
	switch f.Verdict {
	case Young:
		return c.ages[group].unwalked
	case Orphan:
		matters := contract.Default.precious() || len(c.g.Host.Strays) > 0
		if contract.Default == DefaultNever {
			return false
		}
		if contract.Default == DefaultNo { // it may be large, and goes only if it is named
			matters = len(c.g.Host.Strays) > 0 && c.p.Walk[f.Parts[0].Node]
		}
		return matters && slices.ContainsFunc(f.Parts, func(o *Object) bool { return o.Usage == nil })
	}
	return false
}

// exception says why prune leaves an orphan alone unless it is named; "" if
// it does not.
func (c *classifier) exception(f *Finding, contract *Contract) string {
	if why := f.Stays(&c.g.Host); why != "" {
		return why
	}
	if why := f.named(&c.g.Host); why != "" {
		return why
	}
	switch contract.Default {
	case DefaultYes:
		return ""
	case DefaultUnlessLostTag:
		if lost := c.g.Host.LostTags; len(lost) > 0 && f.Origin == "" {
			return lost[0] + " has lost its image, and this may be it"
		}
		return ""
	case DefaultUnlessPrecious:
		return c.holds(f)
	case DefaultUnlessNamed, DefaultAllVolumes:
		return c.volumeException(f)
	case DefaultNever:
		return "it is only reported"
	}
	return "only if it is named"
}

// holds says what a precious finding holds; "" of any other, and if prune takes
// those too.
func (c *classifier) holds(f *Finding) string {
	if !f.Precious || c.p.IncludePrecious {
		return ""
	}
	return "it holds " + strings.Join(f.Size().Telling, ", ") + "; only with --include-precious"
}

// volumeException is exception for volumes.
func (c *classifier) volumeException(f *Finding) string {
	o := f.Parts[0]
	for _, r := range c.refs.of(c.find(c.g.id(o.Node))) {
		if to := c.g.nodes[c.g.refs.at(r).to]; to.Kind == KindRoot {
			return "it holds the data root of another daemon; only if it is named"
		}
	}
	host, holds := &c.g.Host, c.holds(f)
	switch {
	case c.p.AllVolumes, f.Type == TypeVolume && (host.anonymous(o) || host.unlisted(o)):
		return holds
	case holds != "":
		return holds + " and --all-volumes"
	case f.Type == TypeBuilder:
		return "a builder on another machine, or of another user, may want it back; prune takes it with --all-volumes"
	}
	return "somebody named it; prune takes it with --all-volumes"
}

// reasonFor puts the verdict in a few words.
func (c *classifier) reasonFor(group int32, contract *Contract) string {
	v, cause := c.verdict[group], c.cause[group]
	if v == Orphan {
		head := c.objectsOf(group)[0]
		if contents := head.Note().Contents; contents != nil {
			return contract.Reason + "; " + contents.Back()
		}
		if head.Kind == KindMountPoint {
			return "its container is gone"
		}
		return contract.Reason
	}
	own := c.reason[cause]
	if cause == group {
		if v == Used {
			return "used by " + own
		}
		return own
	}
	if v == Used {
		return "used by " + own
	}
	return fmt.Sprintf("needed by %s: %s", c.g.TitleOf(c.headOf(cause)), own)
}

// headOf is the node that a group is known by.
func (c *classifier) headOf(group int32) Node {
	if objects := c.objectsOf(group); len(objects) > 0 {
		return objects[0].Node
	}
	return c.g.nodes[group]
}

// findingID is the id by which a user names a finding.
func findingID(n Node) string {
	if n.Kind == KindMount {
		if _, name, ok := strings.Cut(n.Name, "/layerdb/mounts/"); ok {
			return name
		}
	}
	if n.Kind == KindRoot {
		return n.Name
	}
	return base(n.Name)
}
