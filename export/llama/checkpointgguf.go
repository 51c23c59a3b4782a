package llama

import (
	"errors"
	"fmt"
	"io"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/gguf"
)

// ggufFile is a GGUF file, seen under Hugging Face's names.
type ggufFile struct {
	*gguf.File
	names map[string]string // GGUF's name: Hugging Face's
	heads map[string]int    // GGUF's name: heads of permuted rows
}

func openGGUF(path string) (Config, container, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return Config{}, nil, err
	}
	config, err := ggufConfig(file)
	if err != nil {
		return Config{}, nil, errors.Join(fail.Usagef("%s: %w", path, err), file.Close())
	}
	g := ggufFile{File: file, names: map[string]string{}, heads: map[string]int{}}
	for _, want := range config.expect() {
		g.names[want.gguf] = want.name
		if config.Architecture == archLlama { // Qwen's rotation is of halves in ggml, too
			g.heads[want.gguf] = want.heads
		}
	}
	return config, g, nil
}

// list gives tensors that the config does not ask for under the file's own names.
func (g ggufFile) list() map[string]stored {
	held := map[string]stored{}
	for _, t := range g.Tensors {
		name, ok := g.names[t.Name]
		if !ok {
			name = t.Name
		}
		held[name] = stored{name: t.Name, dtype: weights.DType(t.Type.String()), shape: t.Shape, heads: g.heads[t.Name]}
	}
	return held
}

func (g ggufFile) view(name string, use func(raw []byte) error) error {
	t, err := g.Tensor(name)
	if err != nil {
		return err
	}
	return g.View(t, use)
}

func (g ggufFile) reader(name string) (*io.SectionReader, error) {
	t, err := g.Tensor(name)
	if err != nil {
		return nil, err
	}
	return g.Section(t), nil
}

// scaling reads how positions are stretched: llama3's divisors are a tensor, linear scaling is a key.
func (m *metadataReader) scaling(f *gguf.File) (*RopeScaling, error) {
	kind := "none"
	if m.has("rope.scaling.type") {
		var err error
		if kind, err = m.String(m.arch + ".rope.scaling.type"); err != nil {
			return nil, err
		}
	}
	factor := m.float("rope.scaling.factor", m.float("rope.scale_linear", 1))
	switch {
	case m.err != nil:
		return nil, m.err
	case kind != "none" && kind != ropeLinear:
		return nil, fmt.Errorf("rope.scaling.type is %q; none, linear and the tensor %s (llama3) are known", kind, ropeFactorsName)
	case f.Has(ropeFactorsName):
		return ropeFactors(f)
	case factor != 1 && (kind == ropeLinear || !m.has("rope.scaling.type")):
		return &RopeScaling{Type: ropeLinear, Factor: factor}, nil
	}
	return nil, nil
}

// ropeFactors reads the divisors of a llama3 model.
func ropeFactors(f *gguf.File) (*RopeScaling, error) {
	t, err := f.Tensor(ropeFactorsName)
	if err != nil {
		return nil, err
	}
	if t.Type != gguf.F32 || t.Elements() > maxWidth {
		return nil, fmt.Errorf("tensor %q is %s %v; it must be F32 and half as long as a head", ropeFactorsName, t.Type, t.Shape)
	}
	values := make([]float32, t.Elements())
	err = f.View(t, func(raw []byte) error { return weights.F32.Decode(values, raw) })
	s := &RopeScaling{Type: ropeLlama3, Divisors: make([]float64, len(values))}
	for i, v := range values {
		s.Divisors[i] = float64(v)
	}
	return s, err
}
