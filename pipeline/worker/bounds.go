package worker

// Bounds say how long a training goes on and how often it stops to look.
type Bounds struct {
	// MaxSteps and MaxMinutes end the training; MaxMinutes 0 means no bound. A resumed run counts the minutes before.
	MaxSteps   int     `json:"max_steps"`
	MaxMinutes float64 `json:"max_minutes"`
	// ValidateEvery is in steps. Training ends after Patience validations without a better Metric; Patience 0 means never.
	// The best weights are kept.
	ValidateEvery int    `json:"validate_every"`
	Patience      int    `json:"patience"`
	Metric        string `json:"metric"`
	// CheckpointEvery is in steps; 0 means only at validations and when the run is told to stop.
	CheckpointEvery int `json:"checkpoint_every"`
	// LogEvery is the number of steps between two lines of train_log.jsonl.
	LogEvery int `json:"log_every"`
}

func (b Bounds) validate(metrics ...string) error {
	return first(
		oneOf("metric", b.Metric, metrics...),
		between("max_steps", float64(b.MaxSteps), 1, 1e9),
		between("max_minutes", b.MaxMinutes, 0, 1e6),
		between("validate_every", float64(b.ValidateEvery), 1, 1e9),
		between("patience", float64(b.Patience), 0, 1e9),
		between("checkpoint_every", float64(b.CheckpointEvery), 0, 1e9),
		between("log_every", float64(b.LogEvery), 1, 1e9),
	)
}
