package metric

import "slices"

// Rank is the place of label among scores, 1 for the highest. Ties go by index, the lower first, as in ONNX TopK. An
// index that is out of range, or whose score is NaN, is Missing; other scores that are NaN stand behind all numbers.
func Rank(scores []float32, label int) int {
	if label < 0 || label >= len(scores) || scores[label] != scores[label] {
		return Missing
	}
	rank, own := 1, scores[label]
	for i, s := range scores {
		if s > own || s == own && i < label {
			rank++
		}
	}
	return rank
}

// RankIn is the place of item in a list that is sorted best first: 1 for its head, Missing where it is not in the list.
func RankIn(items []int32, item int32) int { return slices.Index(items, item) + 1 }
