package images

import "sync"

// hostFailures is after how many pictures in a row that a host did not answer for the rest of its pictures are given up: a
// host that is gone must not cost minutes a picture. The next run asks it again.
const hostFailures = 10

// job is a picture to get.
type job struct {
	// key is what its origin knows it by.
	key string
	// host is who is asked for it.
	host string
	// rows are the indices of the items that have it.
	rows []int
	// refused says that the host has been given up.
	refused bool
}

// queue hands out jobs so that no host has more than perHost under way, and those that wait for a slow host hold up no
// other.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	perHost int
	hosts   map[string]*host
	ready   []*host // those with a job and a free slot, each once
	waiting int     // jobs that nobody has taken
}

type host struct {
	jobs      []*job
	underWay  int
	downInRow int
	ready     bool
}

func newQueue(jobs []*job, perHost int) *queue {
	q := &queue{perHost: perHost, hosts: map[string]*host{}, waiting: len(jobs)}
	q.changed = sync.NewCond(&q.mu)
	for _, j := range jobs {
		h := q.hosts[j.host]
		if h == nil {
			h = &host{}
			q.hosts[j.host] = h
		}
		h.jobs = append(h.jobs, j)
		q.offer(h)
	}
	return q
}

// offer puts a host where take finds it, if it has something to be taken.
func (q *queue) offer(h *host) {
	if !h.ready && len(h.jobs) > 0 && h.underWay < q.perHost {
		h.ready = true
		q.ready = append(q.ready, h)
	}
}

// take waits for the next job, one host after the other; nil means that there are no more. Who takes one calls done.
func (q *queue) take() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 {
		if q.waiting == 0 {
			return nil
		}
		q.changed.Wait()
	}
	h := q.ready[0]
	q.ready = q.ready[1:]
	j := h.jobs[0]
	h.jobs, h.ready = h.jobs[1:], false
	h.underWay++
	q.waiting--
	q.offer(h)
	if q.waiting == 0 {
		q.changed.Broadcast()
	}
	j.refused = h.downInRow >= hostFailures
	return j
}

// done frees the job's slot. down says that the host did not answer.
func (q *queue) done(j *job, down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.hosts[j.host]
	h.underWay--
	switch {
	case j.refused:
	case down:
		h.downInRow++
	case h.downInRow < hostFailures:
		h.downInRow = 0
	}
	q.offer(h)
	q.changed.Signal()
}

// stop takes back all jobs that nobody has taken.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready, q.waiting = nil, 0
	for _, h := range q.hosts {
		h.jobs = nil
	}
	q.changed.Broadcast()
}
