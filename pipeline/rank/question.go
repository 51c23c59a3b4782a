package rank

import (
	"context"
	"fmt"
	"iter"
	"time"

	"mllm4rec/data/prompt"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/rank"
)

// Question is a list to rank, as texts that the model's builder made.
type Question struct {
	// History is what a user had, oldest first. Candidates are up to ModelOptions.Candidates.
	History, Candidates []prompt.Text
	// User draws the shuffled orders, where there are such; 0 is nobody in particular.
	User int32
	// Name says in errors whose list it is; "" says nothing.
	Name string
}

// Tally sums up the prompts of questions.
type Tally struct {
	// Cut is what they had to leave out.
	Cut prompt.Cut
	// Prompts is how many there were, Tokens how many they had together.
	Prompts, Tokens int
	// History is the fewest items of a history that one held.
	History int
	// Building is how long it took to make them, most of it while the model was at work on others.
	Building time.Duration
}

// Answer asks the model: out come the log probabilities of each question's candidates, in their order. tally gets what the
// prompts add up to, once the loop has ended. An error is the last that comes.
func (m *Model) Answer(ctx context.Context, questions []Question, tally *Tally) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		var sum []float64
		at, round := 0, 0
		for logits, err := range m.ranker.Stream(ctx, m.prompts(questions, tally)) {
			if err != nil {
				yield(nil, err)
				return
			}
			q := questions[at]
			if round == 0 {
				sum = make([]float64, len(q.Candidates))
			}
			order := m.order(q, round)
			for letter, p := range LogSoftmax(logits[:len(q.Candidates)]) {
				sum[order[letter]] += p
			}
			if round++; round < m.Orders {
				continue
			}
			at, round = at+1, 0
			if !yield(mean(sum, m.Orders), nil) {
				return
			}
		}
	}
}

// order says which candidate stands at each letter.
func (m *Model) order(q Question, round int) []int {
	if round > 0 || m.Order == OrderShuffled {
		return prompt.Shuffle(len(q.Candidates), m.Seed, q.User, round)
	}
	order := make([]int, len(q.Candidates))
	for i := range order {
		order[i] = i
	}
	return order
}

// prompts builds the prompts of all questions, Orders of each one after the other.
func (m *Model) prompts(questions []Question, tally *Tally) iter.Seq2[rank.Prompt, error] {
	return func(yield func(rank.Prompt, error) bool) {
		for _, q := range questions {
			for round := range m.Orders {
				begun := time.Now()
				built, err := m.build(q, round)
				tally.add(built, time.Since(begun))
				if !yield(rank.Prompt{Tokens: built.Tokens, Shared: built.Shared}, err) || err != nil {
					return
				}
			}
		}
	}
}

func (t *Tally) add(p prompt.Prompt, took time.Duration) {
	if t.Prompts == 0 || p.Items < t.History {
		t.History = p.Items
	}
	t.Cut.Add(p.Cut)
	t.Prompts++
	t.Tokens += len(p.Tokens)
	t.Building += took
}

// Prompt is what the model reads of a question, of the first order where there are several.
func (m *Model) Prompt(q Question) (prompt.Prompt, error) { return m.build(q, 0) }

func (m *Model) build(q Question, round int) (prompt.Prompt, error) {
	candidates := make([]prompt.Text, len(q.Candidates))
	for letter, at := range m.order(q, round) {
		candidates[letter] = q.Candidates[at]
	}
	built, err := m.builder.Build(q.History, candidates)
	if err != nil && q.Name != "" {
		err = fmt.Errorf("%s: %w", q.Name, err)
	}
	return built, err
}

// questions puts rows into texts.
func (m *Model) questions(rows []Row) ([]Question, error) {
	all := make([]Question, len(rows))
	for i, row := range rows {
		c := row.Candidates
		history, err := m.pick(c.UserID, row.History)
		if err != nil {
			return nil, err
		}
		candidates, err := m.pick(c.UserID, c.Items)
		if err != nil {
			return nil, err
		}
		all[i] = Question{history, candidates, c.UserID, fmt.Sprintf("user %d, %s", c.UserID, c.Split)}
	}
	return all, nil
}

// pick looks items up.
func (m *Model) pick(user int32, items []int32) ([]prompt.Text, error) {
	texts := make([]prompt.Text, len(items))
	for i, item := range items {
		if item < 1 || int(item) >= len(m.texts) {
			return nil, fail.Usagef("user %d has item %d, and %s has items 1…%d: the tables are of different runs", user, item, m.Items, len(m.texts)-1)
		}
		texts[i] = m.texts[item]
	}
	return texts, nil
}
