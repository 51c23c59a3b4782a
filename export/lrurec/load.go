package lrurec

import (
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// model is a trained LRURec. All but the item table, which may be larger than memory, is held.
type model struct {
	config
	table  table
	bias   []float32 // [items+1]
	blocks []block
}

// block is a recurrence and a feed-forward network.
type block struct {
	lambda        []complex128 // [channels] decay a step
	in            []complex128 // [channels, hidden], scaled by gamma
	inBias        []complex128 // [channels], scaled by gamma
	out           []complex128 // [hidden, channels]
	outBias       []complex128 // [hidden]
	norm          norm
	w1, w1Bias    []float32 // [inner, hidden], [inner]
	w2, w2Bias    []float32 // [hidden, inner], [hidden]
	inner         int
	feedForwardLN norm
}

// norm is a LayerNorm's weight and bias, [hidden].
type norm struct{ weight, bias []float32 }

// load reads all but the table and checks every shape against the config.
func load(f *weights.File, weightsPath, configPath string, c config) (*model, error) {
	l := &loader{file: f, path: weightsPath, config: configPath}
	d, items := int64(c.Hidden), int64(c.NumItems)+1
	m := &model{config: c}
	l.check(tableName, weights.F32, items, d)
	m.table = table{file: f, path: weightsPath, hidden: c.Hidden, norm: l.norm("embedding.layer_norm", d)}
	m.bias = slices.Clone(l.float32("model.bias", items))
	for i := range c.Blocks {
		m.blocks = append(m.blocks, l.block(fmt.Sprintf("model.lru_blocks.%d.", i), d, int64(c.LRUHidden)))
	}
	if l.err != nil {
		return nil, l.err
	}
	m.bias[0] = float32(math.Inf(-1)) // item 0 is padding and never proposed
	return m, nil
}

// loader reads tensors and keeps the first error.
type loader struct {
	file         *weights.File
	path, config string
	err          error
}

// check reports a tensor whose shape the config does not expect; dtype "" takes any.
func (l *loader) check(name string, dtype weights.DType, want ...int64) {
	if l.err != nil {
		return
	}
	info, err := l.file.Info(name)
	switch {
	case err != nil:
		l.err = err
	case !slices.Equal(info.Shape, want):
		l.err = fail.Usagef("%s: tensor %q has shape %v where %s asks for %v: the two files are not of one training",
			l.path, name, info.Shape, l.config, want)
	case dtype != "" && info.DType != dtype:
		l.err = fail.Usagef("%s: tensor %q is %s where %s belongs", l.path, name, info.DType, dtype)
	}
}

// float32 reads a tensor of an expected shape, and refuses what is not finite.
func (l *loader) float32(name string, want ...int64) []float32 {
	l.check(name, "", want...)
	if l.err != nil {
		return nil
	}
	values, _, err := l.file.Float32(name)
	if err != nil {
		l.err = err
		return nil
	}
	if at := slices.IndexFunc(values, notFinite); at >= 0 {
		l.err = fail.Usagef("%s: tensor %q: element %d is %v", l.path, name, at, values[at])
		return nil
	}
	return values
}

func notFinite(v float32) bool { return v != v || v-v != 0 }

// complex reads a tensor whose last axis is (real, imaginary), scaled a row.
func (l *loader) complex(name string, scale []float64, want ...int64) []complex128 {
	pairs := l.float32(name, append(want, 2)...)
	values := make([]complex128, len(pairs)/2)
	for i := range values {
		values[i] = complex(float64(pairs[2*i]), float64(pairs[2*i+1]))
		if scale != nil {
			values[i] *= complex(scale[i*len(scale)/len(values)], 0)
		}
	}
	return values
}

func (l *loader) norm(name string, d int64) norm {
	return norm{l.float32(name+".weight", d), l.float32(name+".bias", d)}
}

func (l *loader) block(prefix string, d, channels int64) block {
	var b block
	lambda, gamma := l.recurrence(prefix+"lru_layer.params_log", channels)
	b.lambda = lambda
	b.in = l.complex(prefix+"lru_layer.in_proj.weight", gamma, channels, d)
	b.inBias = l.complex(prefix+"lru_layer.in_proj.bias", gamma, channels)
	b.out = l.complex(prefix+"lru_layer.out_proj.weight", nil, d, channels)
	b.outBias = l.complex(prefix+"lru_layer.out_proj.bias", nil, d)
	b.norm = l.norm(prefix+"lru_layer.layer_norm", d)
	inner := 4 * d
	b.inner = int(inner)
	b.w1, b.w1Bias = l.float32(prefix+"feed_forward.w_1.weight", inner, d), l.float32(prefix+"feed_forward.w_1.bias", inner)
	b.w2, b.w2Bias = l.float32(prefix+"feed_forward.w_2.weight", d, inner), l.float32(prefix+"feed_forward.w_2.bias", d)
	b.feedForwardLN = l.norm(prefix+"feed_forward.layer_norm", d)
	return b
}

// recurrence reads rows nu_log, theta_log, gamma_log: λ = exp(−exp(nu_log) + i·exp(theta_log)), γ = exp(gamma_log).
func (l *loader) recurrence(name string, channels int64) (lambda []complex128, gamma []float64) {
	rows := l.float32(name, 3, channels)
	if l.err != nil {
		return make([]complex128, channels), make([]float64, channels)
	}
	for c := range channels {
		nu, theta := math.Exp(float64(rows[c])), math.Exp(float64(rows[channels+c]))
		decay, scale := cmplx.Exp(complex(-nu, theta)), math.Exp(float64(rows[2*channels+c]))
		if cmplx.IsNaN(decay) || math.IsInf(scale, 0) {
			l.err = fail.Usagef("%s: tensor %q: channel %d is out of range", l.path, name, c)
		}
		lambda, gamma = append(lambda, decay), append(gamma, scale)
	}
	return lambda, gamma
}
