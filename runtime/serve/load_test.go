package serve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mllm4rec/runtime/serve/servetest"
)

const ranking = `{"history": [1], "candidates": [2]}`

// calls are one for each class of work; batches and pictures count as all else.
var calls = [][2]string{
	{"/v1/retrieve", `{"history": [1]}`}, {"/v1/recommend", `{"history": [1], "rank": "none"}`}, {"/v1/items?q=item", ""},
	{"/v1/rank", ranking}, {"/v1/recommend", `{"history": [1]}`}, {"/rerank", `{"query": "a", "texts": ["b", "c"]}`}, {"/v1/caption", ""},
}

// call sends one of calls.
func call(t *testing.T, url string, c [2]string) answer {
	t.Helper()
	switch {
	case c[0] == "/v1/caption":
		body, contentType := form(t, "abc", "image")
		return send(t, http.MethodPost, url+c[0], body, contentType)
	case c[1] == "":
		return send(t, http.MethodGet, url+c[0], "")
	default:
		return send(t, http.MethodPost, url+c[0], c[1])
	}
}

func TestEveryWayToWorkIsBounded(t *testing.T) {
	t.Parallel()
	for _, class := range []struct{ fill, refused [2]string }{
		{calls[0], calls[1]}, {calls[0], calls[2]}, {calls[3], calls[4]}, {calls[3], calls[5]}, {calls[5], calls[3]}, {calls[6], calls[6]},
	} {
		held := newGate()
		server := start(t, options(&servetest.Fake{Slots: 2, Work: held.work}))
		var answers sync.WaitGroup
		for range 3 { // two run, one waits
			answers.Go(func() {
				if a := call(t, server.URL, class.fill); a.status != http.StatusOK {
					t.Errorf("%s: a place was there, and still %d %s", class.fill[0], a.status, a.body)
				}
			})
		}
		waiting := func() bool {
			return sum(metric(t, server.URL, "mllm4rec_running"))+sum(metric(t, server.URL, "mllm4rec_waiting")) == 3
		}
		eventually(t, "two run and one waits", waiting)
		a := call(t, server.URL, class.refused)
		if p := a.problem(t); p.Status != 429 || p.Code != "overloaded" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s beside %s: got %d %s", class.refused[0], class.fill[0], a.status, a.body)
		}
		close(held.open)
		answers.Wait()
	}
}

func TestHangingUpFreesThePlaceInTheQueue(t *testing.T) {
	t.Parallel()
	held := newGate()
	server := start(t, options(&servetest.Fake{Slots: 1, Work: held.work}))
	var answers sync.WaitGroup
	answers.Go(func() { call(t, server.URL, calls[3]) })
	<-held.arrived
	for range 20 {
		ctx, hangUp := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = trySend(ctx, http.MethodPost, server.URL+"/v1/rank", ranking)
		}()
		eventually(t, "it waits", func() bool { return sum(metric(t, server.URL, "mllm4rec_waiting")) == 1 })
		hangUp()
		<-gone
		eventually(t, "the place is free", func() bool { return sum(metric(t, server.URL, "mllm4rec_waiting")) == 0 })
	}
	close(held.open)
	answers.Wait()
}

func TestHangingUpEndsTheWork(t *testing.T) {
	t.Parallel()
	held := newGate()
	ended := make(chan error, 1)
	server := start(t, options(&servetest.Fake{Slots: 1, Work: func(ctx context.Context) error {
		err := held.work(ctx)
		ended <- err
		return err
	}}))
	for _, c := range []int{0, 3, 5} {
		ctx, hangUp := context.WithCancel(t.Context())
		go func() { _, _ = trySend(ctx, http.MethodPost, server.URL+calls[c][0], calls[c][1]) }()
		<-held.arrived
		hangUp()
		if err := <-ended; err == nil {
			t.Errorf("%s: the work went on", calls[c][0])
		}
	}
	eventually(t, "three are counted as gone", func() bool { return sum(metric(t, server.URL, `code="499"`)) == 3 })
}

// load sends requests at a rate a second with pauses of chance, as many clients do together, and returns the answers' times.
func load(t *testing.T, handler http.Handler, perSecond float64, lasts time.Duration) (accepted, refused []time.Duration) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for next := began; time.Since(began) < lasts; next = next.Add(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))) {
		time.Sleep(time.Until(next))
		all.Go(func() {
			request := httptest.NewRequest(http.MethodPost, "/v1/rank", strings.NewReader(ranking))
			request.Header.Set("Content-Type", "application/json")
			response, sent := httptest.NewRecorder(), time.Now()
			handler.ServeHTTP(response, request)
			took := time.Since(sent)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case response.Code == http.StatusOK:
				accepted = append(accepted, took)
			case response.Code == http.StatusTooManyRequests && response.Header().Get("Retry-After") != "":
				refused = append(refused, took)
			default:
				t.Errorf("status %d, header %v", response.Code, response.Header())
			}
		})
	}
	all.Wait()
	slices.Sort(accepted)
	slices.Sort(refused)
	return accepted, refused
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// TestTwiceTheCapacityIsRefusedAtOnceAndTheRestStaysFast offers first a tenth of what eight slots can do, then twice as much. Its
// clock is that of synctest: what the requests cost the machine is left to bench/serve.
func TestTwiceTheCapacityIsRefusedAtOnceAndTheRestStaysFast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const service, slots, seconds = 100 * time.Millisecond, 8, 60
		server := newServer(t, options(&servetest.Fake{Slots: slots, Work: func(ctx context.Context) error {
			select {
			case <-time.After(service):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}))
		if err := server.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		capacity := float64(slots) / service.Seconds()
		alone, none := load(t, server.Handler(), capacity/10, seconds*time.Second)
		accepted, refused := load(t, server.Handler(), 2*capacity, seconds*time.Second)
		share := float64(len(accepted)) / (capacity * seconds)
		t.Logf("unloaded p99 %v; at twice the capacity %d accepted (%.0f%% of the capacity), p99 %v; %d refused, p99 %v",
			p99(alone), len(accepted), 100*share, p99(accepted), len(refused), p99(refused))
		if len(none) > len(alone)/50 {
			t.Errorf("%d of %d refused at a tenth of the capacity", len(none), len(alone))
		}
		if p99(accepted) >= 2*p99(alone) {
			t.Errorf("accepted p99 is %v, not under twice the unloaded %v", p99(accepted), p99(alone))
		}
		if p99(refused) >= service/2 {
			t.Errorf("refusals waited: p99 %v", p99(refused))
		}
		if share < 0.85 {
			t.Errorf("%.0f%% of the capacity is used", 100*share)
		}
	})
}

func TestTenThousandRequestsLeaveNoGoroutines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	server := start(t, options(&servetest.Fake{Slots: 64}))
	burst := func(n int) {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range n / 8 {
					call(t, server.URL, calls[(worker+i)%len(calls)])
				}
			})
		}
		all.Wait()
		http.DefaultClient.CloseIdleConnections()
	}
	burst(200)
	count := func() int { runtime.GC(); return runtime.NumGoroutine() }
	before := count()
	burst(10_000)
	eventually(t, "the goroutines are gone", func() bool { return count() <= before+5 })
}

// metric are the values of the lines of /metrics that hold a text.
func metric(t *testing.T, url, text string) (values []float64) {
	t.Helper()
	for line := range strings.Lines(send(t, http.MethodGet, url+"/metrics", "").body) {
		if strings.HasPrefix(line, "#") || !strings.Contains(line, text) || strings.Contains(line, "_bucket{") || strings.Contains(line, "_seconds_") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		if err != nil {
			t.Fatal(fmt.Errorf("%q: %w", line, err))
		}
		values = append(values, value)
	}
	return values
}

func sum(values []float64) (total float64) {
	for _, value := range values {
		total += value
	}
	return total
}
