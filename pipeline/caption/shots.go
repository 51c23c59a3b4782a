package caption

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"runtime"
	"sync"

	"mllm4rec/data/picture"
)

// decoders is how many pictures are decoded at once at most: the largest take a gigabyte each, and as many feed any model.
const decoders = 4

// shot is a picture on its way to the model.
type shot struct {
	file
	pixels []float32 // [3, size, size]; nil where there is a reason, or where the caption was known already
	reason string    // why it cannot be captioned
	done   chan struct{}
}

// shots gives the files' pictures in order. Up to ahead of them are prepared before they are asked for.
func shots(m *model, known *memory, files []file, ahead int) iter.Seq[*shot] {
	return func(yield func(*shot) bool) {
		var group sync.WaitGroup
		defer group.Wait()
		ordered, work, stop := make(chan *shot, ahead), make(chan *shot), make(chan struct{})
		defer close(stop)
		group.Go(func() {
			defer close(ordered)
			defer close(work)
			for _, f := range files {
				s := &shot{file: f, done: make(chan struct{})}
				for _, to := range []chan *shot{ordered, work} {
					select {
					case to <- s:
					case <-stop:
						return
					}
				}
			}
		})
		for range min(decoders, runtime.GOMAXPROCS(0)) {
			group.Go(func() {
				for s := range work {
					s.prepare(m, known)
					close(s.done)
				}
			})
		}
		for s := range ordered {
			if <-s.done; !yield(s) {
				return
			}
		}
	}
}

// prepare reads, hashes and decodes, as far as the caption is not known already.
func (s *shot) prepare(m *model, known *memory) {
	if _, ok := known.find(s.sum); ok {
		return
	}
	data, err := s.read()
	if err == nil {
		sum := sha256.Sum256(data)
		s.sum = hex.EncodeToString(sum[:])
		if _, ok := known.find(s.sum); ok {
			return
		}
		s.pixels, err = m.normalised(data, picture.MaxPixels)
	}
	if err != nil {
		s.pixels, s.reason = nil, err.Error()
	}
}

// memory holds captions by the pictures' SHA-256. Its methods may be called from several goroutines at once.
type memory struct {
	mu       sync.RWMutex
	captions map[string]string
}

func newMemory() *memory { return &memory{captions: map[string]string{}} }

func (m *memory) find(sum string) (caption string, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	caption, ok = m.captions[sum]
	return caption, ok
}

func (m *memory) add(sum, caption string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.captions[sum] = caption
}
