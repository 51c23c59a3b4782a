// Package servetest has a Backend without models, for tests: its answers follow from the request alone, its work takes as
// long as a test says, and it notices methods that run after Close.
package servetest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"mllm4rec/runtime/serve"
)

// Items is how many a Fake has. Item n has the source id "s<n>" and the title "Item <n>".
const Items = 100

// Users is how many a Fake has.
const Users = 10

// Fake is a Backend. The zero value answers at once.
type Fake struct {
	// Name is the fingerprint of its models.
	Name string
	// Slots are those of each model; 0 is 4.
	Slots int
	// Work is called in each method that would run a model, or nil.
	Work func(context.Context) error
	// NoCaptioner leaves out the captioner.
	NoCaptioner bool
	// PicturePath is the file of every picture; "" means that there are none.
	PicturePath string

	running, late atomic.Int64
	closed        atomic.Bool
}

// Open is for serve.Options.
func (f *Fake) Open(context.Context, serve.Observer) (serve.Backend, error) { return f, nil }

// Closed says whether Close was called.
func (f *Fake) Closed() bool { return f.closed.Load() }

// Late counts methods that ran while or after Close did, which no method may.
func (f *Fake) Late() int64 { return f.late.Load() }

// Close ends the Fake.
func (f *Fake) Close() error {
	f.late.Add(f.running.Load())
	f.closed.Store(true)
	return nil
}

// work is what every method does first; done is for its end.
func (f *Fake) work(ctx context.Context) (done func(), err error) {
	f.running.Add(1)
	if f.closed.Load() {
		f.late.Add(1)
	}
	if f.Work != nil {
		err = f.Work(ctx)
	}
	return func() { f.running.Add(-1) }, err
}

// Info has limits that tests can reach.
func (f *Fake) Info() serve.Info {
	slots := cmp.Or(f.Slots, 4)
	models := []serve.ModelInfo{
		{Kind: "retriever", Fingerprint: f.Name, Provider: "cpu", Slots: slots}, {Kind: "ranker", Fingerprint: f.Name, Provider: "cpu", Precision: "fp32", Slots: slots},
	}
	if !f.NoCaptioner {
		models = append(models, serve.ModelInfo{Kind: "captioner", Fingerprint: f.Name, Provider: "cpu", Slots: slots})
	}
	return serve.Info{
		Name: "fake", Models: models, Items: Items, Users: Users, Categories: []string{"even", "odd"}, Fusion: true,
		Limits: serve.Limits{K: 50, Candidates: 20, History: 200, PromptTokens: 1536},
	}
}

// Recommend proposes the items behind the history's last one.
func (f *Fake) Recommend(ctx context.Context, r serve.RecommendRequest) (*serve.Ranking, error) {
	history, err := f.history(r.UserID, r.History)
	if err != nil {
		return nil, err
	}
	by := cmp.Or(r.Rank, serve.ByFusion)
	return f.propose(ctx, history, cmp.Or(r.K, 10), by)
}

// Retrieve proposes as Recommend does.
func (f *Fake) Retrieve(ctx context.Context, r serve.RetrieveRequest) (*serve.Ranking, error) {
	history, err := f.history(r.UserID, r.History)
	if err != nil {
		return nil, err
	}
	return f.propose(ctx, history, cmp.Or(r.K, 20), serve.ByRetriever)
}

func (f *Fake) history(user *serve.Ref, history *[]serve.Ref) ([]serve.Ref, error) {
	if user == nil {
		return *history, nil
	}
	u, err := f.User(*user)
	if err != nil {
		return nil, err
	}
	refs := make([]serve.Ref, len(u.History))
	for i, item := range u.History {
		refs[i].ID = item.ItemID
	}
	return refs, nil
}

func (f *Fake) propose(ctx context.Context, history []serve.Ref, k int, by serve.RankBy) (*serve.Ranking, error) {
	done, err := f.work(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	ranking := &serve.Ranking{RankedBy: by, Models: serve.Models{Retriever: f.Name, Ranker: f.Name}, HistoryUsed: serve.HistoryUsed{Given: len(history), Retriever: len(history)}}
	last := int32(0)
	for _, ref := range history {
		if n := number(ref); n > 0 {
			last = n
		} else {
			ranking.Unknown = append(ranking.Unknown, ref)
		}
	}
	for i := range k {
		n := (last+int32(i))%Items + 1
		ranking.Items = append(ranking.Items, serve.Ranked{ItemID: n, SourceID: source(n), Title: title(n), Rank: i + 1})
	}
	return ranking, nil
}

// Rank puts known candidates in the order of their ids.
func (f *Fake) Rank(ctx context.Context, r serve.RankRequest) (*serve.Ranking, error) {
	done, err := f.work(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	ranking := &serve.Ranking{RankedBy: serve.ByLLM, Models: serve.Models{Ranker: f.Name}, Rounds: 1, Cut: &serve.Cut{Titles: 1}}
	for _, ref := range r.Candidates {
		if n := number(ref); n > 0 {
			ranking.Items = append(ranking.Items, serve.Ranked{ItemID: n, SourceID: source(n), Title: title(n)})
		} else {
			ranking.Unknown = append(ranking.Unknown, ref)
		}
	}
	if len(ranking.Items) == 0 {
		return nil, &serve.Error{Status: http.StatusUnprocessableEntity, Code: "nothing_to_rank", Field: "candidates", Detail: "none of the candidates is known"}
	}
	slices.SortStableFunc(ranking.Items, func(a, b serve.Ranked) int { return int(a.ItemID - b.ItemID) })
	for i := range ranking.Items {
		ranking.Items[i].Rank = i + 1
	}
	return ranking, nil
}

// Rerank puts texts in the order of their lengths, the longest first.
func (f *Fake) Rerank(ctx context.Context, r serve.RerankRequest) (*serve.Reranking, error) {
	done, err := f.work(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	texts := slices.Clone(r.Texts)
	for _, document := range r.Documents {
		texts = append(texts, document.Text)
	}
	ranking := &serve.Reranking{Models: serve.Models{Ranker: f.Name}}
	total := float32(0)
	for i, text := range texts {
		weight := float32(len(text) + 1)
		total += weight
		ranking.Results = append(ranking.Results, serve.Reranked{Index: i, Score: weight})
		ranking.Tokens += len(text)
		if len(text) > 1000 {
			ranking.Cut.Titles++
		}
	}
	for i := range ranking.Results {
		ranking.Results[i].Score /= total
	}
	slices.SortStableFunc(ranking.Results, func(a, b serve.Reranked) int { return cmp.Compare(b.Score, a.Score) })
	return ranking, nil
}

// Caption says how large the picture is.
func (f *Fake) Caption(ctx context.Context, picture []byte) (*serve.Caption, error) {
	done, err := f.work(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(picture)
	return &serve.Caption{Caption: fmt.Sprintf("a picture of %d bytes", len(picture)), SHA256: hex.EncodeToString(hash[:]), Models: serve.Models{Captioner: f.Name}}, nil
}

// User has the first items for a history, one for each of the id.
func (f *Fake) User(id serve.Ref) (*serve.User, error) {
	n := number(id)
	if n == 0 || n > Users {
		return nil, &serve.Error{Status: http.StatusNotFound, Code: "unknown_user", Field: "user_id", Detail: "there is no such user"}
	}
	user := &serve.User{UserID: n, SourceID: source(n)}
	for i := range n {
		user.History = append(user.History, f.item(i+1))
	}
	return user, nil
}

// Item is one of the catalogue.
func (f *Fake) Item(id serve.Ref) (*serve.Item, error) {
	n := number(id)
	if n == 0 {
		return nil, &serve.Error{Status: http.StatusNotFound, Code: "unknown_item", Field: "id", Detail: "there is no such item"}
	}
	item := f.item(n)
	return &item, nil
}

func (f *Fake) item(n int32) serve.Item {
	return serve.Item{ItemID: n, SourceID: source(n), Title: title(n), Popularity: Items - int(n), HasPicture: f.PicturePath != ""}
}

// Search looks through the titles.
func (f *Fake) Search(query string, limit int) (found []serve.Item, err error) {
	for n := int32(1); n <= Items && len(found) < limit; n++ {
		if strings.Contains(strings.ToLower(title(n)), strings.ToLower(query)) {
			found = append(found, f.item(n))
		}
	}
	return found, nil
}

// Picture is PicturePath.
func (f *Fake) Picture(id serve.Ref) (string, error) {
	_, err := f.Item(id)
	return f.PicturePath, err
}

// Prompt is made of the ids.
func (f *Fake) Prompt(_ context.Context, r serve.RankRequest) (*serve.Prompt, error) {
	return &serve.Prompt{Text: fmt.Sprint(r.History, r.Candidates), Tokens: len(r.History) + len(r.Candidates)}, nil
}

// number is the item of a reference, 0 where there is none.
func number(ref serve.Ref) int32 {
	n := ref.ID
	if after, found := strings.CutPrefix(ref.Source, "s"); found {
		if parsed, err := strconv.ParseInt(after, 10, 32); err == nil {
			n = int32(parsed)
		}
	}
	if n < 1 || n > Items {
		return 0
	}
	return n
}

func source(n int32) string { return fmt.Sprintf("s%d", n) }
func title(n int32) string  { return fmt.Sprintf("Item %d", n) }
