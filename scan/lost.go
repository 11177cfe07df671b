package scan

// Lost lists what something in use needs and that is not there, one doubt
// each: its layers or records were lost. Facts contradict each other then, and
// whoever removes anything should know (rule 12).
func Lost(g *Graph, p Policy) []Doubt {
	c := newClassifier(g, p)
	c.run()
	var lost []Doubt
	for _, d := range c.dangling() {
		if c.verdict[c.find(g.id(d.Of))] == Used {
			lost = append(lost, d)
		}
	}
	for _, d := range g.Doubts {
		if d.Source == SourceAPI && d.Scope.Backend != "" { // the daemon knows it, and the disk does not
			lost = append(lost, d)
		}
	}
	return lost
}

// Pinned lists what only the memory of the running daemon keeps: orphans as
// soon as it was restarted. Their parts are the graph's objects.
func Pinned(g *Graph, p Policy) []Finding {
	is := func(m Mark) bool { return m.Node.Kind == KindMemory }
	restarted := *g
	restarted.Marks = nil
	for _, m := range g.Marks {
		if !is(m) {
			restarted.Marks = append(restarted.Marks, m)
		}
	}
	if len(restarted.Marks) == len(g.Marks) {
		return nil
	}
	now := map[Node]bool{}
	for _, f := range Classify(g, p) {
		if f.Verdict == Orphan {
			now[f.Parts[0].Node] = true
		}
	}
	var pinned []Finding
	for _, f := range Classify(&restarted, p) {
		if f.Verdict == Orphan && !now[f.Parts[0].Node] {
			pinned = append(pinned, f)
		}
	}
	return pinned
}
