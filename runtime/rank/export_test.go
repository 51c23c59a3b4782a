package rank

import "mllm4rec/runtime/ort"

// OpenInBatches opens a ranker that works on the CPU as others do on a GPU: on padded batches, of so many tokens.
func OpenInBatches(model string, o ort.Options, tokens int) (*Ranker, error) {
	r, err := open(model, o, func(string) bool { return true })
	if err == nil {
		r.tokens = tokens
	}
	return r, err
}

// Ranges are the shapes that TensorRT hears of.
var Ranges = ranges
