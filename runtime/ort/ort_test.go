package ort_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/orttest"
)

const tiny = "testdata/tiny.onnx"

func open(t testing.TB, change func(*ort.Options)) *ort.Session {
	t.Helper()
	options := orttest.Options(t)
	if change != nil {
		change(&options)
	}
	s, err := ort.Open(tiny, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// topK runs the tiny model over one batch, and frees every tensor.
func topK(ctx context.Context, s *ort.Session, items []int64, batch, k int64) ([]int64, []float32, error) {
	top, scores := make([]int64, batch*k), make([]float32, batch*k)
	in, err := ort.NewTensor(items, batch, int64(len(items))/batch)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	count, err := ort.NewTensor([]int64{k}, 1)
	if err != nil {
		return nil, nil, err
	}
	defer count.Close()
	outItems, err := ort.NewTensor(top, batch, k)
	if err != nil {
		return nil, nil, err
	}
	defer outItems.Close()
	outScores, err := ort.NewTensor(scores, batch, k)
	if err != nil {
		return nil, nil, err
	}
	defer outScores.Close()
	return top, scores, s.Run(ctx, []ort.Value{in, count}, []ort.Value{outItems, outScores})
}

func TestSessionTellsWhatTheModelIs(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	m := s.Model()
	if m.Kind != "retriever" || m.Metadata["mllm4rec.num_items"] != "30" || s.Provider() != "cpu" {
		t.Errorf("kind %s, metadata %v, provider %s", m.Kind, m.Metadata, s.Provider())
	}
	if !slices.Equal(m.InputNames(), []string{"items", "k"}) || !slices.Equal(m.OutputNames(), []string{"top_items", "top_scores"}) {
		t.Errorf("inputs %v, outputs %v", m.Inputs, m.Outputs)
	}
	if got := m.Inputs[0]; got.Type != "int64" || !slices.Equal(got.Shape, []string{"batch", "length"}) {
		t.Errorf("first input %v", got)
	}
}

func TestRunWritesIntoTheLentSlices(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	top, scores, err := topK(t.Context(), s, []int64{0, 1, 2, 3, 4, 5}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	for u, history := range [][]int64{{0, 1, 2}, {3, 4, 5}} {
		list := top[u*4 : u*4+4]
		if !slices.IsSortedFunc(scores[u*4:u*4+4], func(a, b float32) int { return -compare(a, b) }) {
			t.Errorf("scores %v are not best first", scores)
		}
		for _, item := range list {
			if slices.Contains(history, item) || item < 1 || item > 30 {
				t.Errorf("user %d with history %v got %v", u, history, list)
			}
		}
	}
}

func compare(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestRunsOfManyGoroutinesAgree(t *testing.T) {
	t.Parallel()
	s := open(t, func(o *ort.Options) { o.Threads = 1 })
	want, _, err := topK(t.Context(), s, []int64{7, 8, 9}, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				got, _, err := topK(t.Context(), s, []int64{7, 8, 9}, 1, 5)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("got %v, %v, want %v", got, err, want)
				}
			}
		})
	}
	group.Wait()
}

func TestMissingAcceleratorFallsBackAndIsReportedOnce(t *testing.T) {
	ort.ForgetWarnings()
	var lines []string
	for range 2 {
		s := open(t, func(o *ort.Options) {
			o.Providers = []string{"tensorrt", "cuda", "cpu"}
			o.Warn = func(line string) { lines = append(lines, line) }
		})
		if s.Provider() == "cpu" && len(lines) != 2 {
			t.Errorf("on the CPU after %q, want two lines: why not tensorrt, why not cuda", lines)
		}
	}
	for _, line := range lines {
		if !strings.Contains(line, "going on with") || strings.Contains(line, "\n") {
			t.Errorf("report %q", line)
		}
	}
}

func TestSettingsWithoutEffectAreReportedOnce(t *testing.T) {
	ort.ForgetWarnings()
	var lines []string
	for range 2 {
		open(t, func(o *ort.Options) {
			o.Device.FP16 = true
			o.Warn = func(line string) { lines = append(lines, line) }
		})
	}
	if want := []string{"runtime.tensorrt_fp16 has no effect: it is for tensorrt, and runtime.providers is cpu"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	base := orttest.Options(t)
	for _, c := range []struct {
		name, model string
		change      func(*ort.Options)
		want        string
		usage       bool
	}{
		{"an unknown provider", tiny, func(o *ort.Options) { o.Providers = []string{"gpu"} }, `"gpu" is none of tensorrt, cuda, cpu`, true},
		{"a model of another kind", tiny, func(o *ort.Options) { o.Kind = "ranker" }, "this is a retriever model, but a ranker is needed", true},
		{"a missing model", "testdata/none.onnx", nil, "testdata/none.onnx: no such file", true},
		{"a library that is not there", tiny, func(o *ort.Options) { o.Library = "/nowhere" }, "give the path of the ONNX Runtime library", true},
		{"a strict provider that cannot load", tiny, func(o *ort.Options) { o.Providers, o.Strict = []string{"tensorrt", "cpu"}, true }, "cannot open it on tensorrt, cpu: provider tensorrt", false},
		{"only providers that cannot load", tiny, func(o *ort.Options) { o.Providers = []string{"tensorrt"} }, "none of the providers tensorrt can be had", false},
		{"what to do without a strict provider", tiny, func(o *ort.Options) { o.Providers, o.Strict = []string{"tensorrt", "cpu"}, true }, "take tensorrt out of runtime.providers, or set runtime.strict to false", false},
		{"what to do without a provider", tiny, func(o *ort.Options) { o.Providers = []string{"cuda"} }, "add cpu to runtime.providers", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := base
			if c.change != nil {
				c.change(&o)
			}
			s, err := ort.Open(c.model, o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.want) || fail.IsUsage(err) != c.usage {
				t.Errorf("error %q (usage %v), want %q (usage %v)", err, fail.IsUsage(err), c.want, c.usage)
			}
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := topK(ctx, s, []int64{1}, 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("run under an ended context: %v", err)
	}
	// A batch that takes long enough to be caught in the middle.
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := topK(ctx, s, make([]int64, 200_000*6), 200_000, 30); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run past its deadline: %v", err)
	}
	if _, _, err := topK(t.Context(), s, []int64{1}, 1, 1); err != nil {
		t.Errorf("the session is of no more use after a stop: %v", err)
	}
}

func TestRunNamesTheModelInItsErrors(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	_, _, err := topK(t.Context(), s, []int64{99}, 1, 1)
	if err == nil || !strings.Contains(err.Error(), tiny) {
		t.Errorf("item 99 of 30: %v", err)
	}
}

func TestTensorRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	open(t, nil)
	for name, shape := range map[string][]int64{"too few elements": {2, 3}, "negative": {-1}, "no shape": {}, "overflow": {1 << 62, 4}} {
		if tensor, err := ort.NewTensor([]float32{1, 2, 3}, shape...); err == nil {
			tensor.Close()
			t.Errorf("%s: shape %v over 3 elements was taken", name, shape)
		}
	}
}

func TestEmptyTensorNeedsNoElements(t *testing.T) {
	t.Parallel()
	open(t, nil)
	tensor, err := ort.NewTensor([]float32{}, 1, 3, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer tensor.Close()
	if n := len(tensor.Data()); n != 0 {
		t.Errorf("%d elements", n)
	}
}

func TestProfileIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "trace")
	options := orttest.Options(t)
	options.Profile = prefix
	s, err := ort.Open(tiny, options)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = topK(t.Context(), s, []int64{1, 2}, 1, 3)
	if err := errors.Join(err, s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	traces, _ := filepath.Glob(prefix + "*.json")
	if len(traces) != 1 {
		t.Fatalf("traces %v, want one", traces)
	}
	if raw, _ := os.ReadFile(traces[0]); !strings.Contains(string(raw), "TopK") {
		t.Error("the trace names no TopK")
	}
}

func TestOneProcessHasOneLibrary(t *testing.T) {
	t.Parallel()
	open(t, nil)
	library, err := ort.FindLibrary(orttest.Options(t).Library)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link, copied := filepath.Join(dir, "libonnxruntime.so"), filepath.Join(dir, "other.so")
	if err := os.Symlink(library, link); err != nil {
		t.Fatal(err)
	}
	s, err := ort.Open(tiny, ort.Options{Library: link})
	if err != nil {
		t.Fatalf("the same library under another name: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(library, copied); err != nil {
		t.Skipf("cannot link the library here: %v", err)
	}
	if _, err := ort.Open(tiny, ort.Options{Library: copied}); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), "was loaded from") {
		t.Errorf("another library in the same process: %v", err)
	}
}
