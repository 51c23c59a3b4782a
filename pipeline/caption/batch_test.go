package caption

import "testing"

func TestTheLargestBatchStaysWithinItsMemory(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]int{1: DefaultBatch, BatchBytes / 10: 10, BatchBytes/10 + 1: 9, BatchBytes: 1, 100 * BatchBytes: 1} {
		if got := batchOf(bytes); got != want {
			t.Errorf("pictures of %d bytes: a batch of %d, want %d", bytes, got, want)
		}
	}
}
