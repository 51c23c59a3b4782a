package rank

import (
	"errors"
	"slices"

	"mllm4rec/data/prompt"
	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/rank"
)

// The orders in which a prompt lists candidates.
const (
	OrderRetriever = "retriever"
	OrderShuffled  = "shuffled"
)

// ModelOptions say what ranks and how it is asked.
type ModelOptions struct {
	// File is a ranker's ONNX file, Tokenizer the folder or file with its vocabulary, Template a template's name or file.
	File, Tokenizer, Template string
	Limits                    prompt.Limits
	// Items is the table of titles, Captions that of captions; "" is none. With CaptionsOnly they stand in the place of titles.
	Items, Captions string
	CaptionsOnly    bool
	// Candidates is the most that a list holds.
	Candidates int
	// Order is OrderRetriever or OrderShuffled, by Seed and user. With more than 1 of Orders, each list is asked for so many
	// times, from the second on in shuffled orders, and the log probabilities are averaged.
	Order  string
	Orders int
	Seed   int64
	// ORT says what the model runs on.
	ORT ort.Options
}

// Model is an opened language model with what it takes to ask it.
type Model struct {
	ModelOptions
	ranker  *rank.Ranker
	builder *prompt.Builder
	texts   []prompt.Text
}

// Open opens the model and makes sure that tokenizer, template and letters are those that it was exported with.
func Open(o ModelOptions) (*Model, error) {
	builder, known, err := openPrompts(o)
	if err != nil {
		return nil, err
	}
	ranker, err := rank.Open(o.File, o.ORT)
	if err != nil {
		return nil, err
	}
	m := &Model{ModelOptions: o, ranker: ranker, builder: builder}
	if err = m.match(known); err == nil {
		m.texts, err = builder.ReadItems(o.Items, o.Captions, o.CaptionsOnly)
	}
	if err != nil {
		return nil, errors.Join(err, ranker.Close())
	}
	return m, nil
}

// fingerprints tell which prompts a model is made for.
type fingerprints struct{ template, tokenizer string }

func openPrompts(o ModelOptions) (*prompt.Builder, fingerprints, error) {
	tok, err := tokenizer.Open(o.Tokenizer)
	if err != nil {
		return nil, fingerprints{}, err
	}
	template, err := prompt.Load(o.Template)
	if err != nil {
		return nil, fingerprints{}, err
	}
	builder, err := prompt.New(tok, template, o.Limits, o.Candidates)
	return builder, fingerprints{template.Fingerprint(), tok.Fingerprint()}, err
}

// match compares the prompts with what the model's file says of itself.
func (m *Model) match(known fingerprints) error {
	letters := m.builder.Letters()
	said := m.ranker.Info().Metadata
	switch {
	case said["mllm4rec.tokenizer"] != known.tokenizer:
		return fail.Usagef("%s was exported with another vocabulary than that of %s: name its own in ranker.tokenizer, or export it anew", m.File, m.Tokenizer)
	case said["mllm4rec.template"] != known.template:
		return fail.Usagef("%s was exported for another prompt than %q: name its own in ranker.template, or export it anew", m.File, m.Template)
	case len(letters) > m.ranker.Letters() || !slices.Equal(letters, m.ranker.LetterTokens()[:len(letters)]):
		return fail.Usagef("%s scores %d letters, and the lists have up to %d candidates: export it anew", m.File, m.ranker.Letters(), len(letters))
	case m.Limits.PromptTokens > m.ranker.MaxLength():
		return fail.Usagef("%s reads %d tokens, ranker.max_tokens is %d: export it anew", m.File, m.ranker.MaxLength(), m.Limits.PromptTokens)
	}
	return nil
}

// Provider is what the model runs on, such as "cpu".
func (m *Model) Provider() string { return m.ranker.Provider() }

// Ranker is the opened file.
func (m *Model) Ranker() *rank.Ranker { return m.ranker }

// Builder makes the model's prompts.
func (m *Model) Builder() *prompt.Builder { return m.builder }

// Texts are those of the table's items, by item_id; 0 is unused. The caller does not change them.
func (m *Model) Texts() []prompt.Text { return m.texts }

// Close frees the model.
func (m *Model) Close() error { return m.ranker.Close() }
