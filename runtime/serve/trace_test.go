package serve_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

func TestTracesGoWhereTheVariableSays(t *testing.T) {
	spans := make(chan []byte, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		spans <- body
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tracer, stop, err := serve.Tracing(t.Context(), os.LookupEnv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	o := options(&servetest.Fake{})
	o.Tracer = tracer
	server := start(t, o)
	send(t, http.MethodPost, server.URL+"/v1/rank", ranking, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	server.Close()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := <-spans
	parent := []byte{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c}
	for _, want := range [][]byte{[]byte("POST /v1/rank"), []byte("queue"), []byte("mllm4rec.request_id"), parent} {
		if !bytes.Contains(got, want) {
			t.Errorf("the spans do not hold %q", want)
		}
	}
}

func TestNothingIsTracedWithoutTheVariable(t *testing.T) {
	t.Parallel()
	tracer, stop, err := serve.Tracing(t.Context(), func(string) (string, bool) { return "", false }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Tracer("t").Start(t.Context(), "s")
	if span.IsRecording() {
		t.Error("a span is recorded")
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACollectorThatIsGoneIsALineOfTheLog(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1") // ms
	var log lines
	tracer, stop, err := serve.Tracing(t.Context(), os.LookupEnv, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop(t.Context()) }()
	_, span := tracer.Tracer("t").Start(t.Context(), "s")
	span.End()
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), `"msg":"traces"`) })
}
