package rank

import (
	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
)

// ExportOptions are those of a graph that ranks as o says; its precision is the caller's.
func ExportOptions(o ModelOptions) (llama.Options, error) {
	builder, known, err := openPrompts(o)
	if err != nil {
		return llama.Options{}, err
	}
	return llama.Options{
		Letters: builder.Letters(), Prefix: builder.Prefix(), MaxLength: o.Limits.PromptTokens, Template: known.template, Tokenizer: known.tokenizer,
	}, nil
}

// CheckPrompts makes sure that prompts as o says can be built and that base can read them.
func CheckPrompts(o ModelOptions, base *llama.Checkpoint) error {
	options, err := ExportOptions(o)
	if err != nil {
		return err
	}
	c := base.Config()
	if o.Limits.PromptTokens > c.MaxPositions {
		return fail.Usagef("ranker.max_tokens is %d, and %s reads %d tokens", o.Limits.PromptTokens, base.Path(), c.MaxPositions)
	}
	for _, letter := range options.Letters {
		if int(letter) >= c.VocabSize {
			return fail.Usagef("%s: its token %d is beyond the vocabulary of %s, which has %d: it belongs to another model", o.Tokenizer, letter, base.Path(), c.VocabSize)
		}
	}
	return nil
}
