package serve

import "sync"

// flights counts the requests that are being answered, so that a drain can wait for those that began before it.
type flights struct {
	mu  sync.Mutex
	now *sync.WaitGroup
}

func newFlights() *flights { return &flights{now: new(sync.WaitGroup)} }

// enter counts a request until leave is called.
func (f *flights) enter() (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Add(1)
	return f.now.Done
}

// landed is closed when all requests that had entered by now have left.
func (f *flights) landed() <-chan struct{} {
	f.mu.Lock()
	before := f.now
	f.now = new(sync.WaitGroup)
	f.mu.Unlock()
	done := make(chan struct{})
	go func() {
		before.Wait()
		close(done)
	}()
	return done
}
