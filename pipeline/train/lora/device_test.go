package lora

import (
	"fmt"
	"strings"
	"testing"

	"mllm4rec/pipeline/train/torch"
)

// onCPU lets libtorch's operations do the work that they do on a GPU.
func onCPU(half bool) *torch.Device {
	d := torch.CPU()
	d.Half = half
	return &d
}

// What a device computes must be what the host's kernels compute, dropout included, however the base is held. Products in
// bfloat16 keep 8 bits of a number; the tolerance is relative to the largest gradient.
func TestADeviceComputesWhatTheHostDoes(t *testing.T) {
	for _, precision := range Precisions {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprint(precision, " half ", half), func(t *testing.T) {
				head := []int32{5, 6, 7, 8}
				if precision == "bf16" {
					head = nil // the whole vocabulary
				}
				source := newRandomWeights(small())
				logits, grads := gradients(t, newSmall(t, source, small(), Settings{Head: head, Precision: precision}))
				gotLogits, gotGrads := gradients(t, newSmall(t, source, small(), Settings{Head: head, Precision: precision, Device: onCPU(half)}))
				tolerance := 2e-5
				if half {
					tolerance = 3e-2
				}
				near(t, "logits", gotLogits, logits, tolerance*float64(largest(logits)))
				near(t, "gradients", gotGrads, grads, tolerance*float64(largest(grads)))
			})
		}
	}
}

func largest(x []float32) (most float32) {
	for _, v := range x {
		most = max(most, v, -v)
	}
	return most
}

func TestADevicesGradientsEqualPeft(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			m := g.modelOn(t, onCPU(false), g.letters(), 3, true)
			checkGradients(t, g, m, "verbalizer")
		})
	}
}

// After an error of libtorch nothing has memory, and packing would write to where there is none.
func TestABaseThatDoesNotFitOntoADeviceIsAnError(t *testing.T) {
	for _, precision := range Precisions {
		t.Run(precision, func(t *testing.T) {
			e := torch.NewEngine(1)
			m, err := NewModel(e, newRandomWeights(small()), small(), Settings{Rows: 8, Answers: 1, Targets: Targets, Rank: 4, Positions: 8, Precision: precision, Device: onCPU(false)})
			if err != nil {
				t.Fatal(err)
			}
			x := e.NewMatrix(2, 3)
			e.Product(x, x.N(), x.N()) // stands for memory that ran out
			if _, err := m.newOnDevice(*m.settings.Device); err == nil || !strings.Contains(err.Error(), "does not fit onto the device") {
				t.Errorf("error %v", err)
			}
			x.Free()
			m.Close()
			_ = e.Close()
		})
	}
}
