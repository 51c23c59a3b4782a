package orttest

import (
	"slices"
	"strconv"
	"testing"

	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

// CheckRanges makes sure that the ranges fit the model's inputs: none that varies is left out, which ONNX Runtime would refuse, each
// has the input's fixed dimensions, and Min ≤ Opt ≤ Max.
func CheckRanges(t testing.TB, model string, of func(*modelfile.Info) []ort.Range) {
	t.Helper()
	info, err := modelfile.Check(model)
	if err != nil {
		t.Fatal(err)
	}
	all := of(info)
	for _, input := range info.Inputs {
		varies := slices.ContainsFunc(input.Shape, func(dim string) bool { _, err := strconv.Atoi(dim); return err != nil })
		i := slices.IndexFunc(all, func(r ort.Range) bool { return r.Input == input.Name })
		if i < 0 {
			if varies {
				t.Errorf("input %s %v has no range", input.Name, input.Shape)
			}
			continue
		}
		checkRange(t, input, all[i])
		all = slices.Delete(all, i, i+1)
	}
	if len(all) > 0 {
		t.Errorf("ranges of inputs that the model does not have: %v", all)
	}
}

func checkRange(t testing.TB, input modelfile.Value, r ort.Range) {
	t.Helper()
	if len(r.Min) != len(input.Shape) || len(r.Opt) != len(input.Shape) || len(r.Max) != len(input.Shape) {
		t.Errorf("input %s %v has the range %v", input.Name, input.Shape, r)
		return
	}
	for i, dim := range input.Shape {
		if n, err := strconv.Atoi(dim); err == nil && (r.Min[i] != n || r.Max[i] != n) || r.Min[i] > r.Opt[i] || r.Opt[i] > r.Max[i] {
			t.Errorf("input %s %v has the range %v", input.Name, input.Shape, r)
		}
	}
}
