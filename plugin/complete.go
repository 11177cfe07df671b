package plugin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// completionTime is how long a person waits for a completion of ids.
const completionTime = 5 * time.Second

// completeFlag says how a flag's value is completed.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag is bound by the caller
	}
}

// fixed completes to one of a few words.
func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completeFormat completes --format of ls.
func completeFormat() cobra.CompletionFunc {
	return fixed(formatter.TableFormatKey, formatter.JSONFormatKey)
}

// completeFilter completes filter keys, and the values of those that have a
// list of them.
func completeFilter(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	key, _, hasValue := strings.Cut(typed, "=")
	if !hasValue {
		var keys []string
		for _, k := range filterKeys {
			keys = append(keys, k.name+"=")
		}
		return keys, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	var pairs []string
	for _, value := range valuesOf(key) {
		pairs = append(pairs, key+"="+value)
	}
	return pairs, cobra.ShellCompDirectiveNoFileComp
}

// valuesOf lists the values that a filter key takes, if they are a list.
func valuesOf(key string) []string {
	var values []string
	switch key {
	case "type":
		for _, c := range scan.Contracts {
			values = append(values, string(c.Type))
		}
	case "verdict":
		for _, v := range scan.Verdicts() {
			values = append(values, v.String())
		}
	case "backend":
		for i := range driver.All { // those that cannot be scanned too: what they left is listed
			values = append(values, driver.All[i].Name)
		}
	}
	return values
}

// completeIDs completes the ids of findings that are not in use. It is silent
// about whatever keeps it from knowing them.
func completeIDs(dockerCLI command.Cli, global *globalOptions) cobra.CompletionFunc {
	return completeFindings(dockerCLI, global, func(v scan.Verdict) bool { return v != scan.Used })
}

// completeOrphans completes the ids of orphans, and of what may have been
// restored.
func completeOrphans(dockerCLI command.Cli, global *globalOptions) cobra.CompletionFunc {
	return completeFindings(dockerCLI, global, func(v scan.Verdict) bool { return v == scan.Orphan || v == scan.Kept })
}

func completeFindings(dockerCLI command.Cli, global *globalOptions, offer func(scan.Verdict) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		seen, err := global.lookFor(ctx, dockerCLI, &progress{}, lookOptions{omitUsed: true, silent: true})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		_ = seen.close() // nothing was written
		var ids []string
		for _, f := range seen.findings {
			if offer(f.Verdict) && !slices.Contains(args, shortID(f)) {
				ids = append(ids, scan.Printable(shortID(f)))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
