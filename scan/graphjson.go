package scan

import (
	"encoding/json"
	"fmt"
)

// graphJSON is the wire form of a Graph: nodes once, references by number.
type graphJSON struct {
	Host    Host             `json:"host"`
	Reports []Report         `json:"reports"`
	Doubts  []Doubt          `json:"doubts,omitempty"`
	Nodes   []Node           `json:"nodes"`
	Refs    []refJSON        `json:"refs,omitempty"`
	Marks   []Mark           `json:"marks,omitempty"`
	Objects []Object         `json:"objects,omitempty"`
	Titles  map[int32]string `json:"titles,omitempty"`
}

type refJSON struct {
	From int32 `json:"from"`
	To   int32 `json:"to"`
	Why  Why   `json:"why"`
}

// MarshalJSON writes the whole graph.
func (g *Graph) MarshalJSON() ([]byte, error) {
	out := graphJSON{
		Host: g.Host, Reports: g.Reports, Doubts: g.Doubts, Nodes: g.nodes,
		Marks: g.Marks, Objects: g.Objects, Titles: g.titles,
	}
	for _, r := range g.refs.all() {
		out.Refs = append(out.Refs, refJSON{r.from, r.to, r.why})
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what [Graph.MarshalJSON] wrote.
func (g *Graph) UnmarshalJSON(data []byte) error {
	var in graphJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	*g = *NewGraph()
	g.Host, g.Reports, g.Doubts, g.Marks = in.Host, in.Reports, in.Doubts, in.Marks
	for _, n := range in.Nodes {
		g.id(n)
	}
	if len(g.nodes) != len(in.Nodes) {
		return fmt.Errorf("graph: a node appears twice")
	}
	valid := func(id int32) bool { return id >= 0 && int(id) < len(g.nodes) }
	for _, r := range in.Refs {
		if !valid(r.From) || !valid(r.To) {
			return fmt.Errorf("graph: reference %d → %d: no such node", r.From, r.To)
		}
		g.refs.add(ref{r.From, r.To, r.Why})
	}
	for _, o := range in.Objects {
		g.Add(o)
	}
	for id, t := range in.Titles {
		if !valid(id) {
			return fmt.Errorf("graph: title of %d: no such node", id)
		}
		g.titles[id] = t
	}
	return nil
}
