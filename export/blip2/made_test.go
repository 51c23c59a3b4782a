package blip2

import (
	"hash/fnv"
	"math/rand/v2"

	"mllm4rec/export/matrix"
)

// made is a model of random weights that exists nowhere: numbers are drawn when they are asked for.
type made struct {
	config Config
	shapes map[string][]int64
}

func newMade(c Config) made { return made{c, c.Tensors()} }

func (m made) Config() Config { return m.config }

func (m made) Pictures() Pictures { return Pictures{Size: m.config.Vision.ImageSize} }

func (m made) Fingerprint() string { return "made" }

func (m made) Values(name string) ([]float32, error) {
	n := 1
	for _, d := range m.shapes[name] {
		n *= int(d)
	}
	return m.draw(name, 0, n), nil
}

func (m made) Rows(name string, from, to int) ([]float32, error) {
	columns := int(m.shapes[name][1])
	return m.draw(name, from*columns, (to-from)*columns), nil
}

// draw gives numbers that depend on where they stand alone.
func (m made) draw(name string, at, n int) []float32 {
	hash := fnv.New64()
	_, _ = hash.Write([]byte(name))
	values := make([]float32, n)
	const stretch = 1 << 12
	matrix.Parallel((n+stretch-1)/stretch, func(from, to int) {
		for s := from; s < to; s++ {
			random := rand.New(rand.NewPCG(hash.Sum64(), uint64(at+s*stretch)))
			for i := s * stretch; i < min(n, (s+1)*stretch); i++ {
				values[i] = (random.Float32() - 0.5) / 8
			}
		}
	})
	return values
}

// midSize is the shape that REFERENCE.md has numbers of.
var midSize = Config{
	Queries: 32,
	Vision:  Vision{Hidden: 384, Layers: 12, Heads: 6, Intermediate: 1536, ImageSize: 224, PatchSize: 14, Activation: "gelu", NormEpsilon: 1e-6, QKVBias: true},
	QFormer: QFormer{Hidden: 384, Layers: 4, Heads: 6, Intermediate: 1536, CrossEvery: 2, Activation: "gelu", NormEpsilon: 1e-12},
	Text: Text{
		Hidden: 384, Layers: 6, Heads: 6, Intermediate: 1536, VocabSize: 50304, MaxPositions: 2048, Activation: "relu",
		NormBefore: true, FinalNorm: true, Bias: true, Tied: true, BOS: 2, Pad: 1, EOS: []int32{50118},
	},
}
