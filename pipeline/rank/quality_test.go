package rank_test

import (
	"path/filepath"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/rank"
)

func TestCompareTellsWhatALowerPrecisionKeeps(t *testing.T) {
	t.Parallel()
	o := newRun(t)
	exact := o.Model.File
	same, err := rank.Compare(t.Context(), o, exact, 40)
	if err != nil || same.Lists != 40 || same.Agreement < 0.999 || same.NDCG != same.Exact || !(same.NDCG > 0 && same.NDCG < 1) {
		t.Errorf("a model beside itself: %+v, %v", same, err)
	}
	all, err := rank.Compare(t.Context(), o, exact, 1000)
	if err != nil || all.Lists != users*2/3 {
		t.Errorf("asked for more lists than there are: %+v, %v", all, err)
	}
	for _, precision := range []llama.Precision{llama.INT8, llama.INT4} {
		o.Model.File = filepath.Join(t.TempDir(), "ranker.onnx")
		export(t, o.Model, precision)
		q, err := rank.Compare(t.Context(), o, exact, 1000)
		if err != nil || q.Lists != all.Lists || q.Exact != all.Exact || !(q.NDCG > 0 && q.NDCG < 1) || !(q.Agreement > 0.1 && q.Agreement <= 1) {
			t.Errorf("%s: %+v, want exact %v, %v", precision, q, all.Exact, err)
		}
	}
}
