package torch

import (
	"strings"
	"testing"
)

func TestATapeDoesNothingAfterAnError(t *testing.T) {
	e := NewEngine(1)
	tape := e.NewTape(CPU(), true)
	x := tape.Learns(Upload(tape, make([]float32, 6), 2, 3))
	tape.Backward(tape.RMSNorm(tape.MatMul(x, x), x, 1e-5), x) // [2, 3]·[2, 3]
	high, low := tape.Halves(x)
	out := []float32{7}
	tape.Download(tape.Join(0, tape.Attention(high, low, x, x), tape.Gradient(x)), out)
	tape.Close()
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "product") || out[0] != 7 {
		t.Errorf("error %v, downloaded %v", err, out)
	}
	if e.live != 0 {
		t.Errorf("%d tensors were not freed", e.live)
	}
}

func TestBackwardOnATape(t *testing.T) {
	e := NewEngine(1)
	tape := e.NewTape(CPU(), true)
	x := tape.Learns(Upload(tape, []float32{1, -2, 3}, 3))
	weights := Upload(tape, []float32{1, 10, 100}, 3)
	tape.Backward(tape.Mul(x, x), weights) // Σ w x² has the gradient 2 w x
	got := make([]float32, 3)
	tape.Download(tape.Gradient(x), got)
	tape.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got[0] != 2 || got[1] != -40 || got[2] != 600 {
		t.Errorf("gradient %v", got)
	}
}
