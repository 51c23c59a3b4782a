package run

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mllm4rec/configs"
	"mllm4rec/data/table"
	"mllm4rec/pipeline/stage"
	"mllm4rec/pipeline/worker"
)

func load(t *testing.T, set ...string) *pipeline {
	t.Helper()
	loaded, err := configs.Load(configs.Request{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline{Options: Options{Config: loaded}, dir: loaded.Out}
}

// TestEveryRetrieverKeyReachesTheWorker changes one key after the other: a key that the spec does not hear of would be
// silently without effect.
func TestEveryRetrieverKeyReachesTheWorker(t *testing.T) {
	t.Parallel()
	other := map[string]string{
		"retriever.loss": "gbce", "retriever.sampling": "uniform", "retriever.schedule": "cosine", "retriever.early_stop": "ndcg@10",
		"retriever.dropout": "0.7", "retriever.lru_dropout": "0.7", "retriever.gbce_calibration": "0.1",
		"retriever.learning_rate": "0.5", "retriever.weight_decay": "0.5", "retriever.average": "0.9",
	}
	standard := load(t).retrieverSpec(5000)
	for _, s := range load(t).Config.Settings() {
		if !strings.HasPrefix(s.Key, "retriever.") && s.Key != "seed" {
			continue
		}
		value, ok := other[s.Key]
		if !ok {
			value = "17"
		}
		if changed := load(t, s.Key+"="+value).retrieverSpec(5000); changed == standard {
			t.Errorf("%s=%s changes nothing of what the worker is told", s.Key, value)
		}
	}
}

// TestEveryRankerKeyReachesWhoNeedsIt does the same for the ranker: what the worker does not hear of must be known to the
// export or to the ranking.
func TestEveryRankerKeyReachesWhoNeedsIt(t *testing.T) {
	t.Parallel()
	other := map[string]string{
		"ranker.base": "b", "ranker.tokenizer": "t", "ranker.init_adapter": "a", "ranker.template": "movies", "ranker.max_tokens": "900",
		"ranker.targets": "[o_proj]", "ranker.precision": "nf4", "ranker.loss": "causal", "ranker.negatives": "mixed", "ranker.order": "shuffled",
		"ranker.dropout": "0.5", "ranker.learning_rate": "0.5", "ranker.weight_decay": "0.5", "ranker.batch_tokens": "900", "ranker.export": "int8",
		"ranker.schedule": "cosine", "ranker.captions": "none", "ranker.device": "cuda",
	}
	heard := func(set ...string) string {
		p := load(t, append(set, "captioner.model=c.onnx", "images.source=url")...)
		return fmt.Sprintf("%+v %+v %v", p.rankerSpec(), p.rankModel(), p.exportRanker().Config)
	}
	standard := heard()
	for _, s := range load(t).Config.Settings() {
		if !strings.HasPrefix(s.Key, "ranker.") {
			continue
		}
		value, ok := other[s.Key]
		if !ok {
			value = "17"
		}
		if heard(s.Key+"="+value) == standard {
			t.Errorf("%s=%s changes nothing of what anybody is told", s.Key, value)
		}
	}
}

// TestEveryImagesKeyReachesTheStage does the same for the pictures.
func TestEveryImagesKeyReachesTheStage(t *testing.T) {
	t.Parallel()
	other := map[string]string{"images.source": "tmdb", "images.path": "there", "images.allow_private": "true", "images.placeholders": strings.Repeat("a", 64)}
	heard := func(set ...string) string { return fmt.Sprintf("%+v", load(t, set...).imageOptions()) }
	for _, s := range load(t).Config.Settings() {
		if !strings.HasPrefix(s.Key, "images.") {
			continue
		}
		value, ok := other[s.Key]
		if !ok {
			value = "17"
		}
		if heard(s.Key+"="+value) == heard() {
			t.Errorf("%s=%s changes nothing of what the stage is told", s.Key, value)
		}
	}
}

// TestEveryCaptionerKeyReachesTheStage does the same for the captions.
func TestEveryCaptionerKeyReachesTheStage(t *testing.T) {
	t.Parallel()
	heard := func(set ...string) string {
		return fmt.Sprintf("%+v", load(t, append(set, "images.source=url")...).captioner())
	}
	for _, s := range load(t).Config.Settings() {
		if strings.HasPrefix(s.Key, "captioner.") && heard(s.Key+"=17") == heard() {
			t.Errorf("%s=17 changes nothing of what the stage is told", s.Key)
		}
	}
}

func TestCaptionsReachTheLanguageModelWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	base := []string{"ranker.base=model", "images.source=url"}
	for _, c := range []struct {
		set            []string
		captions, only bool
		note           bool
	}{
		{nil, false, false, true},
		{[]string{"ranker.captions=none"}, false, false, false},
		{[]string{"captioner.model=c.onnx"}, true, false, false},
		{[]string{"captioner.model=c.onnx", "ranker.captions=caption-only"}, true, true, false},
		{[]string{"captioner.model=c.onnx", "ranker.captions=none"}, false, false, false},
	} {
		p := load(t, append(c.set, base...)...)
		trained, ranked := p.rankerSpec(), p.rankModel()
		inputs, err := p.rankerInputs()
		if err != nil {
			t.Fatal(err)
		}
		if (trained.Captions != "") != c.captions || trained.CaptionsOnly != c.only || ranked.Captions != trained.Captions || ranked.CaptionsOnly != c.only ||
			slices.Contains(inputs, p.path("captions.parquet")) != c.captions || (p.withoutCaptioner() != "") != c.note {
			t.Errorf("%q: captions %q (only: %v) to the training, %q (%v) to the ranking, note %q", c.set, trained.Captions, trained.CaptionsOnly,
				ranked.Captions, ranked.CaptionsOnly, p.withoutCaptioner())
		}
	}
}

func TestRunsWithoutCaptionsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"ranker.captions=caption", "ranker.captions=none"} {
		if config, ok := load(t, "ranker.base=model", set).trainRanker().Config.(map[string]any); !ok || config["ranker.captions"] != nil {
			t.Errorf("%s: %v", set, config)
		}
	}
}

func TestOtherFilesInTheFolderOfPicturesCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := func() any { return load(t, "images.source=folder", "images.path="+dir).images().Config }
	before := config()
	if again := load(t, "images.source=folder", "images.path="+dir, "images.parallel=3").images().Config; !reflect.DeepEqual(before, again) {
		t.Errorf("%v\n%v", before, again)
	}
	link := filepath.Join(t.TempDir(), "link")
	linked := func() any { return load(t, "images.source=folder", "images.path="+link).images().Config }
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, linked()) {
		t.Error("a link to the folder is not the folder")
	}
	if err := os.WriteFile(filepath.Join(dir, "1.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if after := config(); reflect.DeepEqual(before, after) || !reflect.DeepEqual(after, linked()) {
		t.Error("a new file does not count")
	}
}

func TestRankersDefaultsAreValid(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"ranker.loss=causal", "ranker.negatives=mixed", "ranker.precision=nf4", "ranker.order=shuffled"} {
		if err := load(t, "ranker.base=model", set).rankerSpec().Validate(); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// TestWhatTheWorkerNotesIsLogged: that it begins anew instead of going on from a checkpoint must not pass in silence.
func TestWhatTheWorkerNotesIsLogged(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	p := load(t)
	p.log = slog.New(NewTextLog(&text))
	bar := &trainBar{p: p, stage: Train}
	bar.event(worker.Event{Kind: worker.Started, Note: "the checkpoint belongs to other settings"})
	if got := text.String(); !strings.Contains(got, "WARN") || !strings.Contains(got, "other settings") || !strings.Contains(got, "stage=train") {
		t.Errorf("log %q", got)
	}
}

func TestDefaultsAreTheWorkers(t *testing.T) {
	t.Parallel()
	got, want := load(t).retrieverSpec(5000), worker.DefaultRetriever()
	want.Sequences, want.NumItems, want.Out = got.Sequences, got.NumItems, got.Out
	want.MaxSteps = got.MaxSteps // the recipe lets patience end it
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, loss := range []string{"full", "sampled", "gbce"} {
		if err := load(t, "retriever.loss="+loss).retrieverSpec(5000).Validate(); err != nil {
			t.Errorf("%s: %v", loss, err)
		}
	}
}

func TestSmallCatalogueLowersNegatives(t *testing.T) {
	t.Parallel()
	if got := load(t).retrieverSpec(30).Negatives; got != 30 {
		t.Errorf("%d negatives of 30 items", got)
	}
}

func TestFilesOfAModelCountWhateverItsFolderIsCalled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "model [1]")
	var want []string
	for _, name := range []string{"config.json", "a.safetensors", "b.safetensors", "retriever.onnx.data"} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		want = append(want, filepath.Join(dir, name))
	}
	if got, err := load(t, "ranker.base="+dir).baseFiles(); err != nil || !slices.Equal(got, want[:3]) {
		t.Errorf("%q, %v; want %q", got, err, want[:3])
	}
	if got, err := load(t, "out="+dir).externalWeights(); err != nil || !slices.Equal(got, want[3:]) {
		t.Errorf("%q, %v; want %q", got, err, want[3:])
	}
}

// TestWhatLiesBesideATokenizerCounts: tokenizer_config.json and config.json tell what begins a prompt, though the recipe names
// tokenizer.json alone.
func TestWhatLiesBesideATokenizerCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "config.json", "base.gguf"} {
		want = append(want, filepath.Join(dir, name))
		if err := os.WriteFile(want[len(want)-1], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{dir: want[:3], want[0]: want[:3], want[3]: want[3:]} {
		if got, err := load(t, "ranker.base=b", "ranker.tokenizer="+path).tokenizerFiles(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
}

func TestWhereTheDataLiesIsNoPartOfTheFingerprint(t *testing.T) {
	t.Parallel()
	a := load(t, "data.path=here").prepare().Config
	b := load(t, "data.path=there", "data.downloads=elsewhere").prepare().Config
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
	if c := load(t, "data.path=here", "data.min_rating=4").prepare().Config; reflect.DeepEqual(a, c) {
		t.Error("data.min_rating does not count")
	}
}

func TestHowOftenToSaveIsNoPartOfTheFingerprint(t *testing.T) {
	t.Parallel()
	if a, b := load(t).train().Config, load(t, "retriever.checkpoint_every=7").train().Config; !reflect.DeepEqual(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
}

func TestStagesAreThoseThatTheRecipeNeeds(t *testing.T) {
	t.Parallel()
	names := func(set ...string) (names []string) {
		for _, s := range load(t, set...).stages() {
			names = append(names, s.Name)
		}
		return names
	}
	if got := names("ranker.base=model", "images.source=url", "captioner.model=c.onnx"); !slices.Equal(got, StageNames()) {
		t.Errorf("StageNames gives %q, a run with everything has %q", StageNames(), got)
	}
	if got := fmt.Sprint(names()); got != "[download prepare train export candidates evaluate report]" {
		t.Error(got)
	}
	if got := fmt.Sprint(names("data.path=x", "ranker.base=model", "ranker.max_steps=0")); got != "[prepare train export candidates export-ranker rank evaluate report]" {
		t.Error(got)
	}
}

func TestFileNamesStayInTheirFolder(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://example.org/a/ml.zip":       "ml.zip",
		"https://example.org/a/x.csv?v=1":    "x.csv",
		"https://example.org/":               "",
		"https://example.org":                "",
		"https://example.org/a/..":           "",
		"https://example.org/a/.hidden":      "",
		"https://example.org/%2e%2e%2fx.csv": "x.csv",
	} {
		got, err := fileName(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := Summary{
		Dir: "runs/x", Report: "runs/x/report.html",
		Stages: []stage.Outcome{
			{Stage: Prepare, Status: stage.UpToDate},
			{Stage: Train, Status: stage.Ran, Why: "changed in the recipe: retriever.batch", Seconds: (90 * time.Second).Seconds()},
		},
		Metrics: []table.Metric{
			{Model: "retriever", Split: "val", Subset: "all", Metric: "recall", K: 10, Value: 0.9},
			{Model: "retriever", Split: "test", Subset: "retrieved", Metric: "recall", K: 10, Value: 0.8},
			{Model: "retriever", Split: "test", Subset: "all", Metric: "recall", K: 10, Value: 0.1234},
			{Model: "random", Split: "test", Subset: "all", Metric: "ndcg", K: 20, Value: 0.01},
		},
		published: []configs.Published{{Model: "LRURec", Metric: "recall", K: 10, Value: 0.1426}},
	}
	want := `prepare  up to date
train    1m30s  changed in the recipe: retriever.batch

test, all users, full ranking  recall@10  ndcg@10  mrr@10  recall@20  ndcg@20
retriever                      0.1234     -        -       -          -
random                         -          -        -       -          0.0100
LRURec (published)             0.1426     -        -       -          -

report: runs/x/report.html
`
	if got := s.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheReportIsWrittenAnewWhereItsNoteChanges(t *testing.T) {
	t.Parallel()
	with, without := load(t, "ranker.base=b"), load(t, "ranker.base=b", "ranker.captions=none")
	if with.withoutCaptioner() == without.withoutCaptioner() || reflect.DeepEqual(with.report().Config, without.report().Config) {
		t.Error("the page says that no captioner is configured to whom asks for none")
	}
}

func TestTimesOfStagesThatTheRecipeHasNoMoreAreNotReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manifest := `{"format": 1, "stages": {"prepare": {"seconds": 1}, "rank": {"seconds": 3600}}}`
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(t, "out="+dir).writeReport(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !strings.Contains(string(page), `class="stage">prepare<`) || strings.Contains(string(page), `class="stage">rank<`) {
		t.Errorf("%v; the page should have the time of prepare, and not that of rank", err)
	}
}

func TestRecipesOfRunsSideBySideDiffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := load(t, "name=other", "ranker.captions=none", "runtime.threads=3", "serve.queue=2", "seed=7")
	text, err := other.Config.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, recipeFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := load(t, "report.beside="+dir)
	got := p.beside()
	if want := []string{"seed: 42 here, 7 there", "ranker.captions: caption here, none there"}; len(got) != 1 || !slices.Equal(got[0].Differs, want) {
		t.Errorf("%+v", got)
	}
	if err := p.checkBeside(); err == nil || !strings.Contains(err.Error(), "holds no sequences.parquet") {
		t.Errorf("a run that did not end: %v", err)
	}
}

// TestEveryRuntimeKeyReachesTheModels does the same for how models are opened, all of them alike.
func TestEveryRuntimeKeyReachesTheModels(t *testing.T) {
	t.Parallel()
	other := map[string]string{"runtime.providers": "cuda", "runtime.strict": "true", "runtime.tensorrt_fp16": "true", "runtime.tensorrt_int8": "true"}
	heard := func(set ...string) string {
		o := load(t, set...).ort()
		o.Warn = nil
		return fmt.Sprintf("%+v", o)
	}
	for _, s := range load(t).Config.Settings() {
		if !strings.HasPrefix(s.Key, "runtime.") {
			continue
		}
		value, ok := other[s.Key]
		if !ok {
			value = "17"
		}
		if heard(s.Key+"="+value) == heard() {
			t.Errorf("%s=%s changes nothing of what a model is opened with", s.Key, value)
		}
	}
}
