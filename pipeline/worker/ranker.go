package worker

import (
	"slices"

	"mllm4rec/internal/fail"
)

// RankerSpec says what language model to fine-tune, on what, and how. It is the JSON file that mllm4rec-train reads; the
// defaults are those of DefaultRanker (LlamaRec, arXiv 2311.02089, and its published code).
type RankerSpec struct {
	// Base is the model: a Hugging Face folder or a .gguf file. Tokenizer is the folder or file with its vocabulary; empty
	// means Base.
	Base      string `json:"base"`
	Tokenizer string `json:"tokenizer,omitempty"`
	// Init is the folder of a peft adapter of the same base to start from; empty means from nothing. Its rank, alpha and
	// targets take the place of those below.
	Init string `json:"init,omitempty"`
	// Out is the folder that receives adapter/, train_log.jsonl, tensorboard/ and checkpoint/. A checkpoint found there is
	// resumed when it was made by the same spec.
	Out string `json:"out"`

	// Sequences, Items and Captions (empty: titles only) are the tables that prompts are made of.
	Sequences string `json:"sequences"`
	Items     string `json:"items"`
	Captions  string `json:"captions,omitempty"`
	// CaptionsOnly puts captions in the place of titles, where there are any.
	CaptionsOnly bool `json:"captions_only,omitempty"`
	// Validation is candidates.parquet: validation ranks each user's retrieved candidates of the split "val". Users whose answer
	// was not retrieved are left out. ValidationUsers bounds how many take part, drawn by the seed; 0 means all.
	Validation      string `json:"validation"`
	ValidationUsers int    `json:"validation_users"`

	// Template is a prompt template's name or file; empty means the default one.
	Template string `json:"template,omitempty"`
	// History is how many of a user's last items a prompt lists, TextTokens bounds an item's title and its caption, PromptTokens
	// the whole prompt.
	History      int `json:"history"`
	TextTokens   int `json:"title_tokens"`
	PromptTokens int `json:"max_tokens"`
	// Candidates counts the lettered items of a training prompt, the answers among them.
	Candidates int `json:"candidates"`
	// Positives counts the right answers of a training prompt, which share the target: the item that came next, and those that
	// followed it. The papers have 1; more teach more a prompt. The loss causal takes 1 only.
	Positives int `json:"positives"`
	// Negatives is where the others come from: "random", "retriever" (its own top items at that position, from
	// NegativesTable), "mixed" (half and half), or "retrieved": the candidates are the retriever's list, as at inference, and
	// prompts without a right answer in it are left out.
	Negatives      string `json:"negatives"`
	NegativesTable string `json:"negatives_table,omitempty"`
	// Rehearsal is how many steps it takes until no prompt has its right answers at the end of the history too; at first all have.
	// Finding them again teaches a small model that a letter stands for the title beside it, without which it learns nothing.
	Rehearsal int `json:"rehearsal_steps"`
	// Order is that of the candidates in validations, which is the one at inference: "retriever" or "shuffled" (by seed and
	// user). Training always shuffles them.
	Order string `json:"order"`

	// Targets are the linear layers that get adapters: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.
	Targets []string `json:"targets"`
	// Rank, Alpha and Dropout are LoRA's (arXiv 2106.09685).
	Rank    int     `json:"rank"`
	Alpha   float64 `json:"alpha"`
	Dropout float64 `json:"dropout"`
	// Precision is how the base is held: "fp32", "bf16", "int8" or "nf4" (QLoRA, arXiv 2305.14314).
	Precision string `json:"precision"`
	// Loss is "verbalizer" (softmax over the letters alone) or "causal" (the letter and the end of text over the vocabulary).
	Loss string `json:"loss"`

	// Batch counts the prompts of a step. A micro-batch holds as many of them as fit into MicroTokens.
	Batch       int `json:"batch"`
	MicroTokens int `json:"batch_tokens"`
	// ActivationBytes bounds the memory for what the backward pass needs; layers that do not fit are computed twice. 0 means
	// no bound.
	ActivationBytes int64 `json:"activation_bytes"`
	// LearningRate is AdamW's peak rate, reached after Warmup steps of linear growth; Schedule is "constant" or "cosine" (down
	// to zero at MaxSteps).
	LearningRate float64 `json:"learning_rate"`
	Warmup       int     `json:"warmup_steps"`
	Schedule     string  `json:"schedule"`
	WeightDecay  float64 `json:"weight_decay"`
	// ClipNorm bounds the gradient's norm; 0 means no bound.
	ClipNorm float64 `json:"clip"`
	// Bounds' Metric is "ndcg@10", "mrr@10" or "recall@1", over the users whose answer was retrieved.
	Bounds

	// Seed fixes adapters, order, candidates and dropout: the same seed and threads give the same bits.
	Seed int64 `json:"seed"`
	// Threads is how many cores the training uses; 0 means all.
	Threads int `json:"threads"`
	// Device is "cpu" or "cuda": the GPU that GPU numbers as nvidia-smi does.
	Device string `json:"device,omitempty"`
	GPU    int    `json:"gpu,omitempty"`
}

// RankerTargets are the linear layers that can have adapters.
var RankerTargets = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// DefaultRanker is the published LlamaRec with the verbalizer's loss; base, tables and folder are the caller's.
func DefaultRanker() RankerSpec {
	return RankerSpec{
		History: 20, TextTokens: 32, PromptTokens: 1536, Candidates: 20, Positives: 1, Negatives: "random", Order: "retriever",
		Targets: []string{"q_proj", "v_proj"}, Rank: 8, Alpha: 32, Dropout: 0.05, Precision: "fp32", Loss: "verbalizer", Device: "cpu",
		Batch: 16, MicroTokens: 2048, LearningRate: 1e-4, Warmup: 100, Schedule: "constant", ClipNorm: 1,
		Bounds: Bounds{MaxSteps: 10_000, ValidateEvery: 100, Patience: 10, Metric: "ndcg@10", CheckpointEvery: 25, LogEvery: 1},
		Seed:   42,
	}
}

// Validate names the first field that no training can use.
func (s RankerSpec) Validate() error {
	for field, value := range map[string]string{"base": s.Base, "out": s.Out, "sequences": s.Sequences, "items": s.Items, "validation": s.Validation} {
		if value == "" {
			return fail.Usagef("ranker: %s must be set", field)
		}
	}
	return within("ranker", first(s.validatePrompts(), s.validateModel(), s.validateTraining(), s.Bounds.validate("ndcg@10", "mrr@10", "recall@1")))
}

func (s RankerSpec) validatePrompts() error {
	if s.Negatives != "random" && s.NegativesTable == "" {
		return fail.Usagef("negatives is %q; that needs negatives_table", s.Negatives)
	}
	if s.Loss == "causal" && s.Positives != 1 {
		return fail.Usagef("positives is %d; the loss causal takes 1", s.Positives)
	}
	if s.Negatives == "retrieved" && s.Rehearsal > 0 {
		return fail.Usagef("rehearsal_steps is %d; negatives retrieved takes none", s.Rehearsal)
	}
	return first(
		between("history", float64(s.History), 1, 1000),
		between("title_tokens", float64(s.TextTokens), 1, 4096),
		between("max_tokens", float64(s.PromptTokens), 32, 1<<17),
		between("candidates", float64(s.Candidates), 2, 52),
		between("positives", float64(s.Positives), 1, float64(s.Candidates-1)),
		between("validation_users", float64(s.ValidationUsers), 0, 1e9),
		oneOf("negatives", s.Negatives, "random", "retriever", "mixed", "retrieved"),
		oneOf("order", s.Order, "retriever", "shuffled"),
	)
}

func (s RankerSpec) validateModel() error {
	if len(s.Targets) == 0 {
		return fail.Usagef("targets is empty; it must name linear layers out of %q", RankerTargets)
	}
	for _, target := range s.Targets {
		if !slices.Contains(RankerTargets, target) {
			return fail.Usagef("targets names %q; there are %q", target, RankerTargets)
		}
	}
	return first(
		between("rank", float64(s.Rank), 1, 1024),
		between("alpha", s.Alpha, 1e-6, 1e6),
		between("dropout", s.Dropout, 0, 0.95),
		oneOf("precision", s.Precision, "fp32", "bf16", "int8", "nf4"),
		oneOf("loss", s.Loss, "verbalizer", "causal"),
	)
}

func (s RankerSpec) validateTraining() error {
	return first(
		between("batch", float64(s.Batch), 1, 1<<16),
		between("batch_tokens", float64(s.MicroTokens), 1, 1<<20),
		between("activation_bytes", float64(s.ActivationBytes), 0, 1<<50),
		between("learning_rate", s.LearningRate, 0, 10),
		between("warmup_steps", float64(s.Warmup), 0, 1e9), between("rehearsal_steps", float64(s.Rehearsal), 0, 1e9),
		oneOf("schedule", s.Schedule, "constant", "cosine"),
		between("weight_decay", s.WeightDecay, 0, 10),
		between("clip", s.ClipNorm, 0, 1e9),
		between("threads", float64(s.Threads), 0, 256),
		oneOf("device", s.Device, "cpu", "cuda"),
	)
}

// RankerResult tells of a finished training. The files are in the spec's Out folder.
type RankerResult struct {
	// Adapter is the folder with adapter_model.safetensors and adapter_config.json (the best weights of the run).
	Adapter string `json:"adapter"`
	// Steps were made in all; BestStep has the weights that were kept, with the validation metrics in Best. BestStep 0 means
	// that training never got better than what it began with.
	Steps    int                `json:"steps"`
	BestStep int                `json:"best_step"`
	Best     map[string]float64 `json:"best"`
	// Samples were seen in training, of SamplesInAll; ValidationUsers took part in validations.
	Samples         int `json:"samples"`
	SamplesInAll    int `json:"samples_in_all"`
	ValidationUsers int `json:"validation_users"`
	// Truncated counts what the prompts of this process's part had to lose.
	Truncated map[string]int `json:"truncated,omitempty"`
	// Reason is why training ended: "max_steps", "max_minutes" or "patience".
	Reason string `json:"reason"`
	// Seconds of training, those before a resume included.
	Seconds float64 `json:"seconds"`
	// PeakBytes is the largest resident memory of the worker.
	PeakBytes int64 `json:"peak_bytes"`
}
