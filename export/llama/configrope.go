package llama

import (
	"errors"
	"fmt"
	"math"
)

// The kinds of RopeScaling.
const (
	ropeLinear = "linear"
	ropeLlama3 = "llama3"
)

// RopeScaling stretches the rotary positions of a model that was made for shorter texts.
type RopeScaling struct {
	// Type is "linear" (every frequency divided by Factor) or "llama3" (low frequencies divided, high ones kept, a smooth
	// passage between).
	Type string
	// Factor is how much longer the texts may be.
	Factor float64
	// LowFreqFactor, HighFreqFactor and OriginalMaxPositions set where llama3's passage begins and ends.
	LowFreqFactor, HighFreqFactor float64
	OriginalMaxPositions          int
	// Divisors are what each frequency is divided by, [HeadDim/2]. A GGUF file of a llama3 model holds them in place of
	// the three fields above; nil otherwise.
	Divisors []float64
}

func (s *RopeScaling) check(headDim int) error {
	if s.Divisors != nil {
		return s.checkDivisors(headDim)
	}
	if !(s.Factor >= 1 && s.Factor <= 1e6) {
		return fmt.Errorf("the factor of the rotary scaling is %v, it must be 1 or more", s.Factor)
	}
	if s.Type == ropeLlama3 && !(s.LowFreqFactor > 0 && s.HighFreqFactor > s.LowFreqFactor && s.HighFreqFactor <= 1e6 &&
		s.OriginalMaxPositions > 0 && s.OriginalMaxPositions <= maxPositions) {
		return fmt.Errorf("the llama3 rotary scaling has low_freq_factor %v, high_freq_factor %v and original_max_position_embeddings %d; "+
			"they must be positive, the high factor above the low one", s.LowFreqFactor, s.HighFreqFactor, s.OriginalMaxPositions)
	}
	return nil
}

func (s *RopeScaling) checkDivisors(headDim int) error {
	if len(s.Divisors) != headDim/2 {
		return fmt.Errorf("there are %d divisors of rotary frequencies, heads of %d need %d", len(s.Divisors), headDim, headDim/2)
	}
	for i, d := range s.Divisors {
		if !(d > 0 && d <= 1e6) {
			return fmt.Errorf("divisor %d of the rotary frequencies is %v, it must be positive", i, d)
		}
	}
	return nil
}

// InverseFrequencies are the angles that position 1 turns each pair of a head by, [HeadDim/2], scaling applied: pair i is
// elements i and i + HeadDim/2, position p turns it by p times its angle.
func (c *Config) InverseFrequencies() []float64 {
	angles := make([]float64, c.HeadDim/2)
	for i := range angles {
		angles[i] = math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))
		if c.RopeScaling != nil {
			angles[i] = c.RopeScaling.apply(i, angles[i])
		}
	}
	return angles
}

// apply scales the angle of pair i.
func (s *RopeScaling) apply(i int, angle float64) float64 {
	switch {
	case s.Divisors != nil:
		return angle / s.Divisors[i]
	case s.Type == ropeLlama3:
		return s.llama3(angle)
	}
	return angle / s.Factor
}

// llama3 keeps angles whose wave fits the original length many times, divides those whose wave does not fit it, and mixes
// the two between, as the Llama 3.1 reference does.
func (s *RopeScaling) llama3(angle float64) float64 {
	waves := float64(s.OriginalMaxPositions) * angle / (2 * math.Pi) // that fit the original length
	switch {
	case waves < s.LowFreqFactor:
		return angle / s.Factor
	case waves > s.HighFreqFactor:
		return angle
	}
	smooth := (waves - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return (1-smooth)*angle/s.Factor + smooth*angle
}

// ropeFile is rope_scaling of old files and rope_parameters of new ones.
type ropeFile struct {
	Type         string   `json:"rope_type"`
	OldType      string   `json:"type"`
	Theta        *float64 `json:"rope_theta"`
	Factor       *float64 `json:"factor"`
	Low          *float64 `json:"low_freq_factor"`
	High         *float64 `json:"high_freq_factor"`
	MaxPositions *int     `json:"original_max_position_embeddings"`
	Partial      *float64 `json:"partial_rotary_factor"`
}

// rope reads the base of the rotary frequencies and their scaling.
func (f *configFile) rope(maxPositions int) (theta float64, scaling *RopeScaling, err error) {
	r := f.RopeParameters
	if r == nil {
		r = f.RopeScaling
	}
	theta = or(f.RopeTheta, 1e4)
	if r == nil {
		r = &ropeFile{}
	}
	theta = or(r.Theta, theta)
	if or(f.Partial, 1) != 1 || or(r.Partial, 1) != 1 {
		return 0, nil, errors.New("partial_rotary_factor is not 1; positions that turn a part of each head only are not known")
	}
	kind := r.Type
	if kind == "" {
		kind = r.OldType
	}
	switch kind {
	case "", "default":
		return theta, nil, nil
	case ropeLinear, ropeLlama3:
		return theta, &RopeScaling{
			Type: kind, Factor: or(r.Factor, 0), LowFreqFactor: or(r.Low, 0), HighFreqFactor: or(r.High, 0),
			OriginalMaxPositions: or(r.MaxPositions, maxPositions),
		}, nil
	}
	return 0, nil, fmt.Errorf("rope_type is %q; default, linear and llama3 are known", kind)
}
