package recommend_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/serve"
)

func TestMoreCandidatesThanLettersAreRankedInRounds(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	var candidates []serve.Ref
	for id := int32(4); id <= items; id++ {
		candidates = append(candidates, serve.Ref{ID: id})
	}
	candidates = append(candidates, serve.Ref{ID: 5}, serve.Ref{Source: "?"})
	got, err := b.Rank(t.Context(), serve.RankRequest{History: ids(1, 2, 3), Candidates: candidates})
	if err != nil {
		t.Fatal(err)
	}
	order := itemsOf(got)
	if slices.Sort(order); got.Rounds != 4 || len(order) != 27 || len(slices.Compact(order)) != 27 || !slices.Equal(got.Unknown, []serve.Ref{{Source: "?"}}) {
		t.Errorf("%d rounds, %d items, %v unknown", got.Rounds, len(order), got.Unknown)
	}
	again, err := b.Rank(t.Context(), serve.RankRequest{History: ids(1, 2, 3), Candidates: candidates})
	if err != nil || !slices.Equal(itemsOf(again), itemsOf(got)) {
		t.Errorf("the same request gives %v, then %v, %v", itemsOf(got), itemsOf(again), err)
	}
}

func TestRanksAsTheStageDoes(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	o.Ranker.Orders, o.Ranker.Seed = 3, 5
	b := open(t, o)
	model, err := rank.Open(*withoutMissing(o.Ranker))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	past, user := []int32{1, 2, 3, 6, 8}, serve.Ref{ID: 3}
	got, err := b.Recommend(t.Context(), serve.RecommendRequest{UserID: &user, K: letters, Rank: "llm"})
	if err != nil {
		t.Fatal(err)
	}
	row := rank.Row{History: past, Candidates: table.Candidates{UserID: 3, Items: byRetriever(t, past, all)[:letters]}}
	want, _, err := model.Rank(t.Context(), []rank.Row{row}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(itemsOf(got), want[0].Items) || math.Abs(float64(*got.Items[0].RankerScore-want[0].Scores[0])) > 1e-4 {
		t.Errorf("%v %v, the stage gives %v", itemsOf(got), *got.Items[0].RankerScore, want[0])
	}
}

func withoutMissing(o *rank.ModelOptions) *rank.ModelOptions {
	bare := *o
	bare.Captions = ""
	return &bare
}

func TestWhatPromptsHaveNoRoomForIsTold(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	o.Ranker.Limits.TextTokens = 6 // "Film a 1" has 8 bytes
	o.Ranker.Limits.PromptTokens = 240
	b := open(t, o)
	past := make([]int32, 20)
	for i := range past {
		past[i] = int32(1 + i)
	}
	got, err := b.Recommend(t.Context(), serve.RecommendRequest{History: history(past...), K: 5, Rank: "llm"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Cut == nil || got.Cut.Titles == 0 || got.HistoryUsed.Ranker+got.Cut.History != 6 || got.HistoryUsed.Retriever != 6 {
		t.Errorf("cut %+v, used %+v", got.Cut, got.HistoryUsed)
	}
	prompt, err := b.Prompt(t.Context(), serve.RankRequest{History: ids(past...), Candidates: ids(itemsOf(got)[:letters]...)})
	if err != nil || prompt.Cut != *got.Cut || prompt.Tokens > 240 {
		t.Errorf("%+v, %v, want what was told: %+v", prompt, err, got.Cut)
	}
}

func TestPromptIsWhatTheLanguageModelReads(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	if err := table.WriteAll(o.Ranker.Captions, []table.Caption{{ItemID: 4, Caption: "a jar"}}); err != nil {
		t.Fatal(err)
	}
	b := open(t, o)
	got, err := b.Prompt(t.Context(), serve.RankRequest{History: ids(1, 2), Candidates: ids(3, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if !contains(got.Text, "(1) Film a 1\n(2) Film b 2\n") || !contains(got.Text, "(A) Film c 3") || !contains(got.Text, "(B) Film d 4 : a jar") || got.Tokens == 0 || got.Cut != (serve.Cut{}) {
		t.Errorf("%+v", got)
	}
	_, err = b.Prompt(t.Context(), serve.RankRequest{History: ids(1, 2), Candidates: ids(3, 4, 5, 6, 7)})
	wantProblem(t, err, 422, "out_of_range", "candidates", "5 are given; 4 are read at most")
}

func TestRankRefuses(t *testing.T) {
	t.Parallel()
	b, bare := open(t, withRanker(t, newRun(t))), open(t, newRun(t))
	_, err := bare.Rank(t.Context(), serve.RankRequest{History: ids(1), Candidates: ids(2)})
	wantProblem(t, err, 422, "no_ranker", "", "no language model")
	for _, c := range []struct {
		name                string
		history, candidates []serve.Ref
		code, field, detail string
	}{
		{"no history", nil, ids(1), "empty_history", "history", "nothing to rank by"},
		{"an unknown history", ids(77), ids(1), "empty_history", "history", "none of its 1 items is known"},
		{"no candidates", ids(1), nil, "no_candidates", "candidates", "nothing to rank"},
		{"unknown candidates", ids(1), ids(31, 32), "no_candidates", "candidates", "none of the 2 is known"},
		{"too many candidates", ids(1), slices.Repeat(ids(2), 201), "out_of_range", "candidates", "201 are given"},
	} {
		_, err := b.Rank(t.Context(), serve.RankRequest{History: c.history, Candidates: c.candidates})
		wantProblem(t, err, 422, c.code, c.field, c.detail)
		_, err = b.Prompt(t.Context(), serve.RankRequest{History: c.history, Candidates: c.candidates})
		wantProblem(t, err, 422, c.code, c.field, c.detail)
	}
}

func TestRerankGivesProbabilitiesOverAllTexts(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	for _, n := range []int{1, 3, letters, 11} {
		var texts []string
		var documents []serve.Document
		for i := range n {
			texts = append(texts, fmt.Sprintf("Text %c", 'a'+i))
			documents = append(documents, serve.Document{Text: texts[i]})
		}
		request := serve.RerankRequest{Query: "Heat\n\n Alien \r\nSeven", Texts: texts}
		got, err := b.Rerank(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		sum, seen := 0.0, []int{}
		for i, r := range got.Results {
			sum += float64(r.Score)
			if seen = append(seen, r.Index); i > 0 && r.Score > got.Results[i-1].Score {
				t.Errorf("%+v is out of order", got.Results)
			}
		}
		if slices.Sort(seen); len(seen) != n || len(slices.Compact(seen)) != n || math.Abs(sum-1) > 1e-5 {
			t.Errorf("%d texts: %+v, together %v", n, got.Results, sum)
		}
		request.Texts, request.Documents, request.TopN = nil, documents, 2
		top, err := b.Rerank(t.Context(), request)
		if err != nil || !slices.Equal(top.Results, got.Results[:min(2, n)]) {
			t.Errorf("the top 2 of documents are %v, %v, want %v", top, err, got.Results)
		}
	}
}

func TestRerankTellsOfLinesThatPromptsDoNotHold(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	for _, texts := range [][]string{{"a", "b"}, {"a", "b", "c", "d", "e", "f", "g"}} { // in one prompt, and in rounds
		got, err := b.Rerank(t.Context(), serve.RerankRequest{Query: strings.Repeat("a line\n", 8), Texts: texts})
		if err != nil {
			t.Fatal(err)
		}
		if got.Cut != (serve.Cut{History: 2}) {
			t.Errorf("8 lines, of which prompts hold 6: %+v", got.Cut)
		}
	}
}

func TestRerankRanksAsRankDoes(t *testing.T) {
	t.Parallel()
	b := open(t, withRanker(t, newRun(t)))
	ranked, err := b.Rank(t.Context(), serve.RankRequest{History: ids(1, 2), Candidates: ids(3, 4, 5, 6)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Rerank(t.Context(), serve.RerankRequest{Query: "Film a 1\nFilm b 2", Texts: []string{"Film c 3", "Film d 4", "Film e 5", "Film f 6"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got.Results {
		if want := ranked.Items[i]; int(want.ItemID) != r.Index+3 || math.Abs(math.Exp(float64(*want.RankerScore))-float64(r.Score)) > 1e-5 {
			t.Errorf("place %d: %+v, want %+v", i, r, want)
		}
	}
}

func TestRerankRefuses(t *testing.T) {
	t.Parallel()
	o := withRanker(t, newRun(t))
	o.Ranker.Limits.TextTokens, o.Ranker.Limits.PromptTokens = 60, 320
	b, bare := open(t, o), open(t, newRun(t))
	text := []string{"a"}
	long := slices.Repeat([]string{strings.Repeat("long ", 40)}, letters)
	for _, c := range []struct {
		name                string
		request             serve.RerankRequest
		status              int
		code, field, detail string
	}{
		{"an empty query", serve.RerankRequest{Query: " \n\t\n", Texts: text}, 422, "empty_history", "query", "no line"},
		{"no texts", serve.RerankRequest{Query: "a"}, 422, "no_candidates", "texts", "no text"},
		{"texts and documents", serve.RerankRequest{Query: "a", Texts: text, Documents: []serve.Document{{Text: "b"}}}, 400, "bad_request", "documents", "not both"},
		{"a negative top", serve.RerankRequest{Query: "a", Texts: text, TopN: -1}, 422, "out_of_range", "top_n", "1 or more"},
		{"too many", serve.RerankRequest{Query: "a", Texts: slices.Repeat(text, 201)}, 422, "out_of_range", "texts", "201 are given"},
		{"a long query", serve.RerankRequest{Query: strings.Repeat("a\n", 10_001), Texts: text}, 422, "out_of_range", "query", "10001 are given"},
		{"texts that fill no prompt", serve.RerankRequest{Query: "a", Texts: long}, 422, "cannot_rank", "", "tokens, more than 320"},
	} {
		_, err := b.Rerank(t.Context(), c.request)
		t.Log(c.name)
		wantProblem(t, err, c.status, c.code, c.field, c.detail)
	}
	_, err := bare.Rerank(t.Context(), serve.RerankRequest{Query: "a", Texts: text})
	wantProblem(t, err, 422, "no_ranker", "", "no language model")
}
