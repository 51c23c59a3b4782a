package run

import (
	"mllm4rec/configs"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/rank"
)

// Who names a user, by user_id or by the id in the raw logs, and one of the user's prompts: that of split val or test.
type Who struct {
	User     int32
	SourceID string
	Split    string
}

// ShowPrompt builds the prompt that the rank stage asks the language model about a user. It reads the run's tables and
// changes nothing.
func ShowPrompt(config *configs.Loaded, who Who) (rank.Shown, error) {
	p := &pipeline{Options: Options{Config: config}, dir: config.Out}
	if config.Ranker.Base == "" && config.Ranker.Tokenizer == "" {
		return rank.Shown{}, fail.Usagef("the recipe has no language model; name one in ranker.base, or its vocabulary in ranker.tokenizer")
	}
	return rank.Show(rank.ShowOptions{
		Options: rank.Options{Sequences: p.path("sequences.parquet"), Candidates: p.path("candidates.parquet"), Model: p.rankModel()},
		Users:   p.path("users.parquet"), User: who.User, SourceID: who.SourceID, Split: who.Split,
	})
}
