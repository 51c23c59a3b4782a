package recommend_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/serve"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestRecommendsTheRetrieversBestWithoutTheHistory(t *testing.T) {
	t.Parallel()
	b := open(t, newRun(t))
	past := []int32{3, 9, 4, 4, 12, 7, 5, 28}
	want := byRetriever(t, past, all)
	for _, k := range []int{1, 10, 22, 29} {
		got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: history(past...), K: k})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(itemsOf(got), want[:min(k, len(want))]) || got.RankedBy != serve.ByRetriever {
			t.Errorf("k %d: %v by %s, want %v", k, itemsOf(got), got.RankedBy, want[:min(k, len(want))])
		}
		if got.HistoryUsed != (serve.HistoryUsed{Given: 8, Retriever: 6}) || got.Models.Retriever == "" || got.Models.Ranker != "" || got.Timings.Total == 0 {
			t.Errorf("%+v", got)
		}
		first := got.Items[0]
		if *first.RetrieverRank != 1 || first.RetrieverScore == nil || first.RankerScore != nil || first.Title == "" || first.SourceID == "" {
			t.Errorf("%+v", first)
		}
	}
}

func TestUsersHaveTheirWholeHistory(t *testing.T) {
	t.Parallel()
	b := open(t, newRun(t))
	past := []int32{1, 2, 3, 6, 8} // train, val, test of user 3
	for _, ref := range []serve.Ref{{ID: 3}, {Source: "u3"}} {
		got, err := b.Retrieve(t.Context(), serve.RetrieveRequest{UserID: &ref})
		if err != nil {
			t.Fatal(err)
		}
		if want := byRetriever(t, past, all)[:letters]; !slices.Equal(itemsOf(got), want) {
			t.Errorf("%v gets %v, want %v", ref, itemsOf(got), want)
		}
	}
	user, err := b.User(serve.Ref{Source: "u3"})
	if err != nil {
		t.Fatal(err)
	}
	var had []int32
	for _, item := range user.History {
		had = append(had, item.ItemID)
	}
	if user.UserID != 3 || !slices.Equal(had, past) || user.History[0].Popularity != users {
		t.Errorf("%+v", user)
	}
}

func TestExcludedItemsAndOtherCategoriesNeverCome(t *testing.T) {
	t.Parallel()
	b := open(t, newRun(t))
	past := []int32{2, 3}
	comedy := func(item int32) bool { return (item-1)%5 == 0 && item != 29 }
	for _, c := range []struct {
		name       string
		exclude    []int32
		categories []string
		k          int
		allowed    func(int32) bool
	}{
		{"some excluded", byRetriever(t, past, all)[:7], nil, 5, func(i int32) bool { return !slices.Contains(byRetriever(t, past, all)[:7], i) }},
		{"a category", nil, []string{"Comedy"}, 3, comedy},
		{"more than a category has", nil, []string{"Comedy"}, 20, comedy},
		{"a category of one", nil, []string{"Horror"}, 10, func(i int32) bool { return i == 29 }},
		{"two categories", nil, []string{"Horror", "Comedy"}, 10, func(i int32) bool { return i == 29 || comedy(i) }},
		{"a category, some excluded", []int32{1, 6, 11}, []string{"Comedy"}, 10, func(i int32) bool { return comedy(i) && i > 11 }},
		{"all excluded", slices.Concat(byRetriever(t, past, all), past), nil, 10, func(int32) bool { return false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: history(past...), K: c.k, Exclude: ids(c.exclude...), Categories: c.categories})
			if err != nil {
				t.Fatal(err)
			}
			want := byRetriever(t, past, c.allowed)
			if want = want[:min(c.k, len(want))]; !slices.Equal(itemsOf(got), want) || got.Items == nil {
				t.Errorf("%v, want %v", itemsOf(got), want)
			}
			none, err := b.Recommend(t.Context(), serve.RecommendRequest{History: history(), K: c.k, Exclude: ids(c.exclude...), Categories: c.categories})
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range itemsOf(none) {
				if !c.allowed(item) && !slices.Contains(past, item) {
					t.Errorf("item %d is among the popular ones", item)
				}
			}
		})
	}
}

func TestSomebodyNewGetsWhatIsPopular(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	unknown := []serve.Ref{{ID: 31}, {Source: "nothing"}}
	for _, c := range []struct {
		name    string
		history []serve.Ref
		rank    serve.RankBy
		unknown []serve.Ref
	}{
		{"an empty history", []serve.Ref{}, "", nil}, {"unknown items alone", unknown, "none", unknown}, {"asked to rank", []serve.Ref{}, "llm", nil},
	} {
		got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: &c.history, K: 5, Rank: c.rank})
		if err != nil {
			t.Fatal(err)
		}
		if want := []int32{1, 2, 3, 4, 5}; !slices.Equal(itemsOf(got), want) || got.RankedBy != serve.ByPopularity || !slices.Equal(got.Unknown, c.unknown) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got.Items[0].RetrieverScore != nil || got.Models != (serve.Models{}) || got.HistoryUsed.Given != len(c.history) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestUnknownItemsAreReportedAndTheOthersCount(t *testing.T) {
	t.Parallel()
	b := open(t, newRun(t))
	refs := []serve.Ref{{ID: 4}, {ID: 99}, {Source: "i7"}, {Source: "7"}, {ID: -1}}
	got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: &refs, K: 8, Exclude: []serve.Ref{{Source: "gone"}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := byRetriever(t, []int32{4, 7}, all)[:8]; !slices.Equal(itemsOf(got), want) {
		t.Errorf("%v, want %v", itemsOf(got), want)
	}
	if want := []serve.Ref{{ID: 99}, {Source: "7"}, {ID: -1}, {Source: "gone"}}; !slices.Equal(got.Unknown, want) || got.HistoryUsed.Given != 5 {
		t.Errorf("%v unknown of %d", got.Unknown, got.HistoryUsed.Given)
	}
}

func TestTheLanguageModelOrdersTheBestAndTheOthersFollow(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	past := []int32{5, 6, 7}
	order := byRetriever(t, past, all)
	for _, c := range []struct {
		asked, by serve.RankBy
		k         int
	}{{"llm", serve.ByLLM, 10}, {"fusion", serve.ByFusion, 10}, {"", serve.ByFusion, 10}, {"llm", serve.ByLLM, 2}} {
		got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: history(past...), K: c.k, Rank: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		if got.RankedBy != c.by || got.Models.Ranker == "" || got.HistoryUsed != (serve.HistoryUsed{Given: 3, Retriever: 3, Ranker: 3}) || len(got.Items) != c.k {
			t.Errorf("%+v", got)
		}
		head, tail := got.Items[:min(letters, c.k)], itemsOf(got)[min(letters, c.k):]
		if !slices.Equal(tail, order[min(letters, c.k):c.k]) {
			t.Errorf("behind the ranked ones stand %v, want %v", tail, order[letters:c.k])
		}
		key := func(r serve.Ranked) float32 {
			if c.by == serve.ByFusion {
				return *r.FusedScore
			}
			return *r.RankerScore
		}
		if !slices.IsSortedFunc(head, func(x, y serve.Ranked) int { return cmp.Compare(key(y), key(x)) }) {
			t.Errorf("not in the order of %s: %+v", c.by, head)
		}
		for _, r := range head {
			if order[*r.RetrieverRank-1] != r.ItemID || (r.FusedScore == nil) == (c.by == serve.ByFusion) {
				t.Errorf("%+v", r)
			}
		}
		checkAgainstRank(t, b, past, order[:letters], head)
	}
}

// checkAgainstRank compares log probabilities with those of the same list ranked by Rank, and sees that they are such.
func checkAgainstRank(t *testing.T, b *recommend.Backend, past, candidates []int32, head []serve.Ranked) {
	t.Helper()
	ranked, err := b.Rank(t.Context(), serve.RankRequest{History: ids(past...), Candidates: ids(candidates...)})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, want := range ranked.Items {
		sum += math.Exp(float64(*want.RankerScore))
		for _, got := range head {
			if got.ItemID == want.ItemID && math.Abs(float64(*got.RankerScore-*want.RankerScore)) > 1e-4 {
				t.Errorf("item %d scores %v, by Rank %v", got.ItemID, *got.RankerScore, *want.RankerScore)
			}
		}
	}
	if math.Abs(sum-1) > 1e-5 || ranked.Rounds != 1 || ranked.RankedBy != serve.ByLLM {
		t.Errorf("probabilities add up to %v, %d rounds by %s", sum, ranked.Rounds, ranked.RankedBy)
	}
}

func TestRecommendRefuses(t *testing.T) {
	t.Parallel()
	b, bare := open(t, withRanker(t, newRun(t))), open(t, newRun(t))
	user := serve.Ref{ID: 1}
	long := history(slices.Repeat([]int32{1}, 10_001)...)
	for _, c := range []struct {
		name    string
		b       *recommend.Backend
		request serve.RecommendRequest
		status  int
		code    string
		field   string
		detail  string
	}{
		{"nobody", b, serve.RecommendRequest{}, 400, "bad_request", "user_id", "give user_id, or a history"},
		{"both", b, serve.RecommendRequest{UserID: &user, History: history()}, 400, "bad_request", "history", "not both"},
		{"an unknown user", b, serve.RecommendRequest{UserID: &serve.Ref{ID: 13}}, 404, "unknown_user", "user_id", "no user 13"},
		{"an unknown user of the source", b, serve.RecommendRequest{UserID: &serve.Ref{Source: "1"}}, 404, "unknown_user", "user_id", `no user "1"`},
		{"too many items", b, serve.RecommendRequest{UserID: &user, K: 101}, 422, "out_of_range", "k", "give 1 to 100"},
		{"fewer than none", b, serve.RecommendRequest{UserID: &user, K: -1}, 422, "out_of_range", "k", "give 1 to 100"},
		{"too long a history", b, serve.RecommendRequest{History: long}, 422, "out_of_range", "history", "10001 are given"},
		{"too much excluded", b, serve.RecommendRequest{UserID: &user, Exclude: *long}, 422, "out_of_range", "exclude", "10001 are given"},
		{"an unknown category", b, serve.RecommendRequest{UserID: &user, Categories: []string{"Drama", "commedy"}}, 422, "unknown_category", "categories[1]", `the nearest is "Comedy"`},
		{"a category beyond reason", b, serve.RecommendRequest{UserID: &user, Categories: []string{strings.Repeat("x", 5000)}}, 422, "unknown_category", "categories[0]", "there is no category"},
		{"another order", b, serve.RecommendRequest{UserID: &user, Rank: "popularity"}, 400, "bad_request", "rank", "none, llm or fusion"},
		{"no language model", bare, serve.RecommendRequest{UserID: &user, Rank: "llm"}, 422, "no_ranker", "", "no language model"},
		{"nothing to fuse", bare, serve.RecommendRequest{UserID: &user, Rank: "fusion"}, 422, "no_ranker", "", "no language model"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.b.Recommend(t.Context(), c.request)
			wantProblem(t, err, c.status, c.code, c.field, c.detail)
		})
	}
}
