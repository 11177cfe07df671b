package plugin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/whose"
)

// whichOptions are what which can be told.
type whichOptions struct {
	null   bool
	format string
	what   []string
}

// fromInput stands for a list on standard input.
const fromInput = "-"

func newWhichCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options whichOptions
	cmd := &cobra.Command{
		Use:   "which [OPTIONS] PATH|ID [PATH|ID...] | -",
		Short: "Tell what a path or an id below the data root or containerd's belongs to",
		Long: "Tell what paths or ids belong to: which layer of which image and what made it, which\n" +
			"container's writable layer, which build record, whose quarantine. A path may lead there\n" +
			"through links and mounts. Of containerd's root: which blob or layer of which image, and\n" +
			"which container, build record or lease keeps it.\n\n" +
			"With - they are read from standard input, and each line is printed with its answer:\n\n" +
			"    du -d1 /var/lib/docker/overlay2 | docker orphans which -" +
			exitHelp(exitDone, exitError, exitUsage, exitInterrupted),
		Args:              usage(cli.RequiresMinArgs(1)),
		ValidArgsFunction: completeIDs(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.what = args
			return runWhich(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.null, "null", "z", false, "What is read and printed ends with a NUL instead of a newline")
	f.StringVar(&options.format, "format", "", `Format of the output: "json"`)
	completeFlag(cmd, "format", fixed(formatter.JSONFormatKey))
	return cmd
}

func runWhich(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options whichOptions) error {
	piped := len(options.what) == 1 && options.what[0] == fromInput
	switch {
	case options.format != "" && options.format != formatter.JSONFormatKey:
		return usageError("invalid --format %s (valid: json)", options.format)
	case options.null && !piped:
		return usageError("conflicting options: --null is about standard input, so it needs -")
	}
	seen, err := global.lookFor(ctx, dockerCLI, newProgress(dockerCLI.Err()), lookOptions{containerd: true})
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }() // nothing was written
	w := &which{index: whose.NewIndex(seen.in, seen.graph, seen.findings, seen.containerd), root: seen.in.DataRoot, json: options.format != "", end: "\n"}
	switch c := seen.containerd; {
	case seen.containerdErr != nil:
		w.apart = "; " + seen.containerdTrouble()[0]
	case c.Below == "":
		w.apart = " or containerd's " + c.Path
	}
	if seen.containerd != nil {
		for _, line := range seen.containerdTrouble() {
			_, _ = fmt.Fprintf(dockerCLI.Err(), "WARNING: %s\n", line)
		}
	}
	if options.null {
		w.end = "\x00"
	}
	if piped {
		return w.annotate(ctx, dockerCLI.In(), dockerCLI.Out())
	}
	return w.list(dockerCLI.Out(), options.what)
}

// which answers questions about one scan.
type which struct {
	index *whose.Index
	root  string
	apart string // what is known of containerd's root, for what is not below the data root
	json  bool
	end   string // of what is read and printed
}

// list answers for arguments, a line each.
func (w *which) list(out io.Writer, what []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	var problems []error
	for _, text := range what {
		answers, err := w.ask(text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, a := range answers {
			if w.json {
				err = w.object(out, text, a)
			} else {
				_, err = fmt.Fprintf(table, "%s\t%s\n", scan.Printable(text), a)
			}
			problems = append(problems, err)
		}
	}
	return errors.Join(append([]error{table.Flush()}, problems...)...)
}

// annotate prints every line that it reads, with its answer.
func (w *which) annotate(ctx context.Context, in io.Reader, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	var problems []error
	for l := range readLines(ctx, in, w.end[0]) {
		if l.err != nil {
			problems = append(problems, l.err)
			continue
		}
		if err := w.line(buffered, l.text); err != nil {
			return err
		}
	}
	return errors.Join(append(problems, buffered.Flush(), ctx.Err())...)
}

// line answers for one line of input.
func (w *which) line(out io.Writer, line string) error {
	text := w.named(line)
	var answers []*whose.Answer
	var says []string
	if text != "" {
		var err error
		if answers, err = w.ask(text); err != nil {
			says = []string{scan.Printable(err.Error())}
		}
	}
	if w.json {
		var problems []error
		for _, a := range answers {
			problems = append(problems, w.object(out, text, a))
		}
		if len(answers) == 0 && text != "" {
			problems = append(problems, w.object(out, text, &whose.Answer{}))
		}
		return errors.Join(problems...)
	}
	for _, a := range answers {
		says = append(says, a.String())
	}
	if w.end == "\n" {
		line = printableLine(line)
	}
	if len(says) > 0 {
		line += "\t" + strings.Join(says, "; or ")
	}
	_, err := io.WriteString(out, line+w.end)
	return err
}

// printableLine is a line as a terminal may show it. Its columns stay.
func printableLine(line string) string {
	columns := strings.Split(line, "\t")
	for i := range columns {
		columns[i] = scan.Printable(columns[i])
	}
	return strings.Join(columns, "\t")
}

// named is what a line is about: the path in it, to its end, as du and ls -l
// print it, or else its last word. Where lines end with a NUL, all of it.
func (w *which) named(line string) string {
	if w.end != "\n" {
		return line
	}
	for i := range line {
		if line[i] == '/' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[i:]
		}
	}
	if words := strings.Fields(line); len(words) > 0 {
		return words[len(words)-1]
	}
	return ""
}

// ask asks for a path, if it has a slash, or else for an id.
func (w *which) ask(text string) ([]*whose.Answer, error) {
	if !strings.Contains(text, "/") && text != "." && text != ".." {
		answers := w.index.ID(text)
		if len(answers) == 0 {
			return nil, fmt.Errorf("no such object: %s", text)
		}
		return answers, nil
	}
	abs, err := filepath.Abs(text)
	if err != nil {
		return nil, err
	}
	a, err := w.index.Path(abs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if a.Name == "" {
		return nil, fmt.Errorf("%s: not below the data root %s%s", text, w.root, w.apart)
	}
	return []*whose.Answer{a}, nil
}

// whichJSON is one answer. Its field names stay, as those of ls do.
type whichJSON struct {
	Schema     int
	Query      string
	Path       string // absolute: of what it is; "" if it is nothing below the data root
	Known      bool
	Verdict    string // "" where nothing is judged
	Type       string
	ID         string
	Backend    string
	Place      string
	Record     string // what it is to containerd; "" if it is not there
	Images     []whose.Layer
	Containers []string
	Others     []string
	Text       string
}

func (w *which) object(out io.Writer, query string, a *whose.Answer) error {
	j := whichJSON{
		Schema: schemaVersion, Query: query, Known: a.Known(), Place: a.Place, Record: a.Record,
		Images: append([]whose.Layer{}, a.Images...), Containers: append([]string{}, a.Containers...), Others: append([]string{}, a.Others...),
		Text: a.String(),
	}
	switch {
	case a.Root != "":
		j.Path = filepath.Join(a.Root, a.Name)
	case a.Name != "":
		j.Path = filepath.Join(w.root, a.Name)
	}
	if f := a.Finding; f != nil {
		j.Verdict, j.Type, j.ID, j.Backend = f.Verdict.String(), string(f.Type), f.ID, f.Backend
	}
	raw, err := safeJSON(json.Marshal(j))
	if err == nil {
		_, err = out.Write(append(raw, w.end...))
	}
	return err
}
