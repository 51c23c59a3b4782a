package caption

import (
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

// ranges are the shapes of batches: one picture to 64, no prompt to the longest, greedy decoding to a beam search of 8. A file that
// does not tell its sizes has no ranges: readModel says what is wrong.
func ranges(m *modelfile.Info) []ort.Range {
	const batch, beams, tokens, ends = 64, 8, 64, 8
	side, err := m.Int("mllm4rec.image_size", 1, maxSide)
	positions, positionsErr := m.Int("mllm4rec.max_length", 1, maxPositions)
	if err != nil || positionsErr != nil {
		return nil
	}
	return []ort.Range{
		{Input: "pixels", Min: []int{1, 3, side, side}, Opt: []int{batch / 4, 3, side, side}, Max: []int{batch, 3, side, side}},
		{Input: "prompt", Min: []int{1}, Opt: []int{1}, Max: []int{positions}},
		{Input: "blank", Min: []int{1, 1, 1}, Opt: []int{batch / 4, 1, defaultTokens}, Max: []int{batch, beams, tokens}},
		{Input: "ends", Min: []int{1}, Opt: []int{1}, Max: []int{ends}},
	}
}
