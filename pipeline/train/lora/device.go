package lora

import (
	"context"
	"fmt"
	"strings"

	"mllm4rec/pipeline/train/torch"
)

// onDevice computes a model's passes on a device, by libtorch's own operations and gradients. Of a pass it keeps the input of each
// layer; the backward pass computes the layer again and lets libtorch record it, so that one layer's activations and unpacked
// weights are there at a time. Adapters, their gradients and the optimiser stay on the host, where they are the model's.
type onDevice struct {
	model     *Model
	device    torch.Device
	base      *torch.Tape
	layers    []deviceLayer
	finalNorm torch.Tensor
	head      stored
	pass      *torch.Tape
	inputs    []torch.Tensor // of each layer, [rows, hidden] in float32; then the last one's output, [answers, hidden]
	all, last deviceWalk
	answers   torch.Tensor // rows that are read
}

// deviceLayer is the frozen part of a layer. Norms and biases that the model does not have do not exist.
type deviceLayer struct {
	weights                    [7]stored
	biases                     [7]torch.Tensor
	norm1, norm2, qNorm, kNorm torch.Tensor
}

// deviceWalk is a walk: angles of the queries [queries, 1, dim/2] and which rows they see [queries, rows].
type deviceWalk struct {
	queries        int
	cosines, sines torch.Tensor
	mask           torch.Tensor
}

// leaf is an adapter while libtorch records.
type leaf struct {
	site *site
	a, b torch.Tensor
}

// newOnDevice loads the base.
func (m *Model) newOnDevice(device torch.Device) (*onDevice, error) {
	d := &onDevice{model: m, device: device, base: m.engine.NewTape(device, false), pass: m.engine.NewTape(device, false)}
	if err := d.load(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *onDevice) close() {
	if d != nil {
		d.pass.Close()
		d.base.Close()
	}
}

// forward is Model.forward.
func (d *onDevice) forward(ctx context.Context, p *pass) error {
	m, b := d.model, p.batch
	embedded := make([]float32, len(b.tokens)*m.config.Hidden)
	if err := m.embed(b.tokens, embedded); err != nil {
		return err
	}
	d.begin(b)
	x := torch.Upload(d.pass, embedded, len(b.tokens), m.config.Hidden)
	d.inputs = append(d.inputs[:0], x)
	for i := range d.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := m.engine.NewTape(d.device, false)
		out, _ := d.layer(t, i, x, p)
		x = t.Move(out, d.pass)
		t.Close()
		d.inputs = append(d.inputs, x)
	}
	t := m.engine.NewTape(d.device, false)
	defer t.Close()
	t.Download(d.logits(t, x), m.logits.Data)
	return d.err()
}

// err is the model's, with what to do where the device's memory ran out.
func (d *onDevice) err() error {
	err := d.model.Err()
	if err != nil && strings.Contains(err.Error(), "out of memory") {
		err = fmt.Errorf("%w; fewer ranker.batch_tokens or another ranker.precision need less", err)
	}
	return err
}

// begin makes what all layers read of a micro-batch.
func (d *onDevice) begin(b *packed) {
	d.pass.Close()
	d.pass = d.model.engine.NewTape(d.device, false)
	d.all, d.last = d.walk(b.all, len(b.tokens)), d.walk(b.last, len(b.tokens))
	d.answers = torch.Upload(d.pass, b.answers, len(b.answers))
}

// walk uploads one.
func (d *onDevice) walk(w walk, rows int) deviceWalk {
	m, half, n := d.model, d.model.config.HeadDim/2, len(w.positions)
	cosines, sines := make([]float32, 0, n*half), make([]float32, 0, n*half)
	for _, position := range w.positions {
		at := int(position) * half
		cosines, sines = append(cosines, m.rotary.cosines[at:at+half]...), append(sines, m.rotary.sines[at:at+half]...)
	}
	return deviceWalk{
		queries: n, cosines: torch.Upload(d.pass, cosines, n, 1, half), sines: torch.Upload(d.pass, sines, n, 1, half),
		mask: d.pass.To(torch.Upload(d.pass, w.seen(rows, m.heads.window), n, rows), torch.Bool),
	}
}

// seen is 1 where a query sees a row, [queries, rows]: rows of its chain at its own place or before, within the window.
func (w walk) seen(rows, window int) []byte {
	seen := make([]byte, len(w.positions)*rows)
	for _, s := range w.spans {
		for query := s.queryFrom; query < s.queryTo; query++ {
			at := w.positions[query]
			position := int32(0) // of the row
			for pair := s.chainFrom; pair < s.chainTo; pair++ {
				for row := w.chains[2*pair]; row < w.chains[2*pair+1]; row++ {
					if position <= at && (window == 0 || int(at-position) < window) {
						seen[int(query)*rows+int(row)] = 1
					}
					position++
				}
			}
		}
	}
	return seen
}

// logits are those of the answers, [answers, head].
func (d *onDevice) logits(t *torch.Tape, x torch.Tensor) torch.Tensor {
	normed := t.To(t.RMSNorm(x, d.finalNorm, d.model.config.NormEpsilon), d.device.Kind())
	return t.To(t.Linear(normed, d.head.unpack(t)), torch.Float32)
}

// backward is Model.backward.
func (d *onDevice) backward(ctx context.Context, p *pass) error {
	m, last := d.model, len(d.layers)
	t := m.engine.NewTape(d.device, true)
	x := t.Learns(d.inputs[last])
	t.Backward(d.logits(t, x), torch.Upload(t, m.logits.Data, m.logits.Rows, m.logits.Cols))
	grad := t.Move(t.Gradient(x), d.pass)
	t.Close()
	for i := last - 1; i >= 0 && m.Err() == nil; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		above := grad
		grad = d.layerBackward(p, i, above)
		d.pass.Free(above, d.inputs[i+1])
	}
	return d.err()
}

// layerBackward adds the gradients of a layer's adapters to what is there, and returns that of its input.
func (d *onDevice) layerBackward(p *pass, i int, grad torch.Tensor) torch.Tensor {
	t := d.model.engine.NewTape(d.device, true)
	defer t.Close()
	x := d.inputs[i]
	if i > 0 {
		x = t.Learns(x)
	}
	out, leaves := d.layer(t, i, x, p)
	if i == 0 && len(leaves) == 0 {
		return torch.Tensor{}
	}
	t.Backward(out, grad)
	for _, l := range leaves {
		add(t, l.a, l.site.gradA)
		add(t, l.b, l.site.gradB)
	}
	if i == 0 {
		return torch.Tensor{}
	}
	return t.Move(t.Gradient(x), d.pass)
}

// add downloads a gradient and adds it to sum.
func add(t *torch.Tape, x torch.Tensor, sum []float32) {
	gradient := make([]float32, len(sum))
	t.Download(t.Gradient(x), gradient)
	for i, g := range gradient {
		sum[i] += g
	}
}
