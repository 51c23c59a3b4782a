package images

import (
	"fmt"
	"testing"
)

func jobsOf(host string, n int) (jobs []*job) {
	for i := range n {
		jobs = append(jobs, &job{key: fmt.Sprint(host, i), host: host})
	}
	return jobs
}

func TestSlowHostHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	q := newQueue(append(jobsOf("slow", 5), jobsOf("fast", 3)...), 2)
	underWay := map[string]int{}
	for range 4 { // two of each; none is done
		underWay[q.take().host]++
	}
	if underWay["slow"] != 2 || underWay["fast"] != 2 {
		t.Errorf("under way: %v", underWay)
	}
	q.done(&job{host: "fast"}, false)
	if j := q.take(); j.key != "fast2" {
		t.Errorf("next is %s", j.key)
	}
}

func TestTakeWaitsForASlot(t *testing.T) {
	t.Parallel()
	q := newQueue(jobsOf("h", 2), 1)
	first := q.take()
	next := make(chan *job)
	go func() { next <- q.take() }()
	select {
	case j := <-next:
		t.Errorf("%s while %s is under way", j.key, first.key)
	default:
	}
	q.done(first, false)
	if j := <-next; j == nil || j.key != "h1" {
		t.Errorf("got %v", j)
	}
	if j := q.take(); j != nil {
		t.Errorf("got %v of an empty queue", j)
	}
}

func TestHostThatDoesNotAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		down    func(i int) bool
		refused int
	}{
		{"always down", func(int) bool { return true }, 30 - hostFailures},
		{"up at times", func(i int) bool { return i%hostFailures != 0 }, 0},
		{"down from the 20th on", func(i int) bool { return i >= 20 }, 0},
		{"down from the 5th on", func(i int) bool { return i >= 5 }, 30 - 5 - hostFailures},
	} {
		q := newQueue(jobsOf("h", 30), 1)
		refused := 0
		for i := range 30 {
			j := q.take()
			if j.refused {
				refused++
			}
			q.done(j, !j.refused && c.down(i))
		}
		if refused != c.refused {
			t.Errorf("%s: %d refused, want %d", c.name, refused, c.refused)
		}
	}
}

func TestStoppedQueueLetsEverybodyGo(t *testing.T) {
	t.Parallel()
	q := newQueue(jobsOf("h", 9), 1)
	j := q.take()
	gone := make(chan *job)
	for range 3 {
		go func() { gone <- q.take() }()
	}
	q.stop()
	for range 3 {
		if got := <-gone; got != nil {
			t.Errorf("got %v", got)
		}
	}
	q.done(j, false)
	if got := q.take(); got != nil {
		t.Errorf("got %v", got)
	}
}
