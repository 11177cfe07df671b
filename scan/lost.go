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

// Restarted is what would be found if the daemon had just been restarted: what
// only its memory keeps is an orphan then. It is nil if its memory keeps
// nothing. Parts are the graph's objects.
func Restarted(g *Graph, p Policy) []Finding {
	restarted := *g
	restarted.Marks = nil
	for _, m := range g.Marks {
		if m.Node.Kind != KindMemory {
			restarted.Marks = append(restarted.Marks, m)
		}
	}
	if len(restarted.Marks) == len(g.Marks) {
		return nil
	}
	return Classify(&restarted, p)
}
