package main

import (
	"strings"

	"github.com/spf13/cobra"

	"mllm4rec/internal/fail"
)

const rootLong = `mllm4rec takes raw interaction logs to a trained, exported and evaluated recommender.

  mllm4rec run -c ml-100k      everything: tables, training, ONNX file, candidates, metrics, report

Settings come from, each above the one before: defaults, the recipe (-c), MLLM4REC_SECTION_KEY in the
environment, --set key=value, flags. "mllm4rec config show" lists them all.

Exit codes:
  0    done
  1    the run failed
  2    wrong call, recipe or input file named in them
  130  interrupted; what is finished is kept, and the same command goes on from there`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use: "mllm4rec", Short: "From raw logs to a trained, exported and evaluated recommender", Long: rootLong,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs, RunE: needsSubcommand,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // "invalid argument" says it already
		return fail.Usagef("%s; see %s --help", text, cmd.CommandPath())
	})
	a.addFlags(root)
	root.AddCommand(
		newRun(a), newPrepare(a), newFetch(a), newTrain(a), newExport(a), newCandidates(a), newCaption(a), newRank(a), newEvaluate(a), newReport(a),
		newServe(a),
		newInspect(a), newPrompt(a), newConfig(a), newDoctor(a), newVersion(a),
	)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args, completion.RunE = cobra.ArbitraryArgs, needsSubcommand // cobra's own shows help for any shell, and exits with 0
		for _, shell := range completion.Commands() {
			shell.Args = noArgs // for its exit code
		}
	}
	return root
}

// group is a command that only holds others, such as train.
func group(name, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.ArbitraryArgs, RunE: needsSubcommand}
	cmd.AddCommand(children...)
	return cmd
}

// needsSubcommand runs where no subcommand was named, or an unknown one.
func needsSubcommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	list := strings.Join(names, ", ")
	switch {
	case len(args) == 0 && !cmd.HasParent():
		return cmd.Help()
	case len(args) == 0:
		return fail.Usagef("%s needs a subcommand: %s", cmd.CommandPath(), list)
	}
	for _, edits := range []int{1, 2} { // SuggestionsFor goes by the alphabet, and the nearest is wanted
		cmd.SuggestionsMinimumDistance = edits
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fail.Usagef("unknown command %q; did you mean %s %s?", args[0], cmd.CommandPath(), near[0])
		}
	}
	return fail.Usagef("unknown command %q; %s knows: %s", args[0], cmd.CommandPath(), list)
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fail.Usagef("%s takes no arguments, got %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// oneArg asks for exactly one argument, named what.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fail.Usagef("%s takes one %s, got %d arguments", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}
