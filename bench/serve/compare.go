package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"mllm4rec/runtime/rank"
)

// row is what is measured of a service, a value a round.
type row struct {
	name                  string
	service               *service
	single, closed, ranks []float64 // seconds at the median of one after the other; answers a second; prompts a second
	half                  []load    // open loops at half the capacity
	cpu                   []float64 // seconds on cores a request, of the closed loop
	before                int64     // bytes, when it was ready
}

// compare measures both services in turn, round by round, and prints the table.
func compare(ctx context.Context, o options, q questions, dir string) (err error) {
	fmt.Println(machine())
	opened, err := live(o)
	if err != nil {
		return err
	}
	alone, err := openBare(opened, o.prompts > 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, alone.close()) }()
	rows, err := services(ctx, o, alone, dir)
	defer func() {
		for _, r := range rows {
			err = errors.Join(err, r.service.stop())
		}
	}()
	if err != nil {
		return err
	}
	var bareSingle, bareRanks []float64
	for round := range o.rounds {
		times, err := alone.retrieves(ctx, q.histories)
		if err != nil {
			return err
		}
		bareSingle = append(bareSingle, quantile(times, 0.5).Seconds())
		for _, r := range rows {
			if err := r.retrieves(ctx, o, q); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		if alone.ranker == nil {
			continue
		}
		some := q.some(round, o.prompts)
		perSecond, err := rankRound(ctx, alone, some, rows)
		if err != nil {
			return err
		}
		bareRanks = append(bareRanks, perSecond)
	}
	show(o, rows, bareSingle, bareRanks)
	return nil
}

// services starts ours, and the peer where there is a Python.
func services(ctx context.Context, o options, alone *bare, dir string) ([]*row, error) {
	s, err := ours(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	rows := []*row{{name: "ours", service: s}}
	if o.python != "none" {
		if s, err = startPeer(ctx, o, alone, dir); err != nil {
			return rows, err
		}
		rows = append(rows, &row{name: "FastAPI + PyTorch", service: s})
	}
	for _, r := range rows {
		r.before, _ = r.service.residentBytes()
	}
	return rows, nil
}

// some are the questions of a round: others than those of the rounds before, which caches may hold.
func (q questions) some(round, n int) questions {
	from := round * n % len(q.histories)
	to := min(from+n, len(q.histories))
	return questions{q.histories[from:to], q.candidates[from:to]}
}

// retrieves measures one round of the retriever.
func (r *row) retrieves(ctx context.Context, o options, q questions) error {
	requests := q.retrieves(r.service.URL)
	single := closed(ctx, r.service.URL, once(requests), 1)
	if err := single.check(); err != nil {
		return err
	}
	r.single = append(r.single, quantile(single.times(http.StatusOK), 0.5).Seconds())
	used := r.service.cpu()
	full := closed(ctx, r.service.URL, during(requests, o.length), o.callers)
	if err := full.check(); err != nil {
		return err
	}
	r.closed = append(r.closed, full.perSecond())
	r.cpu = append(r.cpu, (r.service.cpu()-used).Seconds()/float64(len(full.answers)))
	half := open(ctx, r.service.URL, requests, median(r.closed)/2, connections, o.length)
	r.half = append(r.half, half)
	return half.check()
}

// connections is how many an open loop holds at most.
const connections = 256

// rankRound ranks the same prompts with the bare ranker and with each service. The service's callers are as many as it
// admits, for then none is refused and its cores never wait.
func rankRound(ctx context.Context, alone *bare, q questions, rows []*row) (float64, error) {
	prompts, texts, err := alone.prompts(q)
	if err != nil {
		return 0, err
	}
	n := float64(len(prompts))
	began := time.Now()
	if _, err := alone.ranker.Ranker().Score(ctx, prompts); err != nil {
		return 0, err
	}
	bareTook := time.Since(began)
	for _, r := range rows {
		requests := r.rankRequests(q, prompts, texts)
		l := closed(ctx, r.service.URL, once(requests), alone.ranker.Ranker().Workers()+1)
		if err := l.check(); err != nil {
			return 0, fmt.Errorf("%s: %w", r.name, err)
		}
		if l.count(http.StatusOK) != len(prompts) {
			return 0, fmt.Errorf("%s: %d of %d prompts were ranked", r.name, l.count(http.StatusOK), len(prompts))
		}
		r.ranks = append(r.ranks, n/l.took.Seconds())
	}
	return n / bareTook.Seconds(), nil
}

// rankRequests are a service's: ours makes the prompts of ids, the peer gets their text.
func (r *row) rankRequests(q questions, _ []rank.Prompt, texts []string) (all [][]byte) {
	if r.name == "ours" {
		for _, body := range q.rankBodies() {
			all = append(all, requestOf(r.service.URL, "/v1/rank", body))
		}
		return all
	}
	for _, body := range peerBodies(texts) {
		all = append(all, requestOf(r.service.URL, "/v1/rank", body))
	}
	return all
}

func show(o options, rows []*row, bareSingle, bareRanks []float64) {
	bareMS := 1e3 * median(bareSingle)
	fmt.Printf("medians of %d rounds of %s; bare retriever %.2f ms a history", o.rounds, o.length, bareMS)
	if len(bareRanks) > 0 {
		fmt.Printf(", bare ranker %.2f prompts/s", median(bareRanks))
	}
	fmt.Printf("\n%-18s %10s %13s %11s %11s %10s %10s %15s %12s %8s %10s %9s\n", "", "ready", "retrieve p50", "over bare", "requests/s", "CPU ms", "half p50", "p99 (best)", "not answered", "rank/s", "of bare", "MB before, after, peak")
	for _, r := range rows {
		now, peak := r.service.residentBytes()
		half, best := r.halves()
		ranks, share := 0.0, 0.0
		if len(r.ranks) > 0 {
			ranks, share = median(r.ranks), median(ratios(r.ranks, bareRanks))
		}
		fmt.Printf("%-18s %8.2f s %10.2f ms %8.2f ms %11.0f %10.3f %7.2f ms %5.1f (%.1f) ms %12d %8.2f %9.0f%% %d, %d, %d\n", r.name, r.service.ready.Seconds(),
			1e3*median(r.single), 1e3*median(r.single)-bareMS, median(r.closed), 1e3*median(r.cpu),
			milliseconds(quantile(half.times(http.StatusOK), 0.5)), milliseconds(half.p99()), milliseconds(best.p99()), len(half.answers)-half.count(http.StatusOK),
			ranks, 100*share, r.before>>20, now>>20, peak>>20)
	}
	fmt.Printf("wanted of ours: ready within %s, %s over bare at most, %d requests/s or more on 2 cores, p99 at half the load within %s, %.0f%% of the bare ranker\n",
		wantedReady, wantedOverhead, wantedPerSecond, wantedP99, 100*wantedRanking)
}

// halves are the open loops with the median p99 and with the least, which a busy machine disturbed least.
func (r *row) halves() (middle, best load) {
	sorted := slices.SortedFunc(slices.Values(r.half), func(a, b load) int { return cmp.Compare(a.p99(), b.p99()) })
	return sorted[len(sorted)/2], sorted[0]
}

// ratios are those of each round, whose measurements stand close together in time.
func ratios(of, to []float64) (all []float64) {
	for i := range of {
		all = append(all, of[i]/to[i])
	}
	return all
}
