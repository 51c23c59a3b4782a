package lora

// Config stands in.
type Config struct {
	VocabSize, Hidden, Layers, Heads, KVHeads, HeadDim, Intermediate int
	NormEpsilon                                                      float64
	QKVBias, OutBias, QKNorm, TieEmbeddings                          bool
	SlidingWindow                                                    int
	Frequencies                                                      []float64
}

func (c *Config) InverseFrequencies() []float64 { return c.Frequencies }
