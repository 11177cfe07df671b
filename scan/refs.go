package scan

import "iter"

// refsPage is how many references a page holds.
const refsPage = 1 << 14

// refs is a list of references, in pages: one slice would be copied each time
// it grows, and what it left would lie there until it is collected.
type refs struct{ pages [][]ref }

type ref struct {
	from, to int32
	why      Why
}

func (l *refs) add(r ref) {
	last := len(l.pages) - 1
	if last < 0 || len(l.pages[last]) == refsPage {
		l.pages = append(l.pages, make([]ref, 0, refsPage))
		last++
	}
	l.pages[last] = append(l.pages[last], r)
}

func (l *refs) at(i int32) ref { return l.pages[i/refsPage][i%refsPage] }

func (l *refs) len() int {
	if len(l.pages) == 0 {
		return 0
	}
	return (len(l.pages)-1)*refsPage + len(l.pages[len(l.pages)-1])
}

// all yields every reference with its number, in the order of their discovery.
func (l *refs) all() iter.Seq2[int32, ref] {
	return func(yield func(int32, ref) bool) {
		for p, page := range l.pages {
			for i, r := range page {
				if !yield(int32(p*refsPage+i), r) {
					return
				}
			}
		}
	}
}
