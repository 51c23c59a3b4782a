package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"mllm4rec/bench/beside"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/retrieve"
)

const (
	topK = 20
	// slowUsers are how many users the reference's own way gets a round: it takes seconds for them.
	slowUsers = 1024
	calls     = 2000 // of one user, ours; a tenth of it, the reference
)

// speeds are the users a second of each round.
type speeds struct{ all, last, ours []float64 }

func measure(ctx context.Context, o options, d beside.Set, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	in, err := prepareInput(ctx, d, o.users, dir)
	if err != nil {
		return err
	}
	profile := ""
	if o.profile != "" {
		profile = fmt.Sprintf("%s-%d", o.profile, d.Length)
	}
	model, err := retrieve.Open(in.model, ort.Options{Library: o.library, Threads: o.Threads, Profile: profile})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	fmt.Printf("%s: %d items, %d users with %.1f items of history, %d at most; top %d; %d threads a side\n",
		d.Name, in.items, len(in.users), meanLength(in.users), d.Length, topK, o.Threads)
	if o.Python == "none" {
		return alone(ctx, o, d, in, model)
	}
	python, err := startReference(ctx, o.Python, in, d, o.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, python.close()) }()
	if err := agree(ctx, in, model, python); err != nil {
		return err
	}
	var s speeds
	for range o.Rounds {
		if err := s.round(ctx, in, model, python); err != nil {
			return err
		}
	}
	s.print(d)
	return single(ctx, d, in, model, python)
}

// alone measures ours without a reference, to find out what a change of the graph does.
func alone(ctx context.Context, o options, d beside.Set, in input, model *retrieve.Retriever) error {
	var ours []float64
	for range o.Rounds {
		speed, err := oursBatch(ctx, in, model)
		if err != nil {
			return err
		}
		ours = append(ours, speed)
	}
	latency, err := oursSingle(ctx, d, in, model)
	if err != nil {
		return err
	}
	fmt.Printf("  ours %8.0f users/s; one user with %d items: p50 %.3f ms, p99 %.3f ms\n", median(ours), d.Length, quantile(latency, 0.5), quantile(latency, 0.99))
	return nil
}

func meanLength(users [][]int32) float64 {
	n := 0
	for _, u := range users {
		n += len(u)
	}
	return float64(n) / float64(len(users))
}

// agree compares our lists with the reference's: the same items, or others of the same score.
func agree(ctx context.Context, in input, model *retrieve.Retriever, python *reference) error {
	n := min(64, len(in.users))
	ours, err := model.TopK(ctx, in.users[:n], topK)
	if err != nil {
		return err
	}
	var theirs struct {
		Items  [][]int32
		Scores [][]float32
	}
	if err := python.ask(&theirs, "check", n, topK); err != nil {
		return err
	}
	apart := 0
	for u := range ours {
		for i, score := range ours[u].Scores {
			if math.Abs(float64(score-theirs.Scores[u][i])) > 1e-4 {
				return fmt.Errorf("user %d, place %d: item %d with %v, the reference says %d with %v",
					u, i, ours[u].Items[i], score, theirs.Items[u][i], theirs.Scores[u][i])
			}
			if ours[u].Items[i] != theirs.Items[u][i] {
				apart++
			}
		}
	}
	fmt.Printf("  agreement: scores of %d users within 1e-4, %d of %d items in another place (ties)\n", n, apart, n*topK)
	return nil
}

// round measures each way once, one after the other, so that a machine that slows down slows all of them.
func (s *speeds) round(ctx context.Context, in input, model *retrieve.Retriever, python *reference) error {
	for _, way := range []struct {
		command string
		users   int
		to      *[]float64
	}{{"all", min(slowUsers, len(in.users)), &s.all}, {"last", len(in.users), &s.last}} {
		var answer struct{ Seconds float64 }
		if err := python.ask(&answer, way.command, way.users, topK); err != nil {
			return err
		}
		*way.to = append(*way.to, float64(way.users)/answer.Seconds)
	}
	speed, err := oursBatch(ctx, in, model)
	s.ours = append(s.ours, speed)
	return err
}

// oursBatch ranks all users again and again for a second and returns users a second.
func oursBatch(ctx context.Context, in input, model *retrieve.Retriever) (float64, error) {
	users, start := 0, time.Now()
	for time.Since(start) < time.Second {
		if _, err := model.TopK(ctx, in.users, topK); err != nil {
			return 0, err
		}
		users += len(in.users)
	}
	return float64(users) / time.Since(start).Seconds(), nil
}

func (s *speeds) print(d beside.Set) {
	all, last, ours := median(s.all), median(s.last), median(s.ours)
	fmt.Printf("  %-44s %10.0f users/s\n", "PyTorch, all positions (the reference's way)", all)
	fmt.Printf("  %-44s %10.0f users/s\n", "PyTorch, last position only", last)
	fmt.Printf("  %-44s %10.0f users/s: %.1f× the reference's way (asked for: %g×), %.1f× the last position (%g×)\n",
		"ours", ours, ours/all, targets[d.Name].overAll, ours/last, targets[d.Name].overLast)
}

// single measures one user at a time, with a history as long as the model looks at.
func single(ctx context.Context, d beside.Set, in input, model *retrieve.Retriever, python *reference) error {
	for _, command := range []string{"one-all", "one-last"} {
		var answer struct{ Seconds []float64 }
		if err := python.ask(&answer, command, calls/10, d.Length, topK); err != nil {
			return err
		}
		fmt.Printf("  one user, %3d items, PyTorch %-9s p50 %6.2f ms, p99 %6.2f ms\n", d.Length, command[4:]+":", 1e3*quantile(answer.Seconds, 0.5), 1e3*quantile(answer.Seconds, 0.99))
	}
	latency, err := oursSingle(ctx, d, in, model)
	if err != nil {
		return err
	}
	fmt.Printf("  one user, %3d items, ours:              p50 %6.2f ms, p99 %6.2f ms (asked for: p50 below %g ms)\n", d.Length, quantile(latency, 0.5), quantile(latency, 0.99), targets[d.Name].milliseconds)
	return nil
}

// oursSingle returns milliseconds a call.
func oursSingle(ctx context.Context, d beside.Set, in input, model *retrieve.Retriever) ([]float64, error) {
	history := make([]int32, d.Length)
	latency := make([]float64, 0, calls)
	for call := range calls {
		for i := range history {
			history[i] = int32((i*37+call)%in.items + 1)
		}
		start := time.Now()
		if _, err := model.TopK(ctx, [][]int32{history}, topK); err != nil {
			return nil, err
		}
		latency = append(latency, float64(time.Since(start).Nanoseconds())/1e6)
	}
	return latency, nil
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
