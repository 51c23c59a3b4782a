package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/serve"
)

func TestInfoSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	bare := open(t, o).Info()
	if bare.Name != "tiny" || bare.Items != items || bare.Users != users || !slices.Equal(bare.Categories, []string{"Comedy", "Drama", "Horror"}) || len(bare.Models) != 1 {
		t.Errorf("%+v", bare)
	}
	if m := bare.Models[0]; m.Kind != "retriever" || len(m.Fingerprint) != 64 || m.Provider != "cpu" || m.Slots != 8 || bare.Limits.Candidates != 0 || bare.Limits.K != 100 {
		t.Errorf("%+v %+v", m, bare.Limits)
	}
	full := open(t, withRanker(t, o)).Info()
	if len(full.Models) != 2 || full.Models[1].Precision != "fp32" || full.Models[1].Slots != 2 || full.Limits.Candidates != letters || full.Limits.PromptTokens != 500 {
		t.Errorf("%+v", full)
	}
}

func TestWhatIsMissingOfTheRankerIsNoError(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	if err := os.Remove(filepath.Join(o.Dir, "fusion.json")); err != nil {
		t.Fatal(err)
	}
	b := open(t, o)
	user := serve.Ref{ID: 1}
	if got, err := b.Recommend(t.Context(), serve.RecommendRequest{UserID: &user}); err != nil || got.RankedBy != serve.ByRetriever {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := b.Recommend(t.Context(), serve.RecommendRequest{UserID: &user, Rank: "llm"}); err != nil || got.RankedBy != serve.ByLLM {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := b.Recommend(t.Context(), serve.RecommendRequest{UserID: &user, Rank: "fusion"})
	wantProblem(t, err, 422, "no_ranker", "rank", "fusion.json")
	if err := os.Remove(o.Ranker.File); err != nil {
		t.Fatal(err)
	}
	if info := open(t, o).Info(); len(info.Models) != 1 {
		t.Errorf("%+v", info)
	}
}

func TestOpenRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	write := func(name string, text string) func(*recommend.Options) error {
		return func(o *recommend.Options) error { return os.WriteFile(filepath.Join(o.Dir, name), []byte(text), 0o600) }
	}
	remove := func(name string) func(*recommend.Options) error {
		return func(o *recommend.Options) error { return os.Remove(filepath.Join(o.Dir, name)) }
	}
	for _, c := range []struct {
		name  string
		spoil func(*recommend.Options) error
		want  string
		usage bool
	}{
		{"no folder", func(o *recommend.Options) error { o.Dir += ".none"; return nil }, "items.parquet is not there: a run folder is needed", true},
		{"no users", remove("users.parquet"), "users.parquet is not there", true},
		{"no retriever", remove("retriever.onnx"), "retriever.onnx is not there", true},
		{"a broken retriever", write("retriever.onnx", "no model"), "retriever.onnx", true},
		{"a broken table", write("items.parquet", "no table"), "items.parquet: no Parquet file", false},
		{"a broken fusion", write("fusion.json", "{"), "fusion.json", true},
		{"a broken ranker", write("ranker.onnx", "no model"), "ranker.onnx", true},
		{"no candidates", func(o *recommend.Options) error { o.K = 0; return nil }, "k is 0", true},
		{"fewer items than the retriever knows", items1(func(rows []table.Item) []table.Item { return rows[:29] }), "", true},
		{"more items than the retriever knows", items1(func(rows []table.Item) []table.Item {
			return append(rows, table.Item{ItemID: 31, SourceID: "more"})
		}), "knows 30 items, and", true},
		{"items out of order", items1(func(rows []table.Item) []table.Item { rows[3].ItemID = 9; return rows }), "row 4 has item_id 9", true},
		{"two items of one source", items1(func(rows []table.Item) []table.Item { rows[3].SourceID = "i2"; return rows }), `items 2 and 4 have the same source_id "i2"`, true},
		{"no items", items1(func([]table.Item) []table.Item { return nil }), "holds no items", true},
		{"a user more in the sequences", func(o *recommend.Options) error {
			return table.WriteAll(filepath.Join(o.Dir, "sequences.parquet"), []table.Sequence{{UserID: 13, Train: []int32{1}, Val: 2, Test: 3}})
		}, "user 13, and the run has users 1…12", true},
		{"an unknown item in the sequences", func(o *recommend.Options) error {
			return table.WriteAll(filepath.Join(o.Dir, "sequences.parquet"), []table.Sequence{{UserID: 3, Train: []int32{1}, Val: 31, Test: 3}})
		}, "user 3 has item 31", true},
		{"a caption of no item", func(o *recommend.Options) error {
			return table.WriteAll(filepath.Join(o.Dir, "captions.parquet"), []table.Caption{{ItemID: 31}})
		}, "captions.parquet has item 31", true},
		{"a picture outside", func(o *recommend.Options) error {
			return table.WriteAll(filepath.Join(o.Dir, "images.parquet"), []table.Image{{ItemID: 1, Status: "ok", Path: "images/../users.parquet"}})
		}, `the picture of item 1 is "images/../users.parquet"`, true},
		{"a captioner that is not there", func(o *recommend.Options) error {
			o.Captioner = &caption.ModelOptions{File: "none.onnx", ORT: o.ORT}
			return nil
		}, "none.onnx", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := withRanker(t, newRun(t))
			if err := c.spoil(&o); err != nil {
				t.Fatal(err)
			}
			b, err := recommend.Open(t.Context(), o)
			if err == nil {
				_ = b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || fail.IsUsage(err) != c.usage || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v (the caller's: %v), want %q", err, fail.IsUsage(err), c.want)
			}
		})
	}
}

// items1 changes the table of items.
func items1(change func([]table.Item) []table.Item) func(*recommend.Options) error {
	return func(o *recommend.Options) error {
		path := filepath.Join(o.Dir, "items.parquet")
		rows, err := table.ReadAll[table.Item](path)
		return errors.Join(err, table.WriteAll(path, change(rows)))
	}
}

func TestOpenStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := recommend.Open(ctx, newRun(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// requests asks for all that there is, as request i.
func requests(ctx context.Context, b *recommend.Backend, i int) error {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	var past []int32
	for range 1 + random.IntN(40) {
		past = append(past, 1+random.Int32N(items))
	}
	user := serve.Ref{ID: 1 + random.Int32N(users)}
	var err error
	switch i % 6 {
	case 0:
		_, err = b.Recommend(ctx, serve.RecommendRequest{History: history(past...), K: 1 + random.IntN(30), Rank: "none"})
	case 1:
		_, err = b.Recommend(ctx, serve.RecommendRequest{UserID: &user, Categories: []string{"Comedy"}})
	case 2:
		_, err = b.Retrieve(ctx, serve.RetrieveRequest{History: history(past...), Exclude: ids(past...)})
	case 3:
		_, err = b.Rank(ctx, serve.RankRequest{History: ids(past...), Candidates: ids(1, 2, 3, 4, 5)})
	case 4:
		_, err = b.Rerank(ctx, serve.RerankRequest{Query: "a\nb", Texts: []string{"c", "d"}})
	case 5:
		_, err = b.Search("film a", 5)
	}
	return err
}

func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	o.CacheBytes = 1 << 20
	var batched, prompts, looked atomic.Int64
	o.Observe = serve.Observer{
		Batch: func(model string, requests, tokens int) {
			if tokens < requests {
				t.Errorf("%s: %d requests of %d tokens", model, requests, tokens)
			}
			if model == "ranker" {
				prompts.Add(int64(requests))
			} else {
				batched.Add(int64(requests))
			}
		},
		Cache: func(_ string, hits, misses int) { looked.Add(int64(hits + misses)) },
	}
	b := open(t, o)
	user := serve.Ref{ID: 12}
	want, err := b.Recommend(t.Context(), serve.RecommendRequest{UserID: &user, K: 8})
	if err != nil {
		t.Fatal(err)
	}
	before := batched.Load()
	var group sync.WaitGroup
	for caller := range 8 {
		group.Go(func() {
			for i := range 12 {
				if err := requests(context.Background(), b, caller+i); err != nil {
					t.Error(err)
				}
				got, err := b.Recommend(context.Background(), serve.RecommendRequest{UserID: &user, K: 8})
				if err != nil || !slices.Equal(itemsOf(got), itemsOf(want)) {
					t.Errorf("%v, %v, alone %v", got, err, itemsOf(want))
				}
			}
		})
	}
	group.Wait()
	if n := batched.Load() - before; n < 8*12*3/2 || prompts.Load() < 8*12 || looked.Load() == 0 || b.Cache().Hits == 0 {
		t.Errorf("heard of %d histories, %d prompts and %d looks into the cache; %+v", n, prompts.Load(), looked.Load(), b.Cache())
	}
}

func TestRequestsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 5 {
		if err := requests(ctx, b, i); !errors.Is(err, context.Canceled) {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

// TestManyRequestsLeaveNothingBehind owns the process while it measures.
func TestManyRequestsLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 requests take seconds")
	}
	o := withRanker(t, newRun(t))
	o.CacheBytes = 1 << 20
	b := open(t, o)
	round := func(count int) {
		var group sync.WaitGroup
		for caller := range 4 {
			group.Go(func() {
				for i := range count / 4 {
					ctx, cancel := context.WithCancel(context.Background())
					if i%9 == 8 {
						cancel()
					}
					if err := requests(ctx, b, 4*i+caller); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(fmt.Errorf("request %d: %w", i, err))
					}
					cancel()
				}
			})
		}
		group.Wait()
	}
	round(4000)
	routines := runtime.NumGoroutine()
	orttest.Flat(t, 16<<20, func() { round(10_000) })
	if after := runtime.NumGoroutine(); after > routines {
		t.Errorf("%d goroutines were left behind", after-routines)
	}
}
