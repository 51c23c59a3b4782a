package lora

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// boundFor is the least bound under which own layers besides the last keep their activations for themselves.
func boundFor(m *Model, own int) int64 {
	layers := len(m.layers)
	inputs := 4 * int64(layers) * int64(m.settings.Rows) * int64(m.config.Hidden)
	return inputs + m.activationBytes(m.layers[layers-1]) + int64(own+1)*m.activationBytes(m.layers[0])
}

func TestRecomputedLayersGiveTheSameBits(t *testing.T) {
	source := newRandomWeights(small())
	settings := Settings{Head: []int32{5, 6, 7, 8}}
	plain := newSmall(t, source, small(), settings)
	wantLogits, want := gradients(t, plain)
	for own := range 4 {
		for _, precision := range []string{"fp32", "nf4"} {
			t.Run(fmt.Sprint(own, " of 4 layers keep theirs, ", precision), func(t *testing.T) {
				wantLogits, want := wantLogits, want
				if settings.Precision = precision; precision != "fp32" {
					settings.ActivationBytes = 0
					wantLogits, want = gradients(t, newSmall(t, source, small(), settings))
				}
				settings.ActivationBytes = boundFor(plain, own)
				m := newSmall(t, source, small(), settings)
				if want := []int{4, 3, 2, 1}[own]; m.sharing != want {
					t.Fatalf("%d layers share their activations, want %d", m.sharing, want)
				}
				if got := m.plan(2).Activations; got > settings.ActivationBytes {
					t.Errorf("activations take %d bytes, the bound is %d", got, settings.ActivationBytes)
				}
				for range 2 { // a second step finds what the first left
					logits, grads := gradients(t, m)
					if !slices.Equal(logits, wantLogits) || !slices.Equal(grads, want) {
						t.Error("logits or gradients differ")
					}
				}
			})
		}
	}
}

func TestBoundIsObeyedToTheByte(t *testing.T) {
	t.Parallel()
	settings := Settings{Rows: 160, Answers: 8, Targets: Targets, Rank: 4, Head: []int32{1, 2}}
	plain, err := design(nil, small(), settings)
	if err != nil {
		t.Fatal(err)
	}
	for own := range 4 {
		settings.ActivationBytes = boundFor(plain, own)
		plan, err := NewPlan(small(), settings, 2)
		if err != nil || plan.Activations > settings.ActivationBytes {
			t.Errorf("%d layers of their own: %d bytes within %d, error %v", own, plan.Activations, settings.ActivationBytes, err)
		}
		settings.ActivationBytes--
		less, err := NewPlan(small(), settings, 2)
		if own > 0 && (err != nil || less.Activations >= plan.Activations) {
			t.Errorf("a byte less than for %d layers of their own: %d bytes, error %v", own, less.Activations, err)
		}
		if own == 0 && (err == nil || !strings.Contains(err.Error(), fmt.Sprint(settings.ActivationBytes+1, " at least"))) {
			t.Errorf("too few bytes: error %v", err)
		}
	}
}

func TestOneLayerNeedsNoSharing(t *testing.T) {
	t.Parallel()
	config := small()
	config.Layers = 1
	settings := Settings{Rows: 160, Answers: 8, Targets: Targets, Rank: 4, Head: []int32{1, 2}}
	plain, err := NewPlan(config, settings, 2)
	if err != nil {
		t.Fatal(err)
	}
	settings.ActivationBytes = plain.Activations
	if _, err := NewPlan(config, settings, 2); err != nil {
		t.Error(err)
	}
	settings.ActivationBytes--
	if _, err := NewPlan(config, settings, 2); err == nil {
		t.Error("a byte less was enough, too")
	}
}
