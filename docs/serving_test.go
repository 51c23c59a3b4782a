package docs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// service answers with a backend without models.
func service(t *testing.T) string {
	t.Helper()
	server, err := serve.New(serve.Options{
		Open: (&servetest.Fake{Name: "fake"}).Open, Version: "test", Queue: 0.5, Timeout: 30 * time.Second, Read: 30 * time.Second,
		BodyBytes: 1 << 20, PictureBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return listener.URL
}

// blocks are the pieces of code of a language in docs/serving.md.
func blocks(t *testing.T, language string) (list []string) {
	t.Helper()
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(read(t, "docs/serving.md"), -1) {
		list = append(list, match[1])
	}
	if len(list) == 0 {
		t.Fatalf("docs/serving.md has no example in %s", language)
	}
	return list
}

// try runs a piece of code from a file with a program, against the service, and wants its output to hold texts.
func try(t *testing.T, code, name string, want []string, program ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program[0], append(program[1:], path)...)
	command.Env = append(os.Environ(), "URL="+service(t), "GOFLAGS=")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, text := range want {
		if !strings.Contains(string(out), text) {
			t.Errorf("it prints\n%s\nwithout %q", out, text)
		}
	}
}

var recommended = []string{"4 Item 4", "5 Item 5"}

func TestServingExamplesInTheShellWork(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	try(t, blocks(t, "sh")[0], "calls.sh", []string{`"title":"Item 4"`, `[{"index":1,`, `{"items":[{"item_id":1,`}, "sh", "-e")
}

func TestServingExampleInGoWorks(t *testing.T) {
	t.Parallel()
	need(t, "go")
	try(t, blocks(t, "go")[0], "call.go", recommended, "go", "run")
}

func TestServingExamplesInPythonWork(t *testing.T) {
	t.Parallel()
	examples := blocks(t, "python")
	try(t, examples[0], "call.py", recommended, python(t, "requests"))
	try(t, examples[1], "rerank.py", []string{"1 0.5"}, python(t, "cohere"))
}

func TestServingExampleInJavaScriptWorks(t *testing.T) {
	t.Parallel()
	need(t, "node")
	try(t, blocks(t, "js")[0], "call.mjs", recommended, "node")
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s to run the example with: %v", program, err)
	}
}

// metricName is one of ours in a text.
var metricName = regexp.MustCompile(`mllm4rec_[a-z_]+`)

// histogramPart is what Prometheus puts behind a histogram's name.
var histogramPart = regexp.MustCompile(`_(bucket|sum|count)$`)

func TestDashboardAndDocumentNameEveryMetric(t *testing.T) {
	t.Parallel()
	url := service(t)
	body := strings.NewReader(`{"history": [1], "candidates": [2]}`)
	if response, err := http.Post(url+"/v1/rank", "application/json", body); err != nil {
		t.Fatal(err)
	} else {
		response.Body.Close()
	}
	source, err := os.ReadFile(filepath.Join(root, "runtime/serve/metrics.go"))
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, match := range regexp.MustCompile(`(?:counter|gauge|histogram)\("([a-z_]+)"|Name: "mllm4rec_([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		there = append(there, "mllm4rec_"+match[1]+match[2])
	}
	for _, document := range []string{"docs/serving.md", "docs/serving/grafana.json"} {
		text := read(t, document)
		for _, name := range metricName.FindAllString(text, -1) {
			if name = histogramPart.ReplaceAllString(name, ""); !slices.Contains(there, name) {
				t.Errorf("%s names %s, which is not there", document, name)
			}
		}
	}
	for _, name := range there {
		if !strings.Contains(read(t, "docs/serving.md"), "`"+name+"`") {
			t.Errorf("docs/serving.md does not name %s", name)
		}
	}
	var dashboard struct{ Panels []struct{ Title string } }
	if err := json.Unmarshal([]byte(read(t, "docs/serving/grafana.json")), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Errorf("the dashboard: %v", err)
	}
}

func TestDocumentNamesEveryCode(t *testing.T) {
	t.Parallel()
	for _, match := range regexp.MustCompile(`code[A-Za-z]+ += "([a-z_]+)"`).FindAllStringSubmatch(read(t, "runtime/serve/problem.go"), -1) {
		if code := match[1]; code != "client_gone" && !strings.Contains(read(t, "docs/serving.md"), "`"+code+"`") {
			t.Errorf("docs/serving.md does not name the code %s", code)
		}
	}
}

func TestContainersMatchTheService(t *testing.T) {
	t.Parallel()
	hash := regexp.MustCompile(`sha256:([0-9a-f]{64})`).FindStringSubmatch(read(t, "docs/serving/Dockerfile"))
	if hash == nil || !strings.Contains(read(t, "internal/deps/wheels.go"), hash[1]) {
		t.Error("the Dockerfile takes another ONNX Runtime than make deps")
	}
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "docs/serving/kubernetes.yaml")))
	var kinds []string
	for {
		var object struct{ Kind string }
		if decoder.Decode(&object) != nil {
			break
		}
		kinds = append(kinds, object.Kind)
	}
	if !slices.Equal(kinds, []string{"Deployment", "Service"}) {
		t.Errorf("the manifest holds %v", kinds)
	}
}
