package main

import (
	"context"

	"github.com/spf13/cobra"

	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/pipeline/run"
)

func newPrompt(a *app) *cobra.Command {
	var who run.Who
	show := &cobra.Command{
		Use: "show", Short: "Show the prompt of one user as the language model sees it", Args: noArgs,
		Long: "Show the prompt of one user as the language model sees it: how many tokens it has, what had to be cut, and which\n" +
			"letter is right. It needs the tables of prepare and candidates, and the vocabulary of ranker.base.",
		Example: "  mllm4rec prompt show --run runs/ml-100k --user 1\n  mllm4rec prompt show -c mine.yaml --source-id A3SGXH7AUHU8GW --split val",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runPromptShow(cmd.Context(), a, who) },
	}
	show.Flags().Int32Var(&who.User, "user", 0, "user_id, as in users.parquet")
	show.Flags().StringVar(&who.SourceID, "source-id", "", "the user's id in the raw logs, instead of --user")
	show.Flags().StringVar(&who.Split, "split", retrieve.Test, "val or test")
	_ = show.RegisterFlagCompletionFunc("split", cobra.FixedCompletions([]string{retrieve.Val, retrieve.Test}, cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return group("prompt", "Show what the language model is asked", show)
}

func runPromptShow(_ context.Context, a *app, who run.Who) error {
	switch {
	case who.User < 0:
		return fail.Usagef("--user %d: users are numbered from 1", who.User)
	case (who.User == 0) == (who.SourceID == ""):
		return fail.Usagef("name one user, with --user or with --source-id")
	}
	loaded, err := a.load(true)
	if err != nil {
		return err
	}
	shown, err := run.ShowPrompt(loaded, who)
	if err != nil {
		return err
	}
	return a.print(shown.String(), shown)
}
