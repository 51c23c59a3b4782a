package page_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/page"
)

// A fake is the service's interface over a few items: its answers follow from the history alone, so that a changed
// history has a changed answer.
type fake struct {
	items  []serve.Item
	ranker bool
	// unfitted has a language model and no weight to mix both by.
	unfitted bool
	letters  int    // candidates that the language model reads; 0 is 20
	key      string // wanted of every request, where there is one

	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request) bool // false: it has answered itself
}

// users of every fake: a short history, a middling one and one of hundreds.
var users = []int{5, 12, 737}

// start serves the page and the interface until the test ends.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page.Files()))
	for pattern, answer := range map[string]func(r *http.Request) (any, error){
		"GET /v1/info": f.info, "GET /v1/users/{id}": f.user, "GET /v1/items/{id}": f.item, "GET /v1/items": f.search,
		"POST /v1/retrieve": f.retrieve, "POST /v1/recommend": f.recommend, "POST /v1/prompt": f.prompt,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, answer) })
	}
	mux.HandleFunc("GET /v1/items/{id}/picture", f.picture)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// intercept looks at every request for data first, from now on.
func (f *fake) intercept(before func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request, answer func(r *http.Request) (any, error)) {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if f.key != "" && r.Header.Get("Authorization") != "Bearer "+f.key {
		problem(w, &serve.Error{Status: 401, Code: "unauthorized", Detail: "This key is not known."})
		return
	}
	if before != nil && !before(w, r) {
		return
	}
	value, err := answer(r)
	if err != nil {
		problem(w, err.(*serve.Error))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func problem(w http.ResponseWriter, e *serve.Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": e.Status, "code": e.Code, "title": http.StatusText(e.Status),
		"detail": e.Detail, "field": e.Field, "request_id": "7f3a"})
}

func (f *fake) info(*http.Request) (any, error) {
	info := serve.Info{Name: "ml-100k", Items: len(f.items), Users: len(users),
		Limits: serve.Limits{K: 100, Candidates: f.read(), History: 500, PromptTokens: 2048}}
	info.Models = []serve.ModelInfo{{Kind: "retriever", Fingerprint: "3fa9c1d20b7e4a55", Provider: "cpu", Slots: 2}}
	if f.ranker {
		info.Fusion = !f.unfitted
		info.Models = append(info.Models, serve.ModelInfo{Kind: "ranker", Fingerprint: "b81e07c4d95f2a10", Provider: "cpu",
			Precision: "int4", Base: "SmolLM2-135M-Instruct", Slots: 1})
	}
	for _, item := range f.items {
		info.Categories = append(info.Categories, item.Categories...)
	}
	slices.Sort(info.Categories)
	info.Categories = slices.Compact(info.Categories)
	return info, nil
}

func (f *fake) user(r *http.Request) (any, error) {
	text := r.PathValue("id")
	if r.FormValue("by") == "source" {
		text = strings.TrimPrefix(text, "u")
	}
	id, err := strconv.Atoi(text)
	if err != nil || id < 1 || id > len(users) {
		return nil, &serve.Error{Status: 404, Code: "unknown_user", Detail: fmt.Sprintf("There is no user %q.", r.PathValue("id")), Field: "id"}
	}
	return serve.User{UserID: int32(id), SourceID: fmt.Sprintf("u%d", id), History: f.history(users[id-1])}, nil
}

func (f *fake) history(length int) []serve.Item {
	var history []serve.Item
	for i := range length {
		history = append(history, f.items[(i*5+length)%len(f.items)])
	}
	return history
}

func (f *fake) find(id string) *serve.Item {
	for _, item := range f.items {
		if strconv.Itoa(int(item.ItemID)) == id || item.SourceID == id {
			return &item
		}
	}
	return nil
}

func (f *fake) item(r *http.Request) (any, error) {
	if item := f.find(r.PathValue("id")); item != nil {
		return item, nil
	}
	return nil, &serve.Error{Status: 404, Code: "unknown_item", Detail: "There is no such item.", Field: "id"}
}

func (f *fake) search(r *http.Request) (any, error) {
	found := []serve.Item{}
	for _, item := range f.items {
		if strings.Contains(strings.ToLower(item.Title), strings.ToLower(r.FormValue("q"))) {
			found = append(found, item)
		}
	}
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	return map[string]any{"items": found[:min(limit, len(found))]}, nil
}

// picture is a ring of a colour of the item's own.
func (f *fake) picture(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	drawing := image.NewNRGBA(image.Rect(0, 0, 120, 90))
	ink := color.NRGBA{R: uint8(60 + id*37%160), G: uint8(60 + id*71%140), B: uint8(80 + id*13%150), A: 255}
	for y := range 90 {
		for x := range 120 {
			drawing.Set(x, y, color.NRGBA{R: 236, G: 233, B: 228, A: 255})
			if d := math.Hypot(float64(x-60), float64(y-45)); d < 38 && d > float64(id%5)*6 {
				drawing.Set(x, y, ink)
			}
		}
	}
	w.Header().Set("Content-Type", "image/png")
	_ = png.Encode(w, drawing)
}

// question is what requests of all kinds hold.
type question struct {
	UserID     *serve.Ref   `json:"user_id"`
	History    *[]serve.Ref `json:"history"`
	Candidates []serve.Ref  `json:"candidates"`
	K          int          `json:"k"`
	Rank       serve.RankBy `json:"rank"`
	Categories []string     `json:"categories"`
}

func (f *fake) retrieve(r *http.Request) (any, error) { return f.answer(r, serve.ByRetriever) }

func (f *fake) recommend(r *http.Request) (any, error) { return f.answer(r, "") }

func (f *fake) answer(r *http.Request, by serve.RankBy) (any, error) {
	var q question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || (q.UserID == nil) == (q.History == nil) {
		return nil, &serve.Error{Status: 400, Code: "malformed", Detail: "Give either user_id or history."}
	}
	history, unknown := f.resolve(q)
	by = cmp.Or(by, q.Rank)
	answer := serve.Ranking{RankedBy: by, Unknown: unknown, Models: serve.Models{Retriever: "3fa9c1d20b7e4a55"},
		HistoryUsed: serve.HistoryUsed{Given: len(history), Retriever: min(len(history), 200)},
		Timings:     serve.Timings{Queue: 0.2, Retrieve: 3.1, Total: 3.4}}
	answer.Items = f.candidates(history, q)
	switch {
	case len(history) == 0:
		answer.RankedBy = serve.ByPopularity
	case by == serve.ByLLM || by == serve.ByFusion:
		order(answer.Items, history, by)
		answer.HistoryUsed.Ranker = min(len(history), 20)
		answer.Timings = serve.Timings{Queue: 0.2, Retrieve: 3.1, Prompt: 1.4, Rank: 812, Total: 817}
	}
	return answer, nil
}

func (f *fake) resolve(q question) (history []serve.Item, unknown []serve.Ref) {
	if q.UserID != nil {
		return f.history(users[q.UserID.ID-1]), nil
	}
	for _, ref := range *q.History {
		id := cmp.Or(ref.Source, strconv.Itoa(int(ref.ID)))
		if item := f.find(id); item != nil {
			history = append(history, *item)
		} else {
			unknown = append(unknown, ref)
		}
	}
	return history, unknown
}

// candidates are the retriever's: all items by a score that the history stirs.
func (f *fake) candidates(history []serve.Item, q question) []serve.Ranked {
	stir := 0
	for i, item := range history[max(0, len(history)-3):] {
		stir += int(item.ItemID) * (i + 2)
	}
	items := []serve.Ranked{}
	for i, item := range f.items {
		taken := slices.ContainsFunc(history, func(h serve.Item) bool { return h.ItemID == item.ItemID }) && len(history) < len(f.items)
		if taken || len(q.Categories) > 0 && !slices.Contains(item.Categories, q.Categories[0]) {
			continue
		}
		score := float32(11 - 0.09*float64((i*17+stir*5)%61))
		if len(history) == 0 {
			score = float32(item.Popularity)
		}
		items = append(items, serve.Ranked{ItemID: item.ItemID, SourceID: item.SourceID, Title: item.Title, HasPicture: item.HasPicture, RetrieverScore: &score})
	}
	slices.SortStableFunc(items, func(a, b serve.Ranked) int { return cmp.Compare(*b.RetrieverScore, *a.RetrieverScore) })
	items = items[:min(q.K, len(items))]
	for i := range items {
		rank := i + 1
		items[i].Rank, items[i].RetrieverRank = rank, &rank
		if len(history) == 0 {
			items[i].RetrieverRank, items[i].RetrieverScore = nil, nil
		}
	}
	return items
}

// order puts candidates into the order of a made-up language model, or of both.
func order(items []serve.Ranked, history []serve.Item, by serve.RankBy) {
	last := int(history[len(history)-1].ItemID)
	logits := func(i int) float64 { return float64((int(items[i].ItemID)*13+last*7)%23) / 5 }
	var sum, both float64
	mixed := func(i int) float64 { return 0.5*logits(i) + float64(*items[i].RetrieverScore)*1.5 - 14 }
	for i := range items {
		sum, both = sum+math.Exp(logits(i)), both+math.Exp(mixed(i))
	}
	for i := range items {
		score := float32(logits(i) - math.Log(sum))
		items[i].RankerScore = &score
		if by == serve.ByFusion {
			fused := float32(mixed(i) - math.Log(both))
			items[i].FusedScore = &fused
		}
	}
	slices.SortStableFunc(items, func(a, b serve.Ranked) int {
		if by == serve.ByFusion {
			return cmp.Compare(*b.FusedScore, *a.FusedScore)
		}
		return cmp.Compare(*b.RankerScore, *a.RankerScore)
	})
	for i := range items {
		items[i].Rank = i + 1
	}
}

func (f *fake) read() int { return cmp.Or(f.letters, 20) }

func (f *fake) prompt(r *http.Request) (any, error) {
	var q question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(*q.History) == 0 || len(q.Candidates) == 0 {
		return nil, &serve.Error{Status: 400, Code: "malformed", Detail: "Give a history and candidates."}
	}
	if len(q.Candidates) > f.read() {
		return nil, &serve.Error{Status: 422, Code: "out_of_range", Field: "candidates", Detail: "So many are not read."}
	}
	history, _ := f.resolve(q)
	history = history[max(0, len(history)-20):]
	var text strings.Builder
	text.WriteString("<|im_start|>user\nGiven what the user took, in order, choose what comes next by the letter in front of it.\nHistory:\n")
	for i, item := range history {
		fmt.Fprintf(&text, "(%d) %s\n", i+1, item.Title)
	}
	text.WriteString("Candidates:\n")
	for i, ref := range q.Candidates {
		fmt.Fprintf(&text, "(%c) %s\n", 'A'+i, f.items[ref.ID-1].Title)
	}
	return serve.Prompt{Text: text.String(), Tokens: text.Len() / 4}, nil
}
