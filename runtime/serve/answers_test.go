package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

func TestRecommendAnswersUsersAndHistories(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{Name: "m1"}))
	for body, first := range map[string]int32{
		`{"user_id": 3, "k": 2}`:                         4,
		`{"user_id": "s3", "k": 2, "rank": "llm"}`:       4,
		`{"history": [1, "s5"], "k": 2, "rank": "none"}`: 6,
		`{"history": [], "k": 2}`:                        1,
		`{"history": [7], "k": 2, "exclude": null}`:      8,
	} {
		a := send(t, http.MethodPost, server.URL+"/v1/recommend", body)
		var ranking serve.Ranking
		if err := json.Unmarshal([]byte(a.body), &ranking); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", body, a.status, a.body)
		}
		if len(ranking.Items) != 2 || ranking.Items[0].ItemID != first || ranking.Models.Retriever != "m1" || ranking.Timings.Total <= 0 {
			t.Errorf("%s gives %s", body, a.body)
		}
	}
}

func TestUnknownItemsAreToldAsTheyWereSent(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{}))
	a := send(t, http.MethodPost, server.URL+"/v1/retrieve", `{"history": [1, 999, "nobody"], "k": 1}`)
	if !strings.Contains(a.body, `"unknown":[999,"nobody"]`) {
		t.Errorf("got %s", a.body)
	}
}

func TestMistakesAreToldWithCodeAndField(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{})
	o.BodyBytes = 2000
	server := start(t, o)
	long := "[" + strings.Repeat("1,", 200) + "1]"
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code, field, detail      string
	}{
		{"no body", "POST", "/v1/recommend", ``, nil, 400, "bad_request", "", "ends too early"},
		{"half a body", "POST", "/v1/recommend", `{"k": 1`, nil, 400, "bad_request", "", ""},
		{"no JSON", "POST", "/v1/recommend", `{"history": [1, x]}`, nil, 400, "bad_request", "history[1]", "no JSON at byte 16"},
		{"two bodies", "POST", "/v1/recommend", `{"history": []} {}`, nil, 400, "bad_request", "", "no JSON at byte 16"},
		{"unknown field", "POST", "/v1/recommend", `{"history": [], "kk": 3}`, nil, 400, "bad_request", "kk", "no such field"},
		{"field of another case", "POST", "/v1/recommend", `{"history": [], "K": 3}`, nil, 400, "bad_request", "K", "no such field"},
		{"field twice", "POST", "/v1/recommend", `{"history": [], "k": 3, "k": 4}`, nil, 400, "bad_request", "k", "duplicate"},
		{"text for a number", "POST", "/v1/recommend", `{"history": [], "k": "3"}`, nil, 400, "bad_request", "k", "cannot be a string"},
		{"fraction", "POST", "/v1/recommend", `{"history": [], "k": 1.5}`, nil, 400, "bad_request", "k", ""},
		{"a fraction", "POST", "/v1/recommend", `{"history": [], "k": 2.0}`, nil, 400, "bad_request", "k", "must be a whole number"},
		{"a number of many digits", "POST", "/v1/recommend", `{"history": [], "k": 99999999999999999999}`, nil, 400, "bad_request", "k", "beyond all bounds"},
		{"an object for text", "POST", "/rerank", `{"query": {}, "texts": ["a"]}`, nil, 400, "bad_request", "query", "cannot be an object"},
		{"a list", "POST", "/v1/recommend", `[]`, nil, 400, "bad_request", "", "cannot be a list"},
		{"no reference", "POST", "/v1/recommend", `{"history": [1, 0]}`, nil, 400, "bad_request", "history[1]", "0 is no id"},
		{"empty reference", "POST", "/v1/recommend", `{"history": [""]}`, nil, 400, "bad_request", "history[0]", "it is empty"},
		{"null reference", "POST", "/v1/rank", `{"history": [1], "candidates": [1, null]}`, nil, 400, "bad_request", "candidates[1]", "null is no id"},
		{"nobody", "POST", "/v1/recommend", `{"k": 3}`, nil, 400, "bad_request", "user_id", "name a user"},
		{"both", "POST", "/v1/retrieve", `{"user_id": 1, "history": []}`, nil, 400, "bad_request", "user_id", "not both"},
		{"too many wanted", "POST", "/v1/retrieve", `{"user_id": 1, "k": 51}`, nil, 400, "bad_request", "k", "from 0 (the default) to 50"},
		{"too long a history", "POST", "/v1/retrieve", `{"history": ` + long + `}`, nil, 400, "bad_request", "history", "holds 201 items, more than 200"},
		{"unknown order", "POST", "/v1/recommend", `{"user_id": 1, "rank": "popularity"}`, nil, 400, "bad_request", "rank", "none of none, llm, fusion"},
		{"no history", "POST", "/v1/rank", `{"history": [], "candidates": [1]}`, nil, 400, "bad_request", "history", "is empty"},
		{"no candidates", "POST", "/v1/prompt", `{"history": [1], "candidates": []}`, nil, 400, "bad_request", "candidates", "is empty"},
		{"invalid UTF-8", "POST", "/v1/recommend", "{\"history\": [\"\xff\"]}", nil, 400, "bad_request", "history[0]", "UTF-8"},
		{"no query", "POST", "/rerank", `{"query": " ", "texts": ["a"]}`, nil, 400, "bad_request", "query", "is empty"},
		{"no texts", "POST", "/rerank", `{"query": "a"}`, nil, 400, "bad_request", "texts", "is empty"},
		{"texts and documents", "POST", "/rerank", `{"query": "a", "texts": ["a"], "documents": ["b"]}`, nil, 400, "bad_request", "documents", "not both"},
		{"null for a text", "POST", "/rerank", `{"query": "a", "texts": ["a", null]}`, nil, 400, "bad_request", "texts[1]", "null is no text"},
		{"null for a category", "POST", "/v1/recommend", `{"user_id": 1, "categories": [null]}`, nil, 400, "bad_request", "categories[0]", "null is no text"},
		{"document without text", "POST", "/rerank", `{"query": "a", "documents": ["b", {"title": "c"}]}`, nil, 400, "bad_request", "documents[1]", "a document is"},
		{"cut although it must not be", "POST", "/rerank", `{"query": "a", "truncate": false, "texts": ["` + strings.Repeat("a", 1100) + `"]}`, nil, 422, "too_long", "truncate", "titles=1"},
		{"wrong type", "POST", "/v1/recommend", `{}`, []string{"Content-Type: text/plain"}, 415, "unsupported_media_type", "Content-Type", "send application/json"},
		{"too large", "POST", "/v1/recommend", strings.Repeat(" ", 2001), nil, 413, "too_large", "", "larger than 2000 bytes"},
		{"time of no form", "POST", "/v1/recommend", `{"user_id": 1}`, []string{"X-Request-Timeout: soon"}, 400, "bad_request", "X-Request-Timeout", "is no time"},
		{"time below 0", "GET", "/v1/info", ``, []string{"X-Request-Timeout: -1"}, 400, "bad_request", "X-Request-Timeout", "is no time"},
		{"unknown parameter", "GET", "/v1/items?q=a&page=2", ``, nil, 400, "bad_request", "page", "no such parameter"},
		{"parameter that cannot be read", "GET", "/v1/items?q=a&limit=%zz", ``, nil, 400, "bad_request", "", "the query cannot be read"},
		{"parameter twice", "GET", "/v1/items?q=a&q=b", ``, nil, 400, "bad_request", "q", "more than once"},
		{"no search", "GET", "/v1/items", ``, nil, 400, "bad_request", "q", "part of a title"},
		{"limit of no form", "GET", "/v1/items?q=a&limit=1000", ``, nil, 400, "bad_request", "limit", "from 1 to 100"},
		{"by of no form", "GET", "/v1/items/1?by=name", ``, nil, 400, "bad_request", "by", "neither id nor source"},
		{"unknown user", "POST", "/v1/recommend", `{"user_id": 99}`, nil, 404, "unknown_user", "user_id", "no such user"},
		{"unknown user of a path", "GET", "/v1/users/99", ``, nil, 404, "unknown_user", "user_id", "no such user"},
		{"unknown item", "GET", "/v1/items/nobody", ``, nil, 404, "unknown_item", "id", "no such item"},
		{"no picture", "GET", "/v1/items/1/picture", ``, nil, 404, "not_found", "", "no picture"},
		{"no route", "GET", "/v1/nothing", ``, nil, 404, "not_found", "", "/docs"},
		{"no route to post to", "POST", "/nothing", ``, nil, 404, "not_found", "", "/docs"},
		{"reload where it is off", "POST", "/-/reload", ``, nil, 404, "not_found", "", ""},
		{"wrong method", "GET", "/v1/recommend", ``, nil, 405, "method_not_allowed", "", "POST"},
		{"another wrong method", "DELETE", "/v1/items/1", ``, nil, 405, "method_not_allowed", "", "GET, HEAD"},
		{"cannot be ranked", "POST", "/v1/rank", `{"history": [1], "candidates": [999]}`, nil, 422, "nothing_to_rank", "candidates", "none of the candidates is known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := send(t, test.method, server.URL+test.path, test.body, test.headers...)
			p := a.problem(t)
			if a.status != test.status || p.Code != test.code || p.Field != test.field || !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestRerankAnswersInTheFormOfTheClient(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{Name: "m1"}))
	for _, path := range []string{"/rerank", "/v1/rerank", "/v2/rerank"} {
		a := send(t, http.MethodPost, server.URL+path, `{"query": "q", "texts": ["aa", "b"], "raw_scores": false, "truncate": true, "return_text": true}`)
		if want := `[{"index":0,"score":0.6,"text":"aa"},{"index":1,"score":0.4,"text":"b"}]`; compact(t, a.body) != want {
			t.Errorf("%s: got %s, want %s", path, a.body, want)
		}
		a = send(t, http.MethodPost, server.URL+path, `{"model": "x", "query": "q", "documents": ["b", {"text": "aa"}], "top_n": 1, "return_documents": true}`)
		if want := `"results":[{"index":1,"relevance_score":0.6,"document":{"text":"aa"}}],"usage":{"total_tokens":3}`; !strings.Contains(a.body, want) {
			t.Errorf("%s: got %s, want %s", path, a.body, want)
		}
	}
	a := send(t, http.MethodPost, server.URL+"/rerank", `{"query": "q", "texts": ["a"], "raw_scores": true}`)
	if compact(t, a.body) != `[{"index":0,"score":0}]` {
		t.Errorf("the logarithm of 1 is %s", a.body)
	}
	a = send(t, http.MethodPost, server.URL+"/rerank", `{"query": "q", "texts": ["`+strings.Repeat("a", 1001)+`"]}`)
	if got := a.header.Get("X-Truncated"); got != "titles=1, captions=0, history=0" {
		t.Errorf("a cut is told as %q", got)
	}
}

// form is a multipart body with parts of the names, each holding content.
func form(t *testing.T, content string, names ...string) (body, contentType string) {
	t.Helper()
	var out bytes.Buffer
	writer := multipart.NewWriter(&out)
	for _, name := range names {
		part, err := writer.CreateFormFile(name, "picture.png")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(part, content)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), "Content-Type: " + writer.FormDataContentType()
}

func TestCaptionTakesOnePicture(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{})
	o.PictureBytes = 1000
	server := start(t, o)
	for _, test := range []struct {
		content string
		names   []string
		status  int
		want    string
	}{
		{"abc", []string{"image"}, 200, `"caption":"a picture of 3 bytes"`},
		{"", []string{"image"}, 400, "is empty"},
		{"abc", []string{"photo"}, 400, `"field":"photo"`},
		{"abc", nil, 400, "is missing"},
		{"abc", []string{"image", "image"}, 400, "one picture"},
		{strings.Repeat("a", 100<<10), []string{"image"}, 413, "too_large"},
	} {
		body, contentType := form(t, test.content, test.names...)
		if a := send(t, http.MethodPost, server.URL+"/v1/caption", body, contentType); a.status != test.status || !strings.Contains(a.body, test.want) {
			t.Errorf("%d bytes as %q: got %d %s", len(test.content), test.names, a.status, a.body)
		}
	}
	if p := send(t, http.MethodPost, server.URL+"/v1/caption", "abc").problem(t); p.Code != "unsupported_media_type" {
		t.Errorf("JSON for a picture: %+v", p)
	}
	without := start(t, options(&servetest.Fake{NoCaptioner: true}))
	body, contentType := form(t, "abc", "image")
	if p := send(t, http.MethodPost, without.URL+"/v1/caption", body, contentType).problem(t); p.Code != "no_captioner" || p.Status != 422 {
		t.Errorf("no captioner: %+v", p)
	}
}

func TestLookupsFindByIDAndBySource(t *testing.T) {
	t.Parallel()
	picture := filepath.Join(t.TempDir(), "p")
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	server := start(t, options(&servetest.Fake{PicturePath: picture}))
	for path, want := range map[string]string{
		"/v1/items/7":                `"title":"Item 7"`,
		"/v1/items/s7":               `"title":"Item 7"`,
		"/v1/users/2":                `"user_id":2`,
		"/v1/items?q=item+7":         `{"items":[{"item_id":7,`,
		"/v1/items?q=nothing":        `{"items":[]}`,
		"/v1/info":                   `"body_bytes":1048576,"picture_bytes":1048576`,
		"/healthz":                   `{"status":"alive"}`,
		"/readyz":                    `{"status":"ready"}`,
		"/docs":                      `<h1>mllm4rec`,
		"/docs/style.css":            `color-scheme`,
		"/openapi.json":              `"openapi": "3.1.0"`,
		"/metrics":                   `mllm4rec_model_info{base="",fingerprint="",kind="ranker",precision="fp32",provider="cpu"} 1`,
		"/":                          `/docs`,
		"/v1/items/s7/picture":       "\x89PNG",
		"/v1/items/%73%37?by=source": `"title":"Item 7"`,
	} {
		if a := send(t, http.MethodGet, server.URL+path, ""); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: got %d %.300s, want %s", path, a.status, a.body, want)
		}
	}
	if p := send(t, http.MethodGet, server.URL+"/v1/items/7?by=source", "").problem(t); p.Status != 404 {
		t.Errorf("a number taken as the source's id: %+v", p)
	}
	if got := send(t, http.MethodGet, server.URL+"/v1/items/7/picture", "").header.Get("Content-Type"); got != "image/png" {
		t.Errorf("the picture comes as %q", got)
	}
}

func TestErrorsOfOursStayInside(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("open /secret/path: no such file") },
		"panic": func(context.Context) error { panic("/secret/path") },
	} {
		o := options(&servetest.Fake{Work: work})
		var log lines
		o.Log = log.logger()
		server := start(t, o)
		a := send(t, http.MethodPost, server.URL+"/v1/rank", `{"history": [1], "candidates": [2]}`)
		if p := a.problem(t); p.Status != 500 || p.Code != "internal" || strings.Contains(a.body, "secret") {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		eventually(t, "the error is in the log", func() bool { return strings.Contains(log.String(), "/secret/path") })
	}
}

func TestTimeRunsOutForTheModel(t *testing.T) {
	t.Parallel()
	held := newGate()
	server := start(t, options(&servetest.Fake{Work: held.work}))
	for _, limit := range []string{"0.05", "50ms"} {
		p := send(t, http.MethodPost, server.URL+"/v1/rank", `{"history": [1], "candidates": [2]}`, "X-Request-Timeout: "+limit).problem(t)
		if p.Status != http.StatusGatewayTimeout || p.Code != "timeout" {
			t.Errorf("%s: got %+v", limit, p)
		}
	}
	o := options(&servetest.Fake{Work: held.work})
	o.Timeout = 50 * time.Millisecond
	if p := send(t, http.MethodPost, start(t, o).URL+"/v1/rank", `{"history": [1], "candidates": [2]}`, "X-Request-Timeout: 1h").problem(t); p.Code != "timeout" {
		t.Errorf("more than the limit of the options: got %+v", p)
	}
}

func TestNothingIsAnsweredBeforeTheModelsAreOpen(t *testing.T) {
	t.Parallel()
	server := listen(t, newServer(t, options(&servetest.Fake{})))
	if a := send(t, http.MethodGet, server.URL+"/healthz", ""); a.status != http.StatusOK {
		t.Errorf("alive: %d", a.status)
	}
	for _, call := range [][3]string{{"GET", "/readyz", ""}, {"POST", "/v1/recommend", `{"user_id": 1}`}, {"GET", "/v1/info", ""}, {"GET", "/v1/items?q=a", ""}} {
		a := send(t, call[0], server.URL+call[1], call[2])
		if p := a.problem(t); p.Status != 503 || p.Code != "not_ready" || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %d %s %v", call[1], a.status, a.body, a.header)
		}
	}
}
