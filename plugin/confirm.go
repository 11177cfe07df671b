package plugin

import (
	"context"
	"strings"

	"github.com/docker/cli/cli/command"
)

// question is what the docker CLI asks before it removes anything.
const question = "Are you sure you want to continue?"

// confirm shows a warning and asks, as the docker CLI does: anything but "y"
// is no, and so is the end of the input. Ctrl-C ends the program.
func confirm(ctx context.Context, dockerCLI command.Cli, warning string) (bool, error) {
	message := warning + "\n" + question
	yes, err := command.PromptForConfirmation(ctx, dockerCLI.In(), dockerCLI.Out(), message) //nolint:staticcheck // what replaces it is internal to the docker CLI
	if err != nil {
		return false, silentExit(exitInterrupted) // it has printed a newline
	}
	return yes, nil
}

// confirmTyped shows a warning and asks for a text to be typed: what hardly
// anybody wants to do is not done by habit. Anything else is no.
func confirmTyped(ctx context.Context, dockerCLI command.Cli, warning, text string) (bool, error) {
	message := warning + "\nType \"" + text + "\" to go on: "
	typed, err := command.PromptForInput(ctx, dockerCLI.In(), dockerCLI.Out(), message) //nolint:staticcheck // what replaces it is internal to the docker CLI
	if err != nil {
		return false, silentExit(exitInterrupted)
	}
	return strings.TrimSpace(typed) == text, nil
}

// A warning is what is shown before a person is asked.
type warning struct {
	now     breakdown // freed at once, or by the daemon
	aside   breakdown // goes to quarantine
	until   string    // when that ends
	expired breakdown // in quarantine until now, freed for good
	filters []string
	volumes []string // the names of those that go
	next    string   // which storage driver the daemon chooses when it starts; "" if that stays
	dry     bool     // nothing of it is done

	exportable bool // images go that export can write
}

// text is the warning in the docker CLI's form.
func (w *warning) text() string {
	var b strings.Builder
	begin := "WARNING! This will "
	if w.dry {
		begin = "This would "
	}
	list := func(what string, lines []string) {
		if len(lines) > 0 {
			b.WriteString(begin + what + "\n  - " + strings.Join(lines, "\n  - ") + "\n")
			begin = "and "
		}
	}
	list("remove:", w.now.lines())
	list("put into quarantine until "+w.until+":", w.aside.lines())
	list("free for good, from quarantine:", w.expired.lines())
	if len(w.volumes) > 0 {
		b.WriteString("Volumes that go: " + strings.Join(w.volumes, ", ") + "\n")
	}
	if w.next != "" {
		b.WriteString(w.next + "\n")
	}
	if w.exportable {
		b.WriteString("Images of it can be written to an archive first: docker orphans export IMAGE\n")
	}
	if begin = ""; len(w.filters) > 0 {
		b.WriteString("\n")
		list("  Items to be pruned will be filtered with:", w.filters)
	}
	return b.String()
}
