package rank_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"mllm4rec/runtime/ort/orttest"
	"mllm4rec/runtime/rank"
)

// returning are prompts of so many users, each of which comes with several candidate lists: prefix, history, candidates.
func returning(users, lists int) [][]rank.Prompt {
	random := rand.New(rand.NewPCG(3, 4))
	words := func(n int) []int32 {
		all := make([]int32, n)
		for i := range all {
			all[i] = random.Int32N(tinyVocabulary)
		}
		return all
	}
	all := make([][]rank.Prompt, users)
	for u := range all {
		history := slices.Concat(tinyPrefix, words(100+u*30%300))
		for range lists {
			all[u] = append(all[u], rank.Prompt{Tokens: slices.Concat(history, words(1+random.IntN(80))), Shared: len(history)})
		}
	}
	return all
}

func score(t *testing.T, r *rank.Ranker, prompts ...rank.Prompt) [][]float32 {
	t.Helper()
	scores, err := r.Score(context.Background(), prompts)
	if err != nil {
		t.Error(err)
	}
	return scores
}

func TestKeptHistoriesMakeNoDifference(t *testing.T) {
	t.Parallel()
	const lists = 4
	all := returning(6, lists)
	r := openTiny(t, withPrefix, 2, 0)
	r.Keep(64 << 20)
	for i := range lists {
		for _, user := range all {
			equal(t, score(t, r, user[i]), alone(t, user[i:i+1]))
		}
	}
	// The first list is new, the second tells that the user returns, the others are hits.
	kept := r.Kept()
	if kept.Hits != 6*(lists-2) || kept.Misses != 6*2 || kept.Entries != 6 || kept.Bytes == 0 {
		t.Errorf("%+v", kept)
	}
}

func TestNeighboursOfAKeptHistoryMakeNoDifference(t *testing.T) {
	t.Parallel()
	r := openTiny(t, withPrefix, 2, 0)
	r.Keep(64 << 20)
	for _, user := range returning(2, 5) {
		want := alone(t, user)
		for range 3 {
			equal(t, score(t, r, user...), want)
		}
	}
	if kept := r.Kept(); kept.Hits != 2 || kept.Misses != 4 {
		t.Errorf("neighbours count as one: %+v", kept)
	}
}

func TestManyCallersShareKeptHistories(t *testing.T) {
	t.Parallel()
	all := returning(5, 4)
	var want [][][]float32
	for _, user := range all {
		want = append(want, alone(t, user))
	}
	r := openTiny(t, withPrefix, 3, 0)
	r.Keep(200 << 10) // less than all take
	var group sync.WaitGroup
	for caller := range 6 {
		group.Go(func() {
			for i := range 20 {
				u, list := (caller+i)%len(all), i%4
				equal(t, score(t, r, all[u][list]), want[u][list:list+1])
			}
		})
	}
	group.Wait()
	if kept := r.Kept(); kept.Hits == 0 || kept.Hits+kept.Misses != 6*20 || kept.Bytes > 200<<10 {
		t.Errorf("%+v", kept)
	}
}

// A history of n tokens behind the prefix takes 2 layers × key and value × 1 head × 16 numbers of 4 bytes a token, and its
// tokens themselves 4.
func bytesOf(tokens int) int64 { return int64(tokens) * (2*2*16*4 + 4) }

func TestTheHistoryThatWasAskedForLeastRecentlyGoesFirst(t *testing.T) {
	t.Parallel()
	all := returning(30, 1)
	same := slices.DeleteFunc(all, func(p []rank.Prompt) bool { return p[0].Shared != all[0][0].Shared })[:3]
	r := openTiny(t, withPrefix, 1, 0)
	r.Keep(2 * bytesOf(same[0][0].Shared))
	ask := func(user int) { score(t, r, same[user][0]) }
	for _, user := range []int{0, 0, 1, 1, 0, 2, 2} { // 0 and 1 are kept, then 2 in the place of 1
		ask(user)
	}
	before := r.Kept()
	if before.Entries != 2 || before.Bytes != 2*bytesOf(same[0][0].Shared) {
		t.Errorf("%+v, want two of %d bytes", before, bytesOf(same[0][0].Shared))
	}
	ask(0)
	ask(2)
	if after := r.Kept(); after.Hits != before.Hits+2 {
		t.Errorf("0 and 2 are not kept: %+v, then %+v", before, after)
	}
	ask(1)
	if after := r.Kept(); after.Misses != before.Misses+1 {
		t.Errorf("1 is still kept: %+v, then %+v", before, after)
	}
}

func TestNothingIsKeptWhereItIsNotWanted(t *testing.T) {
	t.Parallel()
	user := returning(1, 1)[0][0]
	short := rank.Prompt{Tokens: user.Tokens[:60], Shared: 20}
	for _, c := range []struct {
		name   string
		bytes  int64
		batch  int
		prompt rank.Prompt
	}{
		{"no bytes", 0, 0, user},
		{"too few bytes for one", 1000, 0, user},
		{"a device", 64 << 20, 1000, user},
		{"a short history", 64 << 20, 0, short},
		{"nothing named", 64 << 20, 0, rank.Prompt{Tokens: user.Tokens}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := openTiny(t, withPrefix, 1, c.batch)
			r.Keep(c.bytes)
			want := alone(t, []rank.Prompt{c.prompt})
			for range 3 {
				equal(t, score(t, r, c.prompt), want)
			}
			if kept := r.Kept(); kept.Entries != 0 || kept.Hits != 0 || kept.Bytes != 0 {
				t.Errorf("%+v", kept)
			}
		})
	}
}

func TestSharedBeyondThePromptIsCut(t *testing.T) {
	t.Parallel()
	r := openTiny(t, withPrefix, 1, 0)
	r.Keep(64 << 20)
	p := returning(1, 1)[0][0]
	p.Shared = 10_000
	want := alone(t, []rank.Prompt{p})
	for range 3 {
		equal(t, score(t, r, p), want)
	}
	if r.Kept().Hits != 1 {
		t.Errorf("%+v", r.Kept())
	}
}

// TestKeptHistoriesStayWithinTheirBytes owns the process while it measures.
func TestKeptHistoriesStayWithinTheirBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of prompts take seconds")
	}
	r := openTiny(t, withPrefix, 2, 0)
	const most = 4 << 20
	r.Keep(most)
	all := returning(200, 2)
	round := func() {
		for _, user := range all {
			score(t, r, user[0])
			score(t, r, user[1])
		}
	}
	for range 3 {
		round()
	}
	orttest.Flat(t, 16<<20, func() {
		for range 8 {
			round()
		}
	})
	if kept := r.Kept(); kept.Bytes > most || kept.Entries < 10 {
		t.Errorf("%+v", kept)
	}
}
