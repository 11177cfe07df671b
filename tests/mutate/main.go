// Command mutate breaks the scan and prune on purpose, one check of one rule at a time,
// and expects some test to say so. A break that no test notices is a check
// that may as well not be there.
//
//	go run ./tests/mutate [-run REGEXP] [-stages N] [-trust] [-list]
//
// It works on a copy of the module; see table.go for how to add a break.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	pick := flag.String("run", "", "only the breaks whose rule, file or description match")
	trust := flag.Bool("trust", false, "do not run the tests without any break first")
	asked := flag.Int("stages", len(stages), "ask so many stages of tests: the first is that of the golden roots")
	list := flag.Bool("list", false, "list them and run none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	wanted, err := chosen(*pick)
	if err == nil && *list {
		for _, m := range wanted {
			fmt.Println(m)
		}
		return
	}
	if err == nil {
		err = run(ctx, os.Stdout, wanted, stages[:min(*asked, len(stages))], *trust)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// chosen are the mutations that match.
func chosen(pick string) ([]mutation, error) {
	match, err := regexp.Compile(pick)
	if err != nil {
		return nil, err
	}
	var wanted []mutation
	for _, m := range mutations() {
		if match.MatchString(m.String()) {
			wanted = append(wanted, m)
		}
	}
	return wanted, nil
}

// run tries the mutations one after the other. That one survives, does not
// apply or does not compile is an error at the end.
func run(ctx context.Context, out io.Writer, wanted []mutation, stages [][]string, trust bool) error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a copy
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if err := copyModule(root, dir); err != nil {
		return err
	}
	t := &tester{dir: dir, stages: stages}
	if !trust {
		if slices.ContainsFunc(wanted, func(m mutation) bool { return strings.HasPrefix(m.file, "prune/") }) {
			stages = slices.Concat(removal, stages)
		}
		if test, err := t.test(ctx, stages); err != nil || test != "" {
			return fmt.Errorf("without any break, test %q is red: %w", test, err)
		}
	}
	survived := 0
	for _, m := range wanted {
		began := time.Now()
		said, ok := t.try(ctx, m)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !ok {
			survived++
		}
		fmt.Fprintf(out, "%-8s %s: %s (%s)\n", said.verdict, m, said.by, time.Since(began).Round(time.Second))
	}
	fmt.Fprintf(out, "%d breaks, %d not noticed\n", len(wanted), survived)
	if survived > 0 {
		return fmt.Errorf("%d breaks not noticed", survived)
	}
	return nil
}

// copyModule copies what the tests need: everything but the repository and
// what was built.
func copyModule(from, to string) error {
	for _, name := range []string{"go.mod", "go.sum", "cmd", "plugin", "prune", "scan", "tests", "README.md"} {
		source := filepath.Join(from, name)
		info, err := os.Stat(source)
		switch {
		case err != nil:
			return err
		case info.IsDir():
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(source))
		default:
			var data []byte
			if data, err = os.ReadFile(source); err == nil {
				err = os.WriteFile(filepath.Join(to, name), data, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
