package plugin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli/command"

	"github.com/docker-orphans/docker-orphans/scan"
)

// question is what the docker CLI asks before it removes anything.
const question = "Are you sure you want to continue?"

// confirm shows a warning and asks, as the docker CLI does: anything but "y"
// is no, and so is the end of the input. Ctrl-C ends the program.
func confirm(ctx context.Context, dockerCLI command.Cli, warning string) (bool, error) {
	said, err := answer(ctx, dockerCLI, warning+"\n"+question+" [y/N] ")
	return strings.EqualFold(said, "y"), err
}

// confirmTyped shows a warning and asks for a text to be typed: what hardly
// anybody wants to do is not done by habit. Nothing, and the end of the input,
// is no. Another text is a mistake, which is told.
func confirmTyped(ctx context.Context, dockerCLI command.Cli, warning, text string) (bool, error) {
	typed, err := answer(ctx, dockerCLI, warning+"\nType \""+text+"\" to go on: ")
	switch {
	case err != nil:
		return false, err
	case typed == "":
		_, _ = fmt.Fprintln(dockerCLI.Err(), "Nothing was removed.")
		return false, nil
	case typed != text:
		return false, fmt.Errorf("%s: \"%s\" was typed instead, so nothing was removed", text, scan.Printable(typed))
	}
	return true, nil
}

// answer asks and returns the line that is typed, without the space around it.
// The end of the input is an empty line.
func answer(ctx context.Context, dockerCLI command.Cli, asks string) (string, error) {
	if _, err := io.WriteString(dockerCLI.Out(), asks); err != nil {
		return "", err // nobody has seen what it is about
	}
	said := make(chan string, 1) // Ctrl-C does not wait for it
	go func() {
		lines := bufio.NewScanner(dockerCLI.In())
		if !lines.Scan() {
			_, _ = fmt.Fprintln(dockerCLI.Out()) // as Enter does
		}
		said <- strings.TrimSpace(lines.Text())
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(dockerCLI.Out())
		return "", silentExit(exitInterrupted)
	case text := <-said:
		return text, nil
	}
}

// A warning is what is shown before a person is asked.
type warning struct {
	root    string    // whose storage it is
	now     breakdown // freed at once, or by the daemon
	aside   breakdown // goes to quarantine
	until   string    // when that ends
	expired breakdown // in quarantine until now, freed for good
	filters []string
	volumes []string // the names of those that go
	next    string   // which storage driver the daemon chooses when it starts; "" if that stays
	dry     bool     // nothing of it is done

	exportable bool   // images go that export can write
	command    string // how to call docker orphans on this data root
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
	b.WriteString("Data root: " + scan.Printable(w.root) + "\n")
	if len(w.volumes) > 0 {
		b.WriteString("Volumes that go: " + strings.Join(w.volumes, ", ") + "\n")
	}
	if w.next != "" {
		b.WriteString(w.next + "\n")
	}
	if w.exportable {
		b.WriteString("Images of it can be written to an archive first: " + w.command + " export IMAGE\n")
	}
	if begin = ""; len(w.filters) > 0 {
		b.WriteString("\n")
		list("  Items to be pruned will be filtered with:", w.filters)
	}
	return b.String()
}
