package worker

// Kinds of events, in the order a run sends them.
const (
	// Started tells Steps (the bound), Step (where a resumed run goes on), Sequences (training samples), and in Note
	// why a checkpoint that was found is not resumed.
	Started = "started"
	// Progress tells Step, Loss (mean since the last one), LearningRate, StepsPerSecond and ETASeconds.
	Progress = "progress"
	// Validated tells Step, Metrics ("recall@10", "ndcg@10", …) and Best (whether these weights are the best so far).
	Validated = "validated"
	// Checkpointed tells Step: from here a killed run goes on.
	Checkpointed = "checkpointed"
	// Finished carries Result or Ranker; it is the last event of a run that succeeded.
	Finished = "finished"
	// Failed carries Error and whether it is a Usage error; it is the last event of a run that did not succeed.
	Failed = "failed"
)

// Event is one line of the worker's standard output. Kind tells which other fields are set.
type Event struct {
	Kind           string             `json:"event"`
	Step           int                `json:"step,omitempty"`
	Steps          int                `json:"steps,omitempty"`
	Sequences      int                `json:"sequences,omitempty"`
	Loss           float64            `json:"loss,omitempty"`
	LearningRate   float64            `json:"lr,omitempty"`
	StepsPerSecond float64            `json:"steps_per_second,omitempty"`
	ETASeconds     float64            `json:"eta_seconds,omitempty"`
	Metrics        map[string]float64 `json:"metrics,omitempty"`
	Best           bool               `json:"best,omitempty"`
	Result         *RetrieverResult   `json:"result,omitempty"`
	Ranker         *RankerResult      `json:"ranker,omitempty"`
	Note           string             `json:"note,omitempty"`
	Error          string             `json:"error,omitempty"`
	Usage          bool               `json:"usage,omitempty"`
}

// RetrieverResult is what a finished training tells. The files are in the spec's Out folder.
type RetrieverResult struct {
	// Weights and Config are the paths of retriever.safetensors and retriever.json (the best weights of the run).
	Weights string `json:"weights"`
	Config  string `json:"config"`
	// Steps were made in all; BestStep has the weights that were kept, with the validation metrics in Best.
	Steps    int                `json:"steps"`
	BestStep int                `json:"best_step"`
	Best     map[string]float64 `json:"best"`
	// Reason is why training ended: "max_steps", "max_minutes" or "patience".
	Reason string `json:"reason"`
	// Seconds of training, those before a resume included.
	Seconds float64 `json:"seconds"`
	// PeakBytes is the largest resident memory of the worker.
	PeakBytes int64 `json:"peak_bytes"`
}
