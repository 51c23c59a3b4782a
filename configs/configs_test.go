package configs_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mllm4rec/configs"
	"mllm4rec/internal/fail"
)

func recipe(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayersWinInOrder(t *testing.T) {
	t.Parallel()
	file := recipe(t, "name: layered\nretriever: {hidden: 16, blocks: 3, batch: 8, dropout: 0.1}\n")
	loaded, err := configs.Load(configs.Request{
		Recipe:  file,
		Environ: []string{"HOME=/", "MLLM4REC_TRAIN=/bin/x", "MLLM4REC_RETRIEVER_BLOCKS=4", "MLLM4REC_RETRIEVER_BATCH=9"},
		Set:     []string{"retriever.batch=10", "out=elsewhere"},
		Flags:   []configs.Flag{{Name: "--run", Key: "out", Value: "runs/there"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key  string
		want any
		from configs.Origin
	}{
		{"seed", int64(42), configs.Origin{From: "default"}},
		{"retriever.hidden", 16, configs.Origin{From: "recipe", Where: file + ":2"}},
		{"retriever.blocks", 4, configs.Origin{From: "environment", Where: "MLLM4REC_RETRIEVER_BLOCKS"}},
		{"retriever.batch", 10, configs.Origin{From: "set"}},
		{"out", "runs/there", configs.Origin{From: "flag", Where: "--run"}},
	} {
		found := false
		for _, s := range loaded.Settings() {
			if s.Key == test.key {
				found = true
				if s.Value != test.want || s.Origin != test.from {
					t.Errorf("%s is %v from %v, want %v from %v", test.key, s.Value, s.Origin, test.want, test.from)
				}
			}
		}
		if !found {
			t.Errorf("%s is not shown", test.key)
		}
	}
}

func TestWrongRecipesAreRefusedInOneLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"unknown key", "name: a\nretriever:\n  dropuot: 0.3\n", `:3: unknown key "retriever.dropuot"; did you mean "retriever.dropout"?`},
		{"key of another section", "dropout: 0.3\n", `:1: unknown key "dropout"; did you mean "retriever.dropout"?`},
		{"unknown key in a list", "report:\n  published:\n    - {modle: x}\n", `:3: unknown key "report.published[0].modle"; did you mean "report.published[0].model"?`},
		{"not near any key", "zzzzzzzzzzzz: 1\n", "config show"},
		{"text for a number", "retriever: {dropout: high}\n", `:1: retriever.dropout: "high" is not a number`},
		{"fraction for a whole number", "retriever: {hidden: 1.5}\n", `retriever.hidden: "1.5" is not a whole number`},
		{"not a number", "retriever: {dropout: .nan}\n", `retriever.dropout: ".nan" is not a number`},
		{"beyond int64", "seed: 99999999999999999999\n", `:1: seed: "99999999999999999999" is too large a number`},
		{"empty or one of", "data: {clean_titles: all}\n", `data.clean_titles: "all" is not allowed; allowed: empty or one of movielens`},
		{"yes for true", "data: {no_header: yes}\n", `data.no_header: "yes" is not true or false`},
		{"list for a value", "name: [a]\n", "name: takes one value (text), not a list or a section"},
		{"value for a list", "runtime: {providers: cpu}\n", "runtime.providers: takes a list of texts"},
		{"value for a section", "data: here\n", ":1: data: takes a section of keys"},
		{"no value", "data:\n  path:\n", `:2: data.path: has no value`},
		{"out of range", "\nretriever: {dropout: 1.5}\n", ":2: retriever.dropout: 1.5 is not allowed; allowed: 0 ≤ value ≤ 0.95"},
		{"not in the set", "retriever: {loss: mse}\n", `retriever.loss: "mse" is not allowed; allowed: one of full, sampled, gbce`},
		{"list entry not in the set", "runtime: {providers: [cpu, gpu]}\n", `runtime.providers[1]: "gpu" is not allowed; allowed: one of tensorrt, cuda, cpu`},
		{"entry out of range", "report: {published: [{model: m, metric: ndcg, k: 10, value: 7}]}\n", "report.published[0].value: 7 is not allowed; allowed: 0 ≤ value ≤ 1"},
		{"list entry twice", "runtime: {providers: [cpu, cpu]}\n", "none twice"},
		{"name that leaves runs/", "name: ../up\n", `name: "../up" is not allowed`},
		{"address of no web", "data: {urls: ['file:///etc/passwd']}\n", "data.urls[0]: \"file:///etc/passwd\" is not allowed; allowed: an http or https address"},
		{"a warm-up that never ends", "ranker: {schedule: cosine, max_steps: 50}\n", "ranker.warmup_steps: 100 is not below ranker.max_steps (50)"},
		{"another that never ends", "retriever: {schedule: cosine, max_steps: 50, warmup_steps: 50}\n", "retriever.warmup_steps: 50 is not below retriever.max_steps (50)"},
		{"sums do not match urls", "data: {sha256: ['" + strings.Repeat("a", 64) + "']}\n", "data.sha256: 1 sums for 0 urls"},
		{"pictures from no folder", "images: {source: folder}\n", ":1: images.source: folder needs images.path"},
		{"captions of no pictures", "captioner: {model: c.onnx}\n", ":1: captioner.model: there are no pictures to caption"},
		{"captions of nobody", "ranker: {captions: caption-only}\n", ":1: ranker.captions: caption-only needs captioner.model"},
		{"pictures from nowhere", "images: {source: web}\n", `allowed: empty or one of url, folder, tmdb`},
		{"given twice", "name: a\nname: b\n", ":2: name is given twice"},
		{"alias", "data: {path: &p here, items: *p}\n", "anchors and aliases are not taken"},
		{"syntax", "name: [a\n", "line"},
		{"tab", "name:\n\t- a\n", "line 2"},
		{"empty", "", "is empty"},
		{"a comment alone", "# nothing\n", "is empty"},
		{"two documents", "name: a\n---\nname: b\n", "recipe.yaml:2: a second document begins"},
		{"an end of nothing", "name: a\n--- [b\n", "line"},
		{"no keys", "user,item\n1,2\n", "recipe.yaml:1: a recipe is keys and their values"},
		{"binary", "\x00\x01\x02", "recipe.yaml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := configs.Load(configs.Request{Recipe: recipe(t, test.text)})
			wantUsageError(t, err, test.want)
		})
	}
}

func TestWrongSettingsNameWhereTheyStand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request configs.Request
		want    string
	}{
		{"set without =", configs.Request{Set: []string{"seed"}}, "write --set key=value"},
		{"set unknown", configs.Request{Set: []string{"retriever.lernrate=1"}}, `unknown key "retriever.lernrate"`},
		{"set a section", configs.Request{Set: []string{"retriever=1"}}, `unknown key "retriever"`},
		{"set entries", configs.Request{Set: []string{"report.published=x"}}, "can be set in a recipe only"},
		{"set out of range", configs.Request{Set: []string{"candidates.k=0"}}, "--set: candidates.k: 0 is not allowed; allowed: 1 ≤ value ≤ 1000"},
		{"environment type", configs.Request{Environ: []string{"MLLM4REC_SEED=x"}}, `MLLM4REC_SEED: seed: "x" is not a whole number`},
		{"environment range", configs.Request{Environ: []string{"MLLM4REC_SEED=-1"}}, "MLLM4REC_SEED: seed: -1 is not allowed"},
		{"environment typo", configs.Request{Environ: []string{"MLLM4REC_DATA_PTH=x"}}, `did you mean "data.path"?`},
		{"no such recipe", configs.Request{Recipe: "nowhere.yaml"}, "no such file, and no built-in recipe"},
		{"folder as recipe", configs.Request{Recipe: "."}, "is not a file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := configs.Load(test.request)
			wantUsageError(t, err, test.want)
		})
	}
}

func wantUsageError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatal("accepted")
	case !fail.IsUsage(err):
		t.Errorf("%v: not a usage error", err)
	case strings.Contains(err.Error(), "\n"):
		t.Errorf("more than one line: %q", err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("got %q, want it to contain %q", err, want)
	}
}

func TestListsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"cuda,cpu": {"cuda", "cpu"}, "[cuda, cpu]": {"cuda", "cpu"}, "cpu": {"cpu"}} {
		loaded, err := configs.Load(configs.Request{Set: []string{"runtime.providers=" + text}})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(loaded.Runtime.Providers, want) {
			t.Errorf("%s gives %q, want %q", text, loaded.Runtime.Providers, want)
		}
	}
}

func TestEveryBuiltInRecipeLoads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ml-100k", "ml-latest-small", "beauty", "toys", "games", "amazon2023-all-beauty"} {
		loaded, err := configs.Load(configs.Request{Recipe: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if loaded.Name != name || loaded.Out != "runs/"+name {
			t.Errorf("%s is named %q and goes to %q", name, loaded.Name, loaded.Out)
		}
		if loaded.Data.Path == "" && len(loaded.Data.URLs) == 0 {
			t.Errorf("%s has neither path nor urls", name)
		}
	}
}

func TestYAMLLoadsToTheSameConfig(t *testing.T) {
	t.Parallel()
	for _, name := range configs.BuiltIn() {
		loaded, err := configs.Load(configs.Request{Recipe: name, Set: []string{"retriever.dropout=0.123", "data.path=a b: c"}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := loaded.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := configs.Load(configs.Request{Recipe: recipe(t, string(text))})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		second, err := again.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if string(second) != string(text) || again.Data.Path != "a b: c" || again.Retriever.Dropout != 0.123 {
			t.Errorf("%s: %+v became %+v", name, loaded.Config, again.Config)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	for _, key := range configs.Keys() {
		if key.Doc == "" || strings.HasSuffix(key.Name, ".") || key.Name != strings.ToLower(key.Name) {
			t.Errorf("%q: needs a lower-case key tag and a doc tag", key.Name)
		}
	}
	page, err := os.ReadFile("../docs/recipe.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != configs.Docs() {
		t.Error("docs/recipe.md is not what the struct says: run go generate ./configs")
	}
}

func FuzzLoadNeverPanics(f *testing.F) {
	for _, name := range configs.BuiltIn() {
		text, err := os.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("report: {published: [[]]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := configs.Load(configs.Request{Recipe: recipe(t, string(text))})
		if err != nil && !fail.IsUsage(err) {
			t.Errorf("%v: not a usage error", err)
		}
	})
}
