package plugin

import (
	"fmt"
	"io"
	"time"

	"github.com/docker/cli/cli/streams"
	"github.com/docker/go-units"
	"github.com/morikuni/aec"
)

// A progress is one line on standard error that says what goes on. It is
// there only while standard error is a terminal.
type progress struct {
	w     io.Writer // nil: not a terminal
	last  time.Time
	shown bool
}

func newProgress(out *streams.Out) *progress {
	if !out.IsTerminal() {
		return &progress{}
	}
	return &progress{w: out}
}

// show replaces the line.
func (p *progress) show(text string) {
	if p.w == nil {
		return
	}
	p.last, p.shown = time.Now(), true
	_, _ = fmt.Fprint(p.w, "\r"+text+aec.EraseLine(aec.EraseModes.Tail).String())
}

// count shows how far a long step is, at most ten times a second.
func (p *progress) count(step string, done, total int) {
	if done < total && time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.show(fmt.Sprintf("%s %d/%d", step, done, total))
}

// bytes shows how much of a long step is done, at most ten times a second.
func (p *progress) bytes(step string, done, total int64) {
	if time.Since(p.last) >= 100*time.Millisecond {
		p.show(fmt.Sprintf("%s %s/%s", step, units.HumanSize(float64(done)), units.HumanSize(float64(total))))
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.w, "\r"+aec.EraseLine(aec.EraseModes.Tail).String())
	}
	p.shown = false
}
