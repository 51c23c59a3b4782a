package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mllm4rec/configs"
	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// served is serve with a fake behind it, in this process.
type served struct {
	url     string
	hangups chan os.Signal
	ended   chan error
	stop    context.CancelFunc
	errs    *sink
}

func startServe(t *testing.T, open opener, set ...string) *served {
	t.Helper()
	hangups := make(chan os.Signal, 1)
	reader, writer := io.Pipe()
	s := &served{hangups: hangups, ended: make(chan error, 1), errs: &sink{}}
	a := &app{sys: &system{stdout: writer, stderr: s.errs, hangups: func() <-chan os.Signal { return hangups }}, json: true, recipe: "ml-100k", set: set}
	newRootFor(a)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	t.Cleanup(stop)
	go func() {
		s.ended <- runServe(ctx, a, "127.0.0.1:0", open)
		_ = writer.Close()
	}()
	var opened serve.Opened
	if err := json.NewDecoder(reader).Decode(&opened); err != nil {
		t.Fatalf("%v; it ended with %v\n%s", err, <-s.ended, s.errs.text.String())
	}
	s.url = opened.URL
	return s
}

// newRootFor gives an app the flags that load looks at, with what the app holds.
func newRootFor(a *app) {
	recipe, set, asJSON := a.recipe, a.set, a.json
	newRoot(a)
	a.recipe, a.set, a.json = recipe, set, asJSON
}

func get(t *testing.T, url string, key string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestServeAnswersUntilItIsStopped(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("test:0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan string, 2)
	s := startServe(t, func(_ context.Context, loaded *configs.Loaded, _ serve.Observer) (serve.Backend, error) {
		opened <- loaded.Out
		return &servetest.Fake{}, nil
	}, "serve.keys="+keys)
	if status, _ := get(t, s.url+"/v1/info", ""); status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", status)
	}
	if status, text := get(t, s.url+"/v1/info", "0123456789abcdef"); status != http.StatusOK || !strings.Contains(text, `"name":"fake"`) {
		t.Errorf("with a key: %d %s", status, text)
	}
	s.hangups <- syscall.SIGHUP
	for range 2 {
		select {
		case folder := <-opened:
			if folder != "runs/ml-100k" {
				t.Errorf("opened the models of %s", folder)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("SIGHUP opened no models")
		}
	}
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestALogForProgramsHasNoOtherLines(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{"text": "serving tiny on http://here", "json": ""} {
		errs := &sink{}
		a := &app{sys: &system{stderr: errs}}
		a.sayServing(serve.Opened{URL: "http://here", Info: serve.Info{Name: "tiny"}}, form)
		if got := errs.text.String(); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", form, got)
		}
	}
}

func TestServeRefusesWrongSettings(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct {
		set, environ, want string
	}{
		{"serve.addr=8080", "", "write HOST:PORT"},
		{"serve.addr=127.0.0.1:99999", "", "write HOST:PORT"},
		{"serve.keys=" + none, "", "no such file"},
		{"serve.keys=" + none, keysVariable + "=a:0123456789abcdef", "leave one out"},
		{"seed=1", keysVariable + "=short", "MLLM4REC_API_KEYS: line 1: write name:key"},
		{"serve.rate_per_second=1", "", "there are none"},
		{"serve.tls_cert=" + none, "", "both a certificate and its key"},
		{"serve.origins=[shop.example]", "", "write scheme://host"},
		{"serve.queue=-1", "", "0 ≤ value ≤ 100"},
	} {
		errs := &sink{}
		code := execute(&system{args: []string{"serve", "-c", "ml-100k", "--set", test.set}, environ: []string{test.environ}, stdout: &sink{}, stderr: errs})
		if code != exitUsage || !strings.Contains(errs.text.String(), test.want) {
			t.Errorf("%s %s: exit code %d, %s", test.set, test.environ, code, errs.text.String())
		}
	}
}
