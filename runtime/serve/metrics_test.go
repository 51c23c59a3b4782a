package serve_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

func TestMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	fake := &servetest.Fake{Name: "m1"}
	o := options(fake)
	o.Open = func(_ context.Context, watch serve.Observer) (serve.Backend, error) {
		watch.Batch("retriever", 3, 40)
		watch.Cache("titles", 2, 1)
		return fake, nil
	}
	server := start(t, o)
	send(t, http.MethodPost, server.URL+"/v1/rank", ranking) // a Fake cuts one title
	send(t, http.MethodPost, server.URL+"/v1/recommend", `{}`)
	send(t, http.MethodGet, server.URL+"/v1/items/1", "")
	send(t, http.MethodGet, server.URL+"/v1/items/2", "")
	send(t, http.MethodGet, server.URL+"/nothing/here", "")
	text := send(t, http.MethodGet, server.URL+"/metrics", "").body
	for _, want := range []string{
		`mllm4rec_http_requests_total{code="200",route="/v1/rank"} 1`,
		`mllm4rec_http_requests_total{code="400",route="/v1/recommend"} 1`,
		`mllm4rec_http_requests_total{code="200",route="/v1/items/{id}"} 2`,
		`mllm4rec_http_requests_total{code="404",route="none"} 1`,
		`mllm4rec_http_request_seconds_count{route="/v1/rank"} 1`,
		`mllm4rec_http_in_flight 1`, // this one
		`mllm4rec_truncated_total{what="titles"} 1`,
		`mllm4rec_queue_seconds_count{class="rank"} 1`,
		`mllm4rec_slots{class="rank"} 4`,
		`mllm4rec_batch_size_sum{model="retriever"} 3`,
		`mllm4rec_model_tokens_total{model="retriever"} 40`,
		`mllm4rec_cache_hits_total{cache="titles"} 2`,
		`mllm4rec_cache_misses_total{cache="titles"} 1`,
		`mllm4rec_model_info{base="",fingerprint="m1",kind="retriever",precision="",provider="cpu"} 1`,
		`mllm4rec_build_info{version="test"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// BenchmarkRetrieve is what the service adds to a model: HTTP over loopback, JSON, queue. Run it with -cpu 2.
func BenchmarkRetrieve(b *testing.B) {
	server := startBench(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a, err := trySend(b.Context(), http.MethodPost, server+"/v1/retrieve", `{"history": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20], "k": 20}`)
			if err != nil || a.status != http.StatusOK {
				b.Fatal(a, err)
			}
		}
	})
}

func startBench(b *testing.B) string {
	server, err := serve.New(options(&servetest.Fake{Slots: 64}))
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	listener := httptest.NewServer(server.Handler())
	b.Cleanup(listener.Close)
	return listener.URL
}
