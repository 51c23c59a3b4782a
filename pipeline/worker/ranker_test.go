package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
)

func rankerFor(t *testing.T, behaviour string) RankerSpec {
	spec := DefaultRanker()
	spec.Base, spec.Sequences, spec.Items, spec.Validation = "base", "sequences.parquet", "items.parquet", "candidates.parquet"
	spec.Out = filepath.Join(t.TempDir(), behaviour)
	return spec
}

func TestARankersResultComesThrough(t *testing.T) {
	t.Parallel()
	result, err := TrainRanker(t.Context(), os.Args[0], rankerFor(t, "ranked"), nil)
	if err != nil || result.BestStep != 7 {
		t.Errorf("result %+v, error %v", result, err)
	}
	_, err = TrainRanker(t.Context(), os.Args[0], rankerFor(t, "killed"), nil)
	if err == nil || !strings.Contains(err.Error(), "a bound in ranker.activation_bytes, or a smaller ranker.batch_tokens, needs less") {
		t.Errorf("error %v", err)
	}
	_, err = TrainRanker(t.Context(), os.Args[0], rankerFor(t, "good"), nil) // ends with a retriever's result
	if err == nil || !strings.Contains(err.Error(), "no result of a ranker") {
		t.Errorf("error %v", err)
	}
}

func TestRankerSpecIsChecked(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*RankerSpec){
		"base must be set":    func(s *RankerSpec) { s.Base = "" },
		"rank is 0":           func(s *RankerSpec) { s.Rank = 0 },
		"targets is empty":    func(s *RankerSpec) { s.Targets = nil },
		`names "lm_head"`:     func(s *RankerSpec) { s.Targets = []string{"q_proj", "lm_head"} },
		"candidates is 53":    func(s *RankerSpec) { s.Candidates = 53 },
		"negatives_table":     func(s *RankerSpec) { s.Negatives = "mixed" },
		"negatives is":        func(s *RankerSpec) { s.Negatives, s.NegativesTable = "none", "n.parquet" },
		"positives is 20":     func(s *RankerSpec) { s.Positives = 20 },
		"the loss causal":     func(s *RankerSpec) { s.Positives, s.Loss = 2, "causal" },
		"order is":            func(s *RankerSpec) { s.Order = "alphabetical" },
		"precision is":        func(s *RankerSpec) { s.Precision = "fp8" },
		"loss is":             func(s *RankerSpec) { s.Loss = "softmax" },
		"dropout is 1":        func(s *RankerSpec) { s.Dropout = 1 },
		"batch_tokens is 0":   func(s *RankerSpec) { s.MicroTokens = 0 },
		"metric is":           func(s *RankerSpec) { s.Metric = "recall@10" },
		"validate_every is 0": func(s *RankerSpec) { s.ValidateEvery = 0 },
	} {
		spec := rankerFor(t, "ranked")
		spoil(&spec)
		if err := spec.Validate(); !fail.IsUsage(err) || !strings.Contains(err.Error(), field) || !strings.HasPrefix(err.Error(), "ranker: ") {
			t.Errorf("%s: error %v", field, err)
		}
	}
	if err := rankerFor(t, "ranked").Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
