package rank

import (
	"fmt"

	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

// ranges are the shapes of the batches that a GPU gets, from one short prompt to a window of them and to the model's longest.
// Keys and values of a past there are none. A file that does not tell its sizes has no ranges: readModel says what is wrong.
func ranges(m *modelfile.Info) []ort.Range {
	const usual = 512 // tokens of a prompt
	layers, err := m.Int("mllm4rec.layers", 1, maxLayers)
	longest, lengthErr := m.Int("mllm4rec.max_length", 1, maxPositions)
	heads, headsErr := m.Int("mllm4rec.kv_heads", 1, maxWidth)
	size, sizeErr := m.Int("mllm4rec.head_size", 1, maxWidth)
	if err != nil || lengthErr != nil || headsErr != nil || sizeErr != nil {
		return nil
	}
	longest = min(longest, deviceTokens)
	rows, length := [3]int{1, deviceTokens / usual, batchWindow}, [3]int{1, min(usual, longest), longest}
	all := []ort.Range{between("tokens", rows, func(i int) []int { return []int{length[i]} }), between("lengths", rows, func(int) []int { return nil })}
	for i := range layers {
		for _, name := range []string{"past_key", "past_value"} {
			all = append(all, between(fmt.Sprint(name, i), rows, func(int) []int { return []int{heads, 0, size} }))
		}
	}
	return all
}

// between makes a range of an input whose first dimension is the rows.
func between(input string, rows [3]int, rest func(i int) []int) ort.Range {
	shape := func(i int) []int { return append([]int{rows[i]}, rest(i)...) }
	return ort.Range{Input: input, Min: shape(0), Opt: shape(1), Max: shape(2)}
}
