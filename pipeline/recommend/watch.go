package recommend

import (
	"time"

	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/serve"
)

// told gathers what a request took and what its prompts came to.
type told struct {
	begun    time.Time
	retrieve time.Duration
	asking   time.Duration // the language model, prompts included
	tally    rank.Tally
}

func begin() *told { return &told{begun: time.Now()} }

// timings are those of the stages that ran.
func (t *told) timings() serve.Timings {
	return serve.Timings{
		Retrieve: milliseconds(t.retrieve), Prompt: milliseconds(t.tally.Building), Rank: milliseconds(max(0, t.asking-t.tally.Building)),
		Total: milliseconds(time.Since(t.begun)),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// cut is what the prompts had to leave out; nil where they did not.
func (t *told) cut() *serve.Cut {
	if c := serve.Cut(t.tally.Cut); c != (serve.Cut{}) {
		return &c
	}
	return nil
}
