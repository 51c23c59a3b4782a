package lora

import (
	"fmt"
	"runtime/debug"
	"slices"

	"mllm4rec/pipeline/train/torch"
)

// stored is a frozen matrix on a device.
type stored interface {
	// unpack is it as products need it, [out, in] in the device's kind.
	unpack(t *torch.Tape) torch.Tensor
}

// load brings the base to the device, a tensor after the other.
func (d *onDevice) load() (err error) {
	m, c := d.model, d.model.config
	defer func() {
		if full := m.engine.Err(); full != nil {
			err = fmt.Errorf("the base does not fit onto the device (another precision needs less): %w", full)
		}
	}()
	d.layers = make([]deviceLayer, c.Layers)
	for i := range d.layers {
		if err := d.loadLayer(i); err != nil {
			return err
		}
	}
	if d.finalNorm, err = d.vector(true, "model.norm.weight", c.Hidden); err != nil {
		return err
	}
	if d.head, err = d.loadHead(); err != nil {
		return err
	}
	debug.FreeOSMemory() // what was read is garbage now
	return nil
}

func (d *onDevice) loadLayer(i int) (err error) {
	m, c, l := d.model, d.model.config, &d.layers[i]
	for target := range l.weights {
		out, in := m.shape(target)
		if l.weights[target], err = d.matrix(siteName(i, target)+".weight", m.settings.Precision, out, in); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		to     *torch.Tensor
		want   bool
		length int
		name   string
	}{
		{&l.norm1, true, c.Hidden, "input_layernorm.weight"}, {&l.norm2, true, c.Hidden, "post_attention_layernorm.weight"},
		{&l.biases[queryTarget], c.QKVBias, m.qWidth, "self_attn.q_proj.bias"}, {&l.biases[keyTarget], c.QKVBias, m.kvWidth, "self_attn.k_proj.bias"},
		{&l.biases[valueTarget], c.QKVBias, m.kvWidth, "self_attn.v_proj.bias"}, {&l.biases[outTarget], c.OutBias, c.Hidden, "self_attn.o_proj.bias"},
		{&l.qNorm, c.QKNorm, c.HeadDim, "self_attn.q_norm.weight"}, {&l.kNorm, c.QKNorm, c.HeadDim, "self_attn.k_norm.weight"},
	} {
		if *v.to, err = d.vector(v.want, fmt.Sprintf("model.layers.%d.%s", i, v.name), v.length); err != nil {
			return err
		}
	}
	for target, bias := range l.biases {
		if bias.Exists() {
			l.biases[target] = d.base.To(bias, d.device.Kind())
		}
	}
	return nil
}

// loadHead brings the rows of the output layer that the loss reads; all of them lie in 16 bits at least.
func (d *onDevice) loadHead() (stored, error) {
	m, hidden := d.model, d.model.config.Hidden
	if m.settings.Head == nil {
		return d.matrix(m.headName(), m.headPrecision(), m.config.VocabSize, hidden)
	}
	values, err := m.letterRows()
	if err != nil {
		return nil, err
	}
	return d.dense(values, torch.Float32, len(m.settings.Head), hidden), nil
}

// read reads a tensor whose shape is known.
func (d *onDevice) read(name string, want ...int64) ([]float32, error) {
	values, shape, err := d.model.source.Float32(name)
	if err == nil && !slices.Equal(shape, want) {
		err = fmt.Errorf("tensor %s is %v, the model needs %v", name, shape, want)
	}
	return values, err
}

func (d *onDevice) vector(want bool, name string, length int) (torch.Tensor, error) {
	if !want {
		return torch.Tensor{}, nil
	}
	values, err := d.read(name, int64(length))
	return torch.Upload(d.base, values, len(values)), err
}

// matrix brings a weight [out, in] to the device in a precision.
func (d *onDevice) matrix(name, precision string, out, in int) (stored, error) {
	values, err := d.read(name, int64(out), int64(in))
	if err != nil {
		return nil, err
	}
	switch precision {
	case "fp32":
		return d.dense(values, torch.Float32, out, in), nil
	case "bf16":
		return d.dense(values, torch.BFloat16, out, in), nil
	}
	host := room{engine: d.model.engine}
	defer host.free()
	c := newCompressed(&host, precision, len(values))
	if err := d.model.engine.Err(); err != nil {
		return nil, err // there is no memory to pack into, here or, since a tensor before, on the device
	}
	c.pack(values)
	shape := packedShape{out, in, (len(values) + blockSize - 1) / blockSize, d.device.Kind()}
	if q, ok := c.(*int8s); ok {
		return &deviceInt8{shape, torch.Upload(d.base, padded(q.values, shape.blocks*blockSize), shape.blocks, blockSize), torch.Upload(d.base, q.scales, shape.blocks, 1)}, nil
	}
	return d.uploadNF4(c.(*nf4), shape), nil
}

// padded is x with zeros behind it.
func padded[T byte | int8 | float32](x []T, length int) []T {
	return append(slices.Clone(x), make([]T, length-len(x))...)
}

type deviceDense struct {
	values torch.Tensor
	kind   torch.Kind
}

func (w deviceDense) unpack(t *torch.Tape) torch.Tensor { return t.To(w.values, w.kind) }

// dense holds a matrix in numbers of a kind.
func (d *onDevice) dense(values []float32, kind torch.Kind, out, in int) stored {
	t := d.model.engine.NewTape(d.device, false)
	defer t.Close()
	return deviceDense{t.Move(t.To(torch.Upload(t, values, out, in), kind), d.base), d.device.Kind()}
}

// packedShape is that of a matrix in whole blocks.
type packedShape struct {
	out, in, blocks int
	kind            torch.Kind
}

// finish makes the matrix of its blocks [blocks, blockSize].
func (s packedShape) finish(t *torch.Tape, blocks torch.Tensor) torch.Tensor {
	flat := t.Reshape(t.To(blocks, s.kind), s.blocks*blockSize)
	return t.Reshape(t.Part(flat, 0, 0, s.out*s.in), s.out, s.in)
}

type deviceInt8 struct {
	packedShape
	values, scales torch.Tensor
}

func (w *deviceInt8) unpack(t *torch.Tape) torch.Tensor {
	return w.finish(t, t.Mul(t.To(w.values, torch.Float32), w.scales))
}

// deviceNF4 is the type nf4 on a device, whole blocks of it.
type deviceNF4 struct {
	packedShape
	packed, codes, outer, offset torch.Tensor
	levels, dynamic              torch.Tensor // tables, [16] and [256]
}

func (d *onDevice) uploadNF4(q *nf4, shape packedShape) stored {
	groups := len(q.outer)
	return &deviceNF4{
		packedShape: shape, packed: torch.Upload(d.base, padded(q.packed, shape.blocks*blockSize/2), shape.blocks*blockSize/2, 1),
		codes: torch.Upload(d.base, padded(q.codes, groups*outerSize), groups*outerSize), outer: torch.Upload(d.base, q.outer, groups, 1),
		offset: torch.Upload(d.base, []float32{q.offset}, 1), levels: torch.Upload(d.base, nf4Levels(), 16), dynamic: torch.Upload(d.base, dynamicMap().values[:], 256),
	}
}

// nf4Levels are the sixteen numbers of NF4.
func nf4Levels() []float32 {
	one := byte(slices.Index(dynamicMap().values[:], 1))
	levels := make([]float32, 16)
	(&nf4{16, []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, []byte{one}, []float32{1}, 0}).unpack(levels)
	return levels
}

func (w *deviceNF4) unpack(t *torch.Tape) torch.Tensor {
	inner := t.Reshape(t.Rows(w.dynamic, t.To(w.codes, torch.Int32)), -1, outerSize)
	scales := t.Part(t.Reshape(t.Add(t.Mul(inner, w.outer), w.offset), -1, 1), 0, 0, w.blocks)
	high, low := t.Halves(w.packed)
	places := t.Reshape(t.Join(1, high, low), w.blocks*blockSize)
	levels := t.Reshape(t.Rows(w.levels, t.To(places, torch.Int32)), w.blocks, blockSize)
	return w.finish(t, t.Mul(levels, scales))
}
