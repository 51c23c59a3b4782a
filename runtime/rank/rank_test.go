package rank_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mllm4rec/export/llama"
	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/rank"
)

// tolerance of scores that were computed in parts or beside others: float32, in another order.
const tolerance = 1e-4

// alone scores each prompt by itself, by a model that keeps nothing.
func alone(t *testing.T, all []rank.Prompt) [][]float32 {
	t.Helper()
	r := openTiny(t, withoutPrefix, 1, 0)
	var scores [][]float32
	for i := range all {
		got, err := r.Score(t.Context(), all[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, got[0])
	}
	return scores
}

func equal(t *testing.T, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d scores, want %d", len(got), len(want))
		return
	}
	for i := range want {
		for j, w := range want[i] {
			if len(got[i]) != len(want[i]) || !(math.Abs(float64(got[i][j]-w)) <= tolerance) {
				t.Errorf("prompt %d: %v, want %v", i, got[i], want[i])
				return
			}
		}
	}
}

func TestSharedTokensMakeNoDifference(t *testing.T) {
	t.Parallel()
	all := prompts(40)
	want := alone(t, all)
	for _, c := range []struct {
		name    string
		options llama.Options
		threads int
		batch   int
	}{
		{"prefix, one worker", withPrefix, 1, 0},
		{"prefix, four workers", withPrefix, 4, 0},
		{"no prefix", withoutPrefix, 2, 0},
		{"batches as on a GPU", withPrefix, 1, 1000},
		{"batches of one prompt", withPrefix, 1, 1},
		{"one batch of all", withPrefix, 1, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := openTiny(t, c.options, c.threads, c.batch)
			got, err := r.Score(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, got, want)
		})
	}
}

func TestManyCallersShareOneRanker(t *testing.T) {
	t.Parallel()
	all := prompts(12)
	want := alone(t, all)
	r := openTiny(t, withPrefix, 2, 0)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			got, err := r.Score(context.Background(), all)
			if err != nil {
				t.Error(err)
				return
			}
			equal(t, got, want)
		})
	}
	group.Wait()
}

func TestScoreRefuses(t *testing.T) {
	t.Parallel()
	long := make([]int32, tinyLong+1)
	for _, c := range []struct {
		name   string
		tokens []int32
		want   string
	}{
		{"an empty prompt", nil, "prompt 2 is empty"},
		{"a prompt too long", long, fmt.Sprintf("prompt 2 has %d tokens, the model reads %d at most", tinyLong+1, tinyLong)},
		{"a token past the vocabulary", []int32{1, tinyVocabulary}, "prompt 2: token 1 is 258, the vocabulary"},
		{"a negative token", []int32{-1}, "prompt 2: token 0 is -1"},
	} {
		for _, batch := range []int{0, 500} {
			t.Run(fmt.Sprintf("%s, batch %d", c.name, batch), func(t *testing.T) {
				t.Parallel()
				r := openTiny(t, withPrefix, 2, batch)
				list := []rank.Prompt{{Tokens: []int32{1, 2}}, {Tokens: []int32{1, 3}}, {Tokens: c.tokens}, {Tokens: []int32{1, 4}}}
				if got, err := r.Score(t.Context(), list); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, error %v, want %q", got, err, c.want)
				}
				if got, err := r.Score(t.Context(), list[:2]); err != nil || len(got) != 2 {
					t.Errorf("after the error: %v, %v", got, err)
				}
			})
		}
	}
}

func TestNoPromptsGetNoScores(t *testing.T) {
	t.Parallel()
	if got, err := openTiny(t, withPrefix, 2, 0).Score(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// endless yields prompts until the consumer has had enough, then an error if there is one.
func endless(first int, end error) iter.Seq2[rank.Prompt, error] {
	return func(yield func(rank.Prompt, error) bool) {
		for i := 0; end == nil || i < first; i++ {
			if !yield(rank.Prompt{Tokens: []int32{1, int32(i % tinyVocabulary), int32(i / 7 % tinyVocabulary)}}, nil) {
				return
			}
		}
		yield(rank.Prompt{}, end)
	}
}

func TestErrorOfTheSourceIsTheLastThatComes(t *testing.T) {
	t.Parallel()
	want := errors.New("the table ends in the middle")
	var got error
	for _, err := range openTiny(t, withPrefix, 2, 0).Stream(t.Context(), endless(50, want)) {
		if got != nil {
			t.Fatal("something came after the error")
		}
		got = err
	}
	if !errors.Is(got, want) {
		t.Errorf("error %v", got)
	}
}

func TestStreamEndsWhenItIsLeft(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{0, 100} {
		r := openTiny(t, withPrefix, 2, batch)
		count := 0
		for _, err := range r.Stream(t.Context(), endless(0, nil)) {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count == 20 {
				break
			}
		}
	}
}

func TestScoreStopsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{0, 100} {
		r := openTiny(t, withPrefix, 2, batch)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Score(ctx, prompts(3)); !errors.Is(err, context.Canceled) {
			t.Errorf("ended before: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		var last error
		for _, err := range r.Stream(ctx, endless(0, nil)) {
			last = err
		}
		if !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("ended in the middle: %v", last)
		}
		if got, err := r.Score(t.Context(), prompts(3)); err != nil || len(got) == 0 {
			t.Errorf("the ranker is of no more use after a stop: %v", err)
		}
	}
}

func TestRankerTellsWhatItIs(t *testing.T) {
	t.Parallel()
	o := withPrefix
	o.Template, o.Tokenizer = "movies", "fingerprint"
	r := openTiny(t, o, 1, 0)
	if r.Letters() != 5 || r.LetterTokens()[2] != 27 || r.MaxLength() != tinyLong || r.Provider() != "cpu" || r.Info().Metadata["mllm4rec.template"] != "movies" {
		t.Errorf("%d letters %v, %d tokens, on %s, %v", r.Letters(), r.LetterTokens(), r.MaxLength(), r.Provider(), r.Info().Metadata)
	}
}

func TestOpenRefusesOtherModels(t *testing.T) {
	t.Parallel()
	options := orttest.Options(t)
	for path, want := range map[string]string{
		orttest.OpenTiny(t).Path: "this is a retriever model, but a ranker is needed",
		"rank_test.go":           "rank_test.go: ",
		"nothing.onnx":           "no such file",
	} {
		if _, err := rank.Open(path, options); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

func TestOpenRefusesGraphsOfAnotherForm(t *testing.T) {
	t.Parallel()
	options := orttest.Options(t)
	for _, c := range []struct {
		name, key, value, want string
	}{
		{"no number of layers", "layers", "", "mllm4rec.layers"},
		{"layers beyond all bounds", "layers", "99999999", "mllm4rec.layers"},
		{"keys and values beyond all bounds", "kv_heads", "65536", "the keys and values of a token take 33554432 bytes"},
		{"no letters", "letters", "", "mllm4rec.letters is empty"},
		{"letters that are no numbers", "letters", "3 A", `mllm4rec.letters holds "A"`},
		{"letters of another vocabulary", "letters", "3 64", `mllm4rec.letters holds "64", want tokens below 64`},
		{"a prefix of another vocabulary", "prefix", "-1", `mllm4rec.prefix holds "-1"`},
		{"other inputs", "kind", "ranker", "a ranker of 1 layers takes tokens, lengths and the past keys and values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := onnx.New("odd")
			for key, value := range map[string]string{
				"format": "1", "kind": "ranker", "layers": "1", "kv_heads": "1", "head_size": "64", "vocabulary": "64", "max_length": "9", "letters": "3 4",
			} {
				g.Metadata("mllm4rec."+key, value)
			}
			g.Metadata("mllm4rec."+c.key, c.value)
			g.Output("scores", g.Input("x", onnx.Float32, onnx.Sym("batch")))
			model, err := g.Finish()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "odd.onnx")
			if err := model.Write(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			if _, err := rank.Open(path, options); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

// TestLongStreamKeepsItsOrder scores 10,000 prompts of which equal ones must score equally, while the memory stays flat.
func TestLongStreamKeepsItsOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 prompts take seconds")
	}
	r := openTiny(t, withPrefix, 2, 0)
	random := rand.New(rand.NewPCG(1, 2))
	drawn := make([]int32, 10_000)
	for i := range drawn {
		drawn[i] = random.Int32N(tinyVocabulary)
	}
	source := func(yield func(rank.Prompt, error) bool) {
		for _, word := range drawn {
			if !yield(rank.Prompt{Tokens: slices.Concat(tinyPrefix, []int32{word, 5})}, nil) {
				return
			}
		}
	}
	var before int64
	first, n := map[int32][]float32{}, 0
	for scores, err := range r.Stream(t.Context(), source) {
		if err != nil {
			t.Fatal(err)
		}
		word := drawn[n]
		if known, ok := first[word]; !ok {
			first[word] = scores
		} else if !slices.Equal(known, scores) {
			t.Fatalf("prompt %d of word %d scores %v, an equal one before %v", n, word, scores, known)
		}
		if n++; n == 2000 {
			before = orttest.Resident(t)
		}
	}
	if after := orttest.Resident(t); n != len(drawn) || after > before+16<<20 {
		t.Errorf("%d prompts; resident memory grew from %d to %d bytes", n, before, after)
	}
}

// TestNothingIsLeftBehind owns the process while it measures: it runs a thousand streams, complete ones, broken ones and
// ones that are left, and looks at the memory and the goroutines after.
func TestNothingIsLeftBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand streams take seconds")
	}
	r, all := openTiny(t, withPrefix, 2, 0), prompts(9)
	round := func(i int) {
		switch i % 3 {
		case 0:
			if _, err := r.Score(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		case 1:
			if _, err := r.Score(t.Context(), append(all[:3:3], rank.Prompt{})); err == nil {
				t.Fatal("an empty prompt was taken")
			}
		case 2:
			for range r.Stream(t.Context(), endless(0, nil)) {
				break
			}
		}
	}
	for i := range 300 {
		round(i)
	}
	routines := runtime.NumGoroutine()
	orttest.Flat(t, 16<<20, func() {
		for i := range 1000 {
			round(i)
		}
	})
	if after := runtime.NumGoroutine(); after > routines {
		t.Errorf("%d goroutines were left behind", after-routines)
	}
}

func TestRangesFitTheModel(t *testing.T) {
	t.Parallel()
	orttest.CheckRanges(t, tinyFile(t, withPrefix), rank.Ranges)
}
