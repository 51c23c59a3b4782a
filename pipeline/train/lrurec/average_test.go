package lrurec

import (
	"math"
	"slices"
	"testing"
)

func TestAverageFollowsTheWeightsAndSwapsBack(t *testing.T) {
	e := engine(t, 2)
	m := NewModel(e, Shape{Items: 20, Hidden: 8, Channels: 16, Blocks: 1}, 16)
	defer m.Close()
	m.Initialise(1, 0.8, 0.99)
	a := newAverage(m, 0.5)
	want := slices.Clone(m.dense.Data)
	for step := 1; step <= 20; step++ {
		decay := min(0.5, float64(1+step)/float64(10+step))
		for i := range m.dense.Data {
			m.dense.Data[i] += 0.01 * float32(i%7)
			want[i] = float32(decay*float64(want[i]) + (1-decay)*float64(m.dense.Data[i]))
		}
		a.follow(m, step)
	}
	for i := range want {
		if math.Abs(float64(a.dense[i]-want[i])) > 1e-6 { // both round to float32 at every step
			t.Fatalf("average of weight %d is %v, want %v", i, a.dense[i], want[i])
		}
	}
	kept, _ := (&task{model: m, average: a}).Best()
	now, averaged := slices.Clone(m.dense.Data), slices.Clone(a.dense)
	a.swap(m)
	if !slices.Equal(m.dense.Data, averaged) {
		t.Error("the first swap does not bring the average")
	}
	for i, tensor := range m.Export() {
		if kept[i].Name != tensor.Name || i > 1 && !slices.Equal(kept[i].Data, tensor.Data) { // the first two are views: of one each
			t.Errorf("what is kept of %s is not the average", tensor.Name)
		}
	}
	a.swap(m)
	if !slices.Equal(m.dense.Data, now) || !slices.Equal(a.dense, averaged) {
		t.Error("the second swap does not bring the weights back")
	}
}

func TestNoAverageWithoutDecay(t *testing.T) {
	var none *average
	if a := newAverage(nil, 0); a != none {
		t.Error("decay 0 makes an average")
	}
	none.follow(nil, 1)
	none.swap(nil)
}
