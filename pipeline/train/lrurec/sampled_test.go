package lrurec

import (
	"math"
	"math/rand/v2"
	"testing"

	"mllm4rec/pipeline/worker"
)

func TestSamplersDrawAsOftenAsTheySay(t *testing.T) {
	t.Parallel()
	counts := []int64{0, 5, 100, 0, 20, 20, 1}
	for _, kind := range []string{"uniform", "log_uniform", "popularity"} {
		s := newSampler(kind, counts)
		random := rand.New(rand.NewPCG(1, 2))
		const draws = 200_000
		drawn := make([]int, len(counts))
		for range draws {
			drawn[s.draw(random)]++
		}
		total := 0.0
		for item := 1; item < len(counts); item++ {
			p := s.probability(int32(item))
			total += p
			deviation := math.Sqrt(draws * p * (1 - p))
			if off := math.Abs(float64(drawn[item]) - draws*p); off > 5*deviation {
				t.Errorf("%s: item %d drawn %d times, expected %.0f ± %.0f", kind, item, drawn[item], draws*p, deviation)
			}
		}
		if math.Abs(total-1) > 1e-9 || drawn[0] != 0 {
			t.Errorf("%s: probabilities sum to %v, padding drawn %d times", kind, total, drawn[0])
		}
	}
	s := newSampler("log_uniform", counts)
	if s.probability(2) < s.probability(4) || s.probability(5) < s.probability(3) {
		t.Error("log-uniform must follow popularity")
	}
}

// slowLoss is the loss of a sampled head by its formula in float64, hidden and table given.
func slowLoss(s *sampled, hidden, table []float64, batch Batch) float64 {
	m, d := s.model, s.model.Hidden
	score := func(row int, item int32) float64 {
		sum := float64(m.itemBias[item])
		for j := range d {
			sum += hidden[row*d+j] * table[int(item)*d+j]
		}
		return sum
	}
	k, loss := float64(len(s.negatives)), 0.0
	for i, label := range batch.Labels {
		mine := score(i, label)
		z, binary := math.Exp(mine), s.beta*math.Log1p(math.Exp(-mine))
		for _, n := range s.negatives {
			if n != label {
				z += math.Exp(score(i, n)) / (k * s.sampler.probability(n))
				binary += math.Log1p(math.Exp(score(i, n)))
			}
		}
		if s.beta > 0 {
			loss += binary / (k + 1)
		} else {
			loss += math.Log(z) - mine
		}
	}
	return loss / float64(len(batch.Labels))
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(x[i])
	}
	return y
}

func TestSampledLossesAndTheirGradientsEqualTheFormula(t *testing.T) {
	for _, loss := range []string{"sampled_softmax", "gbce"} {
		for _, sampling := range []string{"uniform", "log_uniform", "popularity"} {
			t.Run(loss+"/"+sampling, func(t *testing.T) { checkSampled(t, loss, sampling) })
		}
	}
}

func checkSampled(t *testing.T, loss, sampling string) {
	e := engine(t, 2)
	m := NewModel(e, Shape{Items: 12, Hidden: 8, Channels: 4, Blocks: 1}, 20)
	defer m.Close()
	m.Initialise(3, 0.8, 0.99)
	for i := range m.table.Data {
		m.table.Data[i] *= 30 // so that scores matter
	}
	spec := worker.DefaultRetriever()
	spec.Loss, spec.Negatives, spec.NumItems = loss, 9, 12
	s := newSampled(m, spec, newSampler(sampling, []int64{0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1}), 20)
	batch := Batch{Items: []int32{1, 2, 3, 4, 2}, Labels: []int32{2, 3, 4, 5, 1}, Starts: []int32{0, 3, 5}}
	hidden := m.forward(batch, m.keepAll())
	got := s.step(hidden, batch, 77)
	h, table := widen(hidden.Data), widen(m.table.Data)
	if want := slowLoss(s, h, table, batch); math.Abs(got-want) > 1e-5*want {
		t.Errorf("loss %v, want %v", got, want)
	}
	slope := func(x []float64, i int) float64 {
		const step = 1e-5
		old := x[i]
		x[i] = old + step
		up := slowLoss(s, h, table, batch)
		x[i] = old - step
		down := slowLoss(s, h, table, batch)
		x[i] = old
		return (up - down) / (2 * step)
	}
	var want []float32
	for i := range h {
		want = append(want, float32(slope(h, i)))
	}
	closeTo(t, "gradient of hidden", m.grad.Data, want)
	want, dense := nil, make([]float32, len(table))
	for i := range table {
		want = append(want, float32(slope(table, i)))
	}
	for slot, item := range s.touched {
		copy(dense[int(item)*8:int(item)*8+8], s.tableGrad.Data[slot*8:])
	}
	closeTo(t, "gradient of the table", dense, want)
}

func TestSampledSoftmaxEstimatesTheFullOne(t *testing.T) {
	e := engine(t, 1)
	m := NewModel(e, Shape{Items: 40, Hidden: 8, Channels: 4, Blocks: 1}, 20)
	defer m.Close()
	m.Initialise(3, 0.8, 0.99)
	for i := range m.table.Data {
		m.table.Data[i] *= 20
	}
	m.itemBias[0] = -100 // padding is in the full softmax only
	spec := worker.DefaultRetriever()
	spec.Negatives = 4000
	counts := make([]int64, 41)
	for i := range counts {
		counts[i] = int64(100 / (i + 1))
	}
	batch := Batch{Items: []int32{1, 2, 3, 4}, Labels: []int32{2, 3, 4, 5}, Starts: []int32{0, 4}}
	full := newSoftmax(m).step(m.forward(batch, m.keepAll()), batch, 0)
	for _, sampling := range []string{"uniform", "log_uniform", "popularity"} {
		s := newSampled(m, spec, newSampler(sampling, counts), 20)
		if got := s.step(m.forward(batch, m.keepAll()), batch, 1); math.Abs(got-full) > 0.05 {
			t.Errorf("%s: loss %v, full softmax %v", sampling, got, full)
		}
	}
}
