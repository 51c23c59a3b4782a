package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Backend is an opened set of models with the items and users that they know. Its methods may be called from several
// goroutines at once; what they get is not kept. A method that ctx ends returns its error soon. Errors that a client can
// mend are *Error; all others are ours.
type Backend interface {
	Info() Info
	Recommend(ctx context.Context, r RecommendRequest) (*Ranking, error)
	Retrieve(ctx context.Context, r RetrieveRequest) (*Ranking, error)
	Rank(ctx context.Context, r RankRequest) (*Ranking, error)
	Rerank(ctx context.Context, r RerankRequest) (*Reranking, error)
	Caption(ctx context.Context, picture []byte) (*Caption, error)
	User(id Ref) (*User, error)
	Item(id Ref) (*Item, error)
	Search(query string, limit int) ([]Item, error)
	// Picture is the file of an item's picture, for the page; "" where there is none.
	Picture(id Ref) (path string, err error)
	// Prompt is what the language model reads for a history and candidates, as text.
	Prompt(ctx context.Context, r RankRequest) (*Prompt, error)
	// Close frees the models; no method may run beside it.
	Close() error
}

// Ref names an item or a user: a number is an id of the run's tables (1…N), a string the id of the source.
type Ref struct {
	ID     int32  // 0 where Source is meant
	Source string // "" where ID is meant
}

// RankBy says who orders the retriever's candidates.
type RankBy string

// The ways to order.
const (
	ByRetriever RankBy = "none"
	ByLLM       RankBy = "llm"
	ByFusion    RankBy = "fusion"
	// ByPopularity is in answers alone: an empty history tells the retriever nothing.
	ByPopularity RankBy = "popularity"
)

// RecommendRequest asks what comes next. Exactly one of UserID and History is given; an empty history is one.
type RecommendRequest struct {
	UserID     *Ref     `json:"user_id,omitempty" doc:"Whose history; this or history"`
	History    *[]Ref   `json:"history,omitempty" doc:"Items, the oldest first; empty: nobody's"`
	K          int      `json:"k,omitempty" minimum:"0" doc:"Items to answer with; 0: 10"`
	Exclude    []Ref    `json:"exclude,omitempty" doc:"Items that must not be in the answer; those of the history never are"`
	Rank       RankBy   `json:"rank,omitempty" doc:"Who orders the items; left out: fusion where the run has a language model and a weight for it (info: fusion), else none"`
	Categories []string `json:"categories,omitempty" doc:"Items must have one of them; none: all"`
}

// RetrieveRequest is a RecommendRequest that the retriever alone answers.
type RetrieveRequest struct {
	UserID     *Ref     `json:"user_id,omitempty" doc:"Whose history; this or history"`
	History    *[]Ref   `json:"history,omitempty" doc:"Items, the oldest first; empty: nobody's"`
	K          int      `json:"k,omitempty" minimum:"0" doc:"Items to answer with; 0: as many as the run has candidates"`
	Exclude    []Ref    `json:"exclude,omitempty" doc:"Items that must not be in the answer; those of the history never are"`
	Categories []string `json:"categories,omitempty" doc:"Items must have one of them; none: all"`
}

// RankRequest asks the language model for the order of candidates. More than the model has letters are ranked in rounds.
type RankRequest struct {
	History    []Ref `json:"history" minItems:"1" doc:"Items, the oldest first"`
	Candidates []Ref `json:"candidates" minItems:"1" doc:"Items to order"`
}

// Ranked is an item of an answer.
type Ranked struct {
	ItemID     int32  `json:"item_id"`
	SourceID   string `json:"source_id"`
	Title      string `json:"title"`
	Rank       int    `json:"rank" doc:"From 1"`
	HasPicture bool   `json:"has_picture,omitempty" doc:"GET /v1/items/{id}/picture has it"`
	// RetrieverRank is the place that the retriever gave it among its candidates, from 1.
	RetrieverRank  *int     `json:"retriever_rank,omitempty" doc:"Place among the retriever's candidates"`
	RetrieverScore *float32 `json:"retriever_score,omitempty" doc:"Logit"`
	RankerScore    *float32 `json:"ranker_score,omitempty" doc:"Log probability among the candidates"`
	FusedScore     *float32 `json:"fused_score,omitempty" doc:"Log probability among the candidates"`
}

// Ranking is an answer: items, best first.
type Ranking struct {
	Items    []Ranked `json:"items"`
	RankedBy RankBy   `json:"ranked_by" doc:"popularity: the history told the retriever nothing"`
	// Unknown are references of the request that name no item, as they were sent.
	Unknown []Ref `json:"unknown,omitempty" doc:"References of the request that name no item"`
	// HistoryUsed is how many items of the history the retriever looked at, and the prompt of the language model held.
	HistoryUsed HistoryUsed `json:"history_used"`
	Cut         *Cut        `json:"cut,omitempty"` // what the prompt had to leave out, where it had to
	Rounds      int         `json:"rounds,omitempty" doc:"Rounds in which the language model ranked"`
	Models      Models      `json:"models"`
	Timings     Timings     `json:"timings_ms"`
}

// HistoryUsed counts the items of the history that were looked at.
type HistoryUsed struct {
	Given     int `json:"given" doc:"Items that the request had"`
	Retriever int `json:"retriever,omitempty" doc:"Items that the retriever looked at"`
	Ranker    int `json:"ranker,omitempty" doc:"Items that the prompt held"`
}

// Cut counts what prompts had to leave out: titles and captions that were too long, items of the history.
type Cut struct {
	Titles   int `json:"titles"`
	Captions int `json:"captions"`
	History  int `json:"history"`
}

// Models are the fingerprints of the models that answered.
type Models struct {
	Retriever string `json:"retriever,omitempty"`
	Ranker    string `json:"ranker,omitempty"`
	Captioner string `json:"captioner,omitempty"`
}

// Timings are milliseconds of each stage, those that did not run left out.
type Timings struct {
	Queue    float64 `json:"queue,omitempty" doc:"Until a place was free"`
	Retrieve float64 `json:"retrieve,omitempty" doc:"Waiting for the batch included"`
	Prompt   float64 `json:"prompt,omitempty"`
	Rank     float64 `json:"rank,omitempty"`
	Caption  float64 `json:"caption,omitempty"`
	Total    float64 `json:"total" doc:"All of it"`
}

// RerankRequest has the form that clients of Text Embeddings Inference, Jina and Cohere send. Each line of the query is an
// item of a history, oldest first; each text is a candidate's title.
type RerankRequest struct {
	Query           string     `json:"query" minLength:"1" doc:"Each line is an item of the history, the oldest first"`
	Texts           []string   `json:"texts,omitempty" doc:"Candidates, as Text Embeddings Inference has them"`
	Documents       []Document `json:"documents,omitempty" doc:"Candidates, as Jina and Cohere have them"`
	TopN            int        `json:"top_n,omitempty" minimum:"0" doc:"Results at most; 0: all"`
	ReturnDocuments bool       `json:"return_documents,omitempty"`
	ReturnText      bool       `json:"return_text,omitempty"`
	Model           string     `json:"model,omitempty" doc:"Not looked at"`
}

// Document is a text, or an object that holds one as "text".
type Document struct{ Text string }

// Reranking is the order of the texts of a RerankRequest, best first.
type Reranking struct {
	Results []Reranked
	Tokens  int // of all prompts
	Cut     Cut
	Models  Models
	Timings Timings
}

// Reranked is a text: where it stood in the request and its probability among all.
type Reranked struct {
	Index int
	Score float32
}

// Caption is what a picture shows.
type Caption struct {
	Caption string  `json:"caption"`
	SHA256  string  `json:"image_sha256"`
	Models  Models  `json:"models"`
	Timings Timings `json:"timings_ms"`
}

// Item is an item of the catalogue.
type Item struct {
	ItemID     int32    `json:"item_id"`
	SourceID   string   `json:"source_id"`
	Title      string   `json:"title"`
	Caption    string   `json:"caption,omitempty"`
	Categories []string `json:"categories,omitempty"`
	HasPicture bool     `json:"has_picture,omitempty" doc:"GET /v1/items/{id}/picture has it"`
	Popularity int      `json:"popularity" doc:"Interactions of the training part"`
}

// User is a user of the run's tables with everything that they took, oldest first.
type User struct {
	UserID   int32  `json:"user_id"`
	SourceID string `json:"source_id"`
	History  []Item `json:"history" doc:"Everything that they took, the oldest first"`
}

// Prompt is what the language model reads.
type Prompt struct {
	Text   string `json:"text"`
	Tokens int    `json:"tokens"`
	Cut    Cut    `json:"cut"`
}

// Info is what is served and how far it goes.
type Info struct {
	Name       string      `json:"name"` // of the run
	Models     []ModelInfo `json:"models"`
	Items      int         `json:"items"`
	Users      int         `json:"users"`
	Categories []string    `json:"categories,omitempty"`
	Fusion     bool        `json:"fusion" doc:"Whether the scores of both models can be mixed (rank: fusion)"`
	Limits     Limits      `json:"limits"`
}

// ModelInfo is one model.
type ModelInfo struct {
	Kind        string `json:"kind" doc:"retriever, ranker or captioner"`
	Fingerprint string `json:"fingerprint"`
	Provider    string `json:"provider"` // such as "cpu"
	Precision   string `json:"precision,omitempty"`
	Base        string `json:"base,omitempty"`
	// Slots is how many requests it works on at once.
	Slots int `json:"slots" doc:"Requests that it works on at once"`
}

// Limits are what requests may ask for.
type Limits struct {
	K            int `json:"k" doc:"Items in an answer"`
	Candidates   int `json:"candidates" doc:"Candidates in a prompt; more are ranked in rounds"`
	History      int `json:"history" doc:"Items of a history; more are an error"`
	PromptTokens int `json:"prompt_tokens"` // of the language model
	BodyBytes    int `json:"body_bytes"`
	PictureBytes int `json:"picture_bytes"`
}

// Error is a mistake of the client. Status is that of HTTP, Code stays the same over versions and is for programs, Field
// is where in the request, such as "candidates[3]".
type Error struct {
	Status int
	Code   string
	Detail string
	Field  string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// MarshalJSON writes what was read.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.ID != 0 {
		return json.Marshal(r.ID)
	}
	return json.Marshal(r.Source)
}

// UnmarshalJSON reads a whole number above 0 or a string that is not empty.
func (r *Ref) UnmarshalJSON(raw []byte) error {
	*r = Ref{}
	if len(raw) > 0 && raw[0] == '"' {
		text, err := jsontext.AppendUnquote(nil, raw)
		if r.Source = string(text); err != nil || r.Source == "" {
			return fmt.Errorf("%s is no id: it is empty", raw)
		}
		return nil
	}
	// No json.Unmarshal: a history is hundreds of numbers, and it takes an allocation for each.
	id, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil || id < 1 {
		return fmt.Errorf("%.40s is no id: give a whole number from 1 to 2147483647 (an id of the run's tables) or a string (the source's)", raw)
	}
	r.ID = int32(id)
	return nil
}

var errNoDocument = errors.New(`a document is a string or an object with a string "text"`)

// UnmarshalJSON reads a text, or an object that holds one as "text".
func (d *Document) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		var object struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(raw, &object); err != nil || object.Text == nil {
			return errNoDocument
		}
		d.Text = *object.Text
		return nil
	}
	if len(raw) == 0 || raw[0] != '"' {
		return errNoDocument
	}
	return json.Unmarshal(raw, &d.Text)
}
