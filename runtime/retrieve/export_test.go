package retrieve

// Waiting is how many histories wait for a worker.
func (b *Batcher) Waiting() int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return len(b.waiting)
}

// Ranges are the shapes that TensorRT hears of.
var Ranges = ranges
