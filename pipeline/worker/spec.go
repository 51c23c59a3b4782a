package worker

import "mllm4rec/internal/fail"

// RetrieverSpec says what to train, on what, and how. It is the JSON file that mllm4rec-train reads; the defaults are
// those of DefaultRetriever (arXiv 2310.02367 and its published code).
type RetrieverSpec struct {
	// Sequences is the path of sequences.parquet.
	Sequences string `json:"sequences"`
	// NumItems is the size of the catalogue; item ids are 1 … NumItems.
	NumItems int `json:"num_items"`
	// Out is the folder that receives retriever.safetensors, retriever.json, train_log.jsonl, tensorboard/ and
	// checkpoint/. A checkpoint found there is resumed when it was made by the same spec.
	Out string `json:"out"`

	// Hidden is the width of the model and of the item embeddings.
	Hidden int `json:"hidden"`
	// LRUHidden is the number of complex channels of a recurrence; 0 means twice Hidden.
	LRUHidden int `json:"lru_hidden"`
	// Blocks counts the blocks, each a recurrence and a feed-forward network.
	Blocks int `json:"blocks"`
	// MaxLength is how many of a user's last items the model sees.
	MaxLength int `json:"max_length"`
	// Dropout is the rate after the embedding and inside the feed-forward networks.
	Dropout float64 `json:"dropout"`
	// LRUDropout is the rate after a recurrence (the paper's code calls it attention dropout).
	LRUDropout float64 `json:"lru_dropout"`
	// RMin and RMax bound |λ| at the start (ring initialisation).
	RMin float64 `json:"r_min"`
	RMax float64 `json:"r_max"`

	// Loss is "softmax" (over the whole catalogue), "sampled_softmax" or "gbce" (arXiv 2308.07192).
	Loss string `json:"loss"`
	// Negatives is how many items a batch shares as negatives, for the two sampled losses.
	Negatives int `json:"negatives"`
	// Sampling is the distribution of negatives: "log_uniform" over the popularity rank, "popularity" or "uniform".
	// Sampled softmax is corrected by it; gBCE is not, and its paper draws uniformly.
	Sampling string `json:"sampling"`
	// GBCECalibration is gBCE's t: 0 is plain binary cross-entropy, 1 undoes the sampling wholly.
	GBCECalibration float64 `json:"gbce_calibration"`

	// Batch counts the sequences of a step.
	Batch int `json:"batch"`
	// LearningRate is AdamW's peak rate; Epsilon its eps.
	LearningRate float64 `json:"learning_rate"`
	Epsilon      float64 `json:"epsilon"`
	// WeightDecay applies to all but biases and layer norms.
	WeightDecay float64 `json:"weight_decay"`
	// ClipNorm bounds the gradient's norm; 0 means no bound.
	ClipNorm float64 `json:"clip"`
	// Average is the decay of the moving average of the weights, which is what is validated and kept; 0 means no average.
	// It takes in every weight at every step, so it goes with the loss "softmax" only.
	Average float64 `json:"average"`
	// Schedule is "constant" or "cosine" (down to zero at MaxSteps), after Warmup steps of linear growth.
	Schedule string `json:"schedule"`
	Warmup   int    `json:"warmup_steps"`

	// Bounds' Metric is "recall@10" or "ndcg@10".
	Bounds

	// Seed fixes weights, order, dropout and negatives: the same seed and threads give the same bits.
	Seed int64 `json:"seed"`
	// Threads is how many cores the training uses; 0 means all.
	Threads int `json:"threads"`
}

// DefaultRetriever is the published LRURec for short sequences; sequences, catalogue and folder are the caller's.
func DefaultRetriever() RetrieverSpec {
	return RetrieverSpec{
		Hidden: 64, Blocks: 2, MaxLength: 50, Dropout: 0.2, LRUDropout: 0.2, RMin: 0.8, RMax: 0.99,
		Loss: "softmax", Negatives: 256, Sampling: "log_uniform", GBCECalibration: 0.75,
		Batch: 64, LearningRate: 1e-3, Epsilon: 1e-9, WeightDecay: 0.01, ClipNorm: 5, Schedule: "constant",
		Bounds: Bounds{MaxSteps: 20_000, ValidateEvery: 500, Patience: 20, Metric: "recall@10", CheckpointEvery: 500, LogEvery: 50},
		Seed:   42,
	}
}

// Channels is the number of complex channels of a recurrence.
func (s RetrieverSpec) Channels() int {
	if s.LRUHidden > 0 {
		return s.LRUHidden
	}
	return 2 * s.Hidden
}

// Validate names the first field that no training can use.
func (s RetrieverSpec) Validate() error {
	switch {
	case s.Sequences == "" || s.Out == "":
		return fail.Usagef("retriever: sequences and out must be set")
	case s.NumItems < 2 || s.NumItems > 1<<30:
		return fail.Usagef("retriever: num_items is %d; it must be between 2 and %d", s.NumItems, 1<<30)
	}
	return within("retriever", first(s.validateModel(), s.validateTraining(), s.Bounds.validate("recall@10", "ndcg@10")))
}

func (s RetrieverSpec) validateModel() error {
	return first(
		between("hidden", float64(s.Hidden), 1, 8192),
		between("lru_hidden", float64(s.LRUHidden), 0, 16384),
		between("blocks", float64(s.Blocks), 1, 64),
		between("max_length", float64(s.MaxLength), 1, 1<<16),
		between("dropout", s.Dropout, 0, 0.95),
		between("lru_dropout", s.LRUDropout, 0, 0.95),
		between("r_min", s.RMin, 0, 0.9999),
		between("r_max", s.RMax, s.RMin, 0.9999),
	)
}

func (s RetrieverSpec) validateTraining() error {
	return first(
		oneOf("loss", s.Loss, "softmax", "sampled_softmax", "gbce"),
		oneOf("sampling", s.Sampling, "log_uniform", "popularity", "uniform"),
		oneOf("schedule", s.Schedule, "constant", "cosine"),
		s.validateNegatives(),
		between("gbce_calibration", s.GBCECalibration, 0, 1),
		between("batch", float64(s.Batch), 1, 1<<16),
		between("learning_rate", s.LearningRate, 0, 10),
		between("epsilon", s.Epsilon, 0, 1),
		between("weight_decay", s.WeightDecay, 0, 10),
		between("clip", s.ClipNorm, 0, 1e9),
		between("average", s.Average, 0, 0.99999),
		between("warmup_steps", float64(s.Warmup), 0, 1e9),
		between("threads", float64(s.Threads), 0, 256),
	)
}

// validateNegatives checks what the sampled losses need; negatives are left alone where no loss reads them.
func (s RetrieverSpec) validateNegatives() error {
	if s.Loss == "softmax" {
		return nil
	}
	if s.Average != 0 {
		return fail.Usagef("average is %v; the moving average of the weights needs the loss softmax (full)", s.Average)
	}
	return between("negatives", float64(s.Negatives), 1, float64(s.NumItems))
}
