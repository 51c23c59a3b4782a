package loop

import "math"

// Schedule is the learning rate over time: linear growth to Peak over Warmup steps, then constant, or a half cosine down to
// zero at MaxSteps.
type Schedule struct {
	Kind             string // "constant" or "cosine"
	Peak             float64
	Warmup, MaxSteps int
}

// Rate is that of a step, counted from 1.
func (s Schedule) Rate(step int) float64 {
	switch {
	case step < s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	case s.Kind == "cosine":
		done := float64(step-s.Warmup) / float64(max(1, s.MaxSteps-s.Warmup))
		return s.Peak * (1 + math.Cos(math.Pi*min(done, 1))) / 2
	}
	return s.Peak
}
