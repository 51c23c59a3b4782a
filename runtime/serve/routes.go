package serve

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Statuses that routes of a kind answer with, beside those that every one may.
var (
	ofWork   = []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusGatewayTimeout}
	ofLookup = []int{http.StatusNotFound}
)

// routes lists every operation that stands in the documentation.
func (s *Server) routes() []route {
	return append(s.workRoutes(), append(s.lookupRoutes(), s.operatorRoutes()...)...)
}

func (s *Server) workRoutes() []route {
	routes := []route{
		{
			path: "/v1/recommend", id: "recommend", summary: "What comes next for a user or a history",
			text: "The retriever proposes items; where rank is llm or fusion the language model orders them. An empty history is " +
				"answered by popularity. Items that are not known are named in unknown and left out.",
			body: &content{value: RecommendRequest{}, example: map[string]any{"history": []int{1, 2, 3}, "k": 10, "rank": "none"}}, answer: content{value: Ranking{}}, refusals: append(ofWork, http.StatusNotFound),
			handle: post(s, s.recommend()),
		},
		{
			path: "/v1/retrieve", id: "retrieve", summary: "What the retriever alone proposes",
			body: &content{value: RetrieveRequest{}, example: map[string]any{"history": []int{1, 2, 3}, "k": 20}}, answer: content{value: Ranking{}}, refusals: append(ofWork, http.StatusNotFound),
			handle: post(s, s.retrieve()),
		},
		{
			path: "/v1/rank", id: "rank", summary: "Candidates in the language model's order",
			text: "More candidates than a prompt holds (limits.candidates of /v1/info) are ranked in rounds.",
			body: &content{value: RankRequest{}, example: map[string]any{"history": []int{1, 2}, "candidates": []int{3, 4, 5}}}, answer: content{value: Ranking{}}, refusals: ofWork,
			handle: post(s, s.rank()),
		},
		{
			path: "/v1/prompt", id: "prompt", summary: "What the language model reads for a history and candidates",
			body: &content{value: RankRequest{}, example: map[string]any{"history": []int{1, 2}, "candidates": []int{3, 4, 5}}}, answer: content{value: Prompt{}}, refusals: ofWork,
			handle: post(s, s.prompt()),
		},
	}
	for i, path := range []string{"/rerank", "/v1/rerank", "/v2/rerank"} {
		routes = append(routes, route{
			path: path, id: []string{"rerank", "rerankV1", "rerankV2"}[i], summary: "Candidates given as titles, for clients of Text Embeddings Inference, Jina and Cohere",
			text: "Each line of query is an item of a history, oldest first. The answer to texts is a list of index and score, as " +
				"Text Embeddings Inference has it; that to documents has results with relevance_score, as Jina and Cohere do. What the " +
				"prompt had to cut is in the header X-Truncated.",
			body:   &content{value: RerankBody{}, example: map[string]any{"query": "Alien (1979)\nBlade Runner (1982)", "texts": []string{"Heat (1995)", "Solaris (1972)"}}},
			answer: content{oneOf: []any{[]TextScore{}, DocumentScores{}}}, refusals: ofWork,
			handle: post(s, s.rerank()),
		})
	}
	for i := range routes {
		routes[i].method, routes[i].maxBytes = http.MethodPost, s.options.BodyBytes
	}
	return append(routes, s.captionRoute())
}

func (s *Server) captionRoute() route {
	const frame = 64 << 10 // what a multipart body holds beside the picture
	picture := &huma.Schema{Type: "object", Required: []string{pictureField}, Properties: map[string]*huma.Schema{pictureField: {Type: "string", Format: "binary"}}}
	return route{
		method: http.MethodPost, path: "/v1/caption", id: "caption", summary: "What a picture shows, in words",
		body: &content{kind: "multipart/form-data", schema: picture}, answer: content{value: Caption{}}, refusals: ofWork,
		maxBytes: s.options.PictureBytes + frame, handle: s.caption,
	}
}

func (s *Server) lookupRoutes() []route {
	id := &huma.Param{Name: "id", In: "path", Required: true, Description: "A number is an id of the run's tables, all else the source's", Schema: &huma.Schema{Type: "string", MinLength: new(1)}}
	by := &huma.Param{Name: "by", In: "query", Description: "source: the id is the source's although it is a number; id: it is one of the run's tables", Schema: &huma.Schema{Type: "string", Enum: []any{"id", "source"}}}
	q := &huma.Param{Name: "q", In: "query", Required: true, Description: "Part of a title", Schema: &huma.Schema{Type: "string", MinLength: new(1), MaxLength: new(longestQuery), Pattern: `\S`}}
	limit := &huma.Param{Name: "limit", In: "query", Description: "Items at most", Schema: &huma.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(float64(mostFound)), Default: defaultFound}}
	routes := []route{
		{path: "/v1/users/{id}", id: "user", summary: "A user with everything that they took", params: []*huma.Param{id, by}, answer: content{value: User{}}, refusals: ofLookup, handle: s.look(user)},
		{path: "/v1/items/{id}", id: "item", summary: "An item of the catalogue", params: []*huma.Param{id, by}, answer: content{value: Item{}}, refusals: ofLookup, handle: s.look(item)},
		{path: "/v1/items/{id}/picture", id: "picture", summary: "The picture of an item", params: []*huma.Param{id, by}, answer: content{kind: "image/*", schema: &huma.Schema{Type: "string", Format: "binary"}}, refusals: ofLookup, handle: s.picture},
		{path: "/v1/items", id: "search", summary: "Items whose title holds a text", params: []*huma.Param{q, limit}, answer: content{value: Found{}}, refusals: []int{http.StatusUnprocessableEntity, http.StatusGatewayTimeout}, handle: s.search},
		{path: "/v1/info", id: "info", summary: "What is served and how far it goes", answer: content{value: Info{}}, handle: s.look(about)},
	}
	for i := range routes {
		routes[i].method = http.MethodGet
	}
	return routes
}

// operatorRoutes are for those who run the service. They need no key, except for the reload.
func (s *Server) operatorRoutes() []route {
	text := content{kind: "text/plain", schema: &huma.Schema{Type: "string"}}
	routes := []route{
		{method: http.MethodGet, path: "/healthz", id: "healthz", summary: "200 while the process runs", answer: content{value: State{}}, handle: s.health},
		{method: http.MethodGet, path: "/readyz", id: "readyz", summary: "200 while requests are answered; 503 before the models are opened, and from the first signal to stop", answer: content{value: State{}}, handle: s.ready},
		{method: http.MethodGet, path: "/metrics", id: "metrics", summary: "Metrics for Prometheus", answer: text, handle: s.serveMetrics},
		{method: http.MethodGet, path: "/openapi.json", id: "openapi", summary: "This document", answer: content{schema: &huma.Schema{Type: "object"}}, handle: s.openAPI},
		{method: http.MethodGet, path: "/docs", id: "docs", summary: "This document, for people", answer: content{kind: "text/html", schema: &huma.Schema{Type: "string"}}, handle: s.docs},
	}
	if s.options.Admin {
		routes = append(routes, route{
			method: http.MethodPost, path: "/-/reload", id: "reload", summary: "Read keys and certificate and open the models anew, and answer with them once they are there",
			text:   "Where one of it fails, all that was before goes on and the answer says why. Of two reloads at once one waits; more are refused.",
			answer: content{value: State{}}, refusals: []int{http.StatusConflict, http.StatusInternalServerError}, handle: s.reload,
		})
	}
	return routes
}
