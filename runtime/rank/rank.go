// Package rank scores candidates by a language model that export/llama wrote and ONNX Runtime runs: in go the token ids
// of prompts, out come the logits of the letters that stand for the candidates.
//
// What prompts have in common is computed once. The prefix that all prompts begin with (the instruction) is kept as keys
// and values from the first call on. Of neighbouring prompts that share more than it, such as several candidate lists or
// orders of one user, the shared part is computed once for them and dropped after the last. With Keep, beginnings that come
// again in later calls, such as the history of a user who returns, are kept within a bound of bytes.
//
// On the CPU each core works on one prompt at a time, whoever asks, on one thread: padding a batch costs more there than it saves. On a
// GPU prompts of like length are padded to batches. Memory grows with the number of prompts at work and never with the
// number of prompts.
package rank

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

// Prompt is what the model reads.
type Prompt struct {
	// Tokens are the ids, BOS included where the model has one. The last one is that before the letter.
	Tokens []int32
	// Shared is how many of the first tokens are worth keeping, since later prompts may begin with them; see Keep.
	Shared int
}

// Ranker is an opened model. Score and Stream may be called from several goroutines at once; Close may not run beside
// them.
type Ranker struct {
	session *ort.Session
	path    string
	sizes
	prefix  []int32
	letters []int32
	workers int
	tokens  int // of a batch, padding included; 0: one prompt at a time, and runs give keys and values
	scratch sync.Pool
	places  chan struct{} // one for each run that is under way
	memory  *memory

	mutex sync.Mutex
	kept  *cache // of the prefix, once it is computed
}

// sizes are what the metadata tells.
type sizes struct {
	layers, kvHeads, headSize int
	vocabulary, maxLength     int
}

// Bounds of what a model file may claim, far above any model's.
const (
	maxLayers     = 1 << 12
	maxWidth      = 1 << 16
	maxVocabulary = 1 << 24
	maxPositions  = 1 << 20
	maxTokenBytes = 16 << 20 // of a token's keys and values; a Llama of 65 billion parameters has a third of it
)

// What a batch on a GPU may take: tokens, padding included, and bytes of keys and values, which a model of float16 holds in
// float32 too.
const (
	deviceTokens = 1 << 14
	deviceBytes  = 4 << 30
	cachedBytes  = 8 // of one number
)

// Open opens a ranker. Options.Threads is how many prompts are worked on at once, each on one thread; 0 is one a CPU.
func Open(model string, o ort.Options) (*Ranker, error) {
	return open(model, o, func(provider string) bool { return provider != "cpu" })
}

// open opens a ranker that works on batches on some providers.
func open(model string, o ort.Options, batched func(provider string) bool) (*Ranker, error) {
	r := &Ranker{path: model, workers: o.Threads}
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	o.Kind, o.Threads, o.Ranges = "ranker", 1, ranges
	o.Outputs = func(provider string) []string {
		if batched(provider) {
			return []string{"scores"} // what else there is stays on the device
		}
		return nil
	}
	session, err := ort.Open(model, o)
	if err != nil {
		return nil, err
	}
	r.session = session
	if err := r.readModel(); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	if batched(session.Provider()) {
		r.workers = 1 // a device works on one batch as a whole
		r.tokens = max(1, min(deviceTokens, deviceBytes/(2*r.layers*r.kvHeads*r.headSize*cachedBytes)))
	}
	r.places = make(chan struct{}, r.workers)
	r.scratch.New = func() any { return r.newScratch() }
	return r, nil
}

// readModel takes sizes and tokens from the metadata and refuses a graph of another form.
func (r *Ranker) readModel() error {
	m := r.session.Model()
	for _, field := range []struct {
		key  string
		to   *int
		most int
	}{
		{"layers", &r.layers, maxLayers}, {"kv_heads", &r.kvHeads, maxWidth}, {"head_size", &r.headSize, maxWidth},
		{"vocabulary", &r.vocabulary, maxVocabulary}, {"max_length", &r.maxLength, maxPositions},
	} {
		var err error
		if *field.to, err = m.Int("mllm4rec."+field.key, 1, field.most); err != nil {
			return err
		}
	}
	if size := r.bytesOf(1); size > maxTokenBytes {
		return fail.Usagef("%s: by mllm4rec.layers, kv_heads and head_size the keys and values of a token take %d bytes, the most is %d: no ranker of this program",
			r.path, size, maxTokenBytes)
	}
	var err error
	if r.letters, err = r.readTokens(m, "letters"); err != nil {
		return err
	}
	if len(r.letters) == 0 {
		return fail.Usagef("%s: mllm4rec.letters is empty", r.path)
	}
	if r.prefix, err = r.readTokens(m, "prefix"); err != nil {
		return err
	}
	return r.checkGraph(m)
}

// readTokens reads token ids like "330 347 366".
func (r *Ranker) readTokens(m *modelfile.Info, key string) ([]int32, error) {
	var ids []int32
	for _, word := range strings.Fields(m.Metadata["mllm4rec."+key]) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil || id < 0 || int(id) >= r.vocabulary {
			return nil, fail.Usagef("%s: mllm4rec.%s holds %q, want tokens below %d", r.path, key, word, r.vocabulary)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// checkGraph compares inputs and outputs with what a run feeds and takes.
func (r *Ranker) checkGraph(m *modelfile.Info) error {
	in, out := []string{"tokens", "lengths"}, []string{"scores"}
	for i := range r.layers {
		in = append(in, fmt.Sprintf("past_key%d", i), fmt.Sprintf("past_value%d", i))
		out = append(out, fmt.Sprintf("key%d", i), fmt.Sprintf("value%d", i))
	}
	if !slices.Equal(m.InputNames(), in) || !slices.Equal(m.OutputNames(), out) {
		return fail.Usagef("%s: a ranker of %d layers takes tokens, lengths and the past keys and values, and gives scores, keys and values; this one takes %s and gives %s",
			r.path, r.layers, strings.Join(m.InputNames(), ", "), strings.Join(m.OutputNames(), ", "))
	}
	return nil
}

// Letters is how many scores a prompt gets: the most candidates that one can hold.
func (r *Ranker) Letters() int { return len(r.letters) }

// LetterTokens are the token ids that stand for the candidates. The caller does not change them.
func (r *Ranker) LetterTokens() []int32 { return r.letters }

// MaxLength is the tokens of the longest prompt.
func (r *Ranker) MaxLength() int { return r.maxLength }

// Info is what the file says of itself: template, tokenizer, base, adapter and precision among its metadata.
func (r *Ranker) Info() *modelfile.Info { return r.session.Model() }

// Workers is how many runs are under way at once at most.
func (r *Ranker) Workers() int { return r.workers }

// Provider is what the model runs on, such as "cpu".
func (r *Ranker) Provider() string { return r.session.Provider() }

// Close frees the model.
func (r *Ranker) Close() error { return r.session.Close() }

// Score returns the logits of the letters for each prompt, [prompts][letters], in the order of the prompts. Prompts that
// share much (lists of one user) should stand next to each other. An empty prompt, one that is longer than MaxLength, and
// a token outside the vocabulary are errors.
func (r *Ranker) Score(ctx context.Context, prompts []Prompt) ([][]float32, error) {
	all := make([][]float32, 0, len(prompts))
	source := func(yield func(Prompt, error) bool) {
		for _, p := range prompts {
			if !yield(p, nil) {
				return
			}
		}
	}
	for scores, err := range r.Stream(ctx, source) {
		if err != nil {
			return nil, err
		}
		all = append(all, scores)
	}
	return all, nil
}

// check refuses a prompt that the model cannot read; i is its place in the stream.
func (r *Ranker) check(p Prompt, i int) error {
	switch {
	case len(p.Tokens) == 0:
		return fmt.Errorf("prompt %d is empty", i)
	case len(p.Tokens) > r.maxLength:
		return fmt.Errorf("prompt %d has %d tokens, the model reads %d at most: shorten its history, or export with a larger max_length", i, len(p.Tokens), r.maxLength)
	}
	for at, token := range p.Tokens {
		if token < 0 || int(token) >= r.vocabulary {
			return fmt.Errorf("prompt %d: token %d is %d, the vocabulary of %s ends at %d: its tokenizer belongs to another model", i, at, token, r.path, r.vocabulary)
		}
	}
	return nil
}
