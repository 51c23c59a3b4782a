// Package lrurec turns a trained LRURec (retriever.safetensors and retriever.json) into retriever.onnx, the model of
// arXiv 2310.02367 with everything folded that does not depend on the history.
//
// The graph takes items, int64 [batch, length], left-padded with 0, and gives either the k best items or all scores;
// what is in the history, and item 0, scores -inf. Histories longer than max_length are cut to their newest items,
// though all of them are masked. How it computes:
//
//   - The embedding's LayerNorm is applied to the item table at export, once an item instead of once a position.
//   - A recurrence h_t = λ h_{t-1} + u_t with real inputs and outputs is a causal convolution whose k-th matrix is
//     Re(W_out λ^k W_in). Positions are cut into chunks: inside a chunk the convolution is one matrix product (a
//     block-triangular matrix, with the residual connection on its diagonal), and only one state a chunk goes on to the
//     next. That turns nearly all of the work into matrix products and leaves length / chunk steps.
//   - The last block is computed at the last position only: its state is one weighted sum over the chunks.
//   - The response to the biases depends on the number of items before alone: a table.
//   - Scores, mask and TopK are inside, so that no [batch, items] matrix leaves the runtime.
package lrurec

import (
	"context"
	"fmt"
	"strconv"

	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
)

// Options choose the form of the model.
type Options struct {
	// Scores makes the graph give `scores`, float32 [batch, num_items+1] with the history and item 0 at -inf, for
	// evaluation in chunks of users. Otherwise it takes `k`, int64 [1], and gives `top_items`, int64 [batch, k], and
	// `top_scores`, float32 [batch, k], best first, of equal scores the lower id first; where fewer than k items are
	// outside the history the last ones score -inf.
	Scores bool
}

// Export reads the weights and their retriever.json and writes the ONNX model to out, atomically. Memory stays small
// whatever the catalogue. Sizes that disagree are a usage error.
func Export(ctx context.Context, weightsPath, configPath, out string, o Options) error {
	c, err := readConfig(configPath)
	if err != nil {
		return err
	}
	f, err := weights.Open(weightsPath)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	m, err := load(f, weightsPath, configPath, c)
	if err != nil {
		return err
	}
	model, err := m.build(o, designFor(c.Hidden)).Finish()
	if err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return model.Write(ctx, out)
}

// describe sets the metadata by which the runtime knows the model.
func (m *model) describe(g *onnx.Graph, d design) {
	for key, n := range map[string]int{
		"format": 1, "num_items": m.NumItems, "max_length": m.MaxLength, "hidden": m.Hidden,
		"lru_hidden": m.LRUHidden, "blocks": m.Blocks, "chunk": d.chunk,
	} {
		g.Metadata("mllm4rec."+key, strconv.Itoa(n))
	}
	g.Metadata("mllm4rec.kind", "retriever")
	g.Metadata("mllm4rec.architecture", architecture)
}
