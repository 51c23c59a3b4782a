package lrurec

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"mllm4rec/pipeline/train/torch"
)

// golden is one of testdata/*.safetensors: a model, a batch, and what the paper's code computes from them.
type golden struct {
	floats map[string][]float32
	ints   map[string][]int64
	shape  map[string][]int64
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Dtype   string  `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int   `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	g := golden{map[string][]float32{}, map[string][]int64{}, map[string][]int64{}}
	for name, entry := range header {
		if len(entry.Offsets) != 2 {
			continue
		}
		raw := data[8+int(size)+entry.Offsets[0] : 8+int(size)+entry.Offsets[1]]
		g.shape[name] = entry.Shape
		if entry.Dtype == "I64" {
			for i := 0; i < len(raw); i += 8 {
				g.ints[name] = append(g.ints[name], int64(binary.LittleEndian.Uint64(raw[i:])))
			}
			continue
		}
		for i := 0; i < len(raw); i += 4 {
			g.floats[name] = append(g.floats[name], math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
		}
	}
	return g
}

// batch packs the golden's left-padded input; at tells where in [batch × length] each packed position was.
func (g golden) batch() (batch Batch, at []int) {
	length := int(g.shape["input.items"][1])
	batch.Starts = []int32{0}
	for i, item := range g.ints["input.items"] {
		if item > 0 {
			batch.Items, batch.Labels = append(batch.Items, int32(item)), append(batch.Labels, int32(g.ints["input.labels"][i]))
			at = append(at, i)
		}
		if i%length == length-1 {
			batch.Starts = append(batch.Starts, int32(len(batch.Items)))
		}
	}
	return batch, at
}

func (g golden) model(t *testing.T, e *torch.Engine) *Model {
	t.Helper()
	table, logs := g.shape["param.embedding.token.weight"], g.shape["param.model.lru_blocks.0.lru_layer.params_log"]
	shape := Shape{Items: int(table[0]) - 1, Hidden: int(table[1]), Channels: int(logs[1])}
	for name := range g.shape {
		if strings.HasPrefix(name, "param.") && strings.HasSuffix(name, "params_log") {
			shape.Blocks++
		}
	}
	m := NewModel(e, shape, len(g.ints["input.items"]))
	err := m.Import(func(name string) ([]float32, error) { return g.floats["param."+name], nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// closeTo compares relatively to the largest value wanted: float32 sums in another order differ in the last digits of the
// largest addend, not of the result.
func closeTo(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	var most, off float64
	for i := range want {
		most = max(most, math.Abs(float64(want[i])))
		off = max(off, math.Abs(float64(want[i])-float64(got[i])))
	}
	if off > 1e-4*most+1e-9 || math.IsNaN(off) {
		t.Errorf("%s: off by %.3g where the largest value is %.3g", name, off, most)
	}
}

func TestForwardLossAndGradientsMatchTheReference(t *testing.T) {
	for _, name := range []string{"small", "one_block", "long"} {
		t.Run(name, func(t *testing.T) {
			e := torch.NewEngine(2)
			g := readGolden(t, name)
			m := g.model(t, e)
			batch, at := g.batch()
			head := newSoftmax(m)

			hidden := m.forward(batch, m.keepAll())
			items := m.Items + 1
			scores := e.NewMatrix(len(at), items)
			e.Product(scores, hidden.N(), m.table.T())
			var got, want []float32
			for i, where := range at {
				for j := range items {
					got = append(got, scores.Data[i*items+j]+m.itemBias[j])
				}
				want = append(want, g.floats["output.scores"][where*items:(where+1)*items]...)
			}
			closeTo(t, "scores", got, want)
			scores.Free()

			loss := head.step(hidden, batch, 0)
			closeTo(t, "loss", []float32{float32(loss)}, g.floats["output.loss"])
			m.backward(batch, m.keepAll())
			head.embedded(batch)
			closeTo(t, "grad of table", head.tableGrad.Data, g.floats["grad.embedding.token.weight"])
			closeTo(t, "grad of bias", head.biasGrad, g.floats["grad.model.bias"])
			for _, p := range m.parameters {
				closeTo(t, "grad of "+p.name, p.exported(p.grad), g.floats["grad."+p.name])
			}
			m.Close()
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
