package configs

// Default is every default, in one place. What is not here is zero or empty.
func Default() Config {
	return Config{
		Name: "run",
		Seed: 42,
		Data: Data{
			Source: "movielens", Downloads: "runs/.downloads", TimestampUnit: "s",
			Columns:             Columns{User: "user", Item: "item", Rating: "rating", Timestamp: "timestamp", ItemID: "item"},
			MinUserInteractions: 5, MinItemInteractions: 5,
		},
		Images: Images{
			Parallel: 32, PerHost: 8, TimeoutSeconds: 30, MaxBytes: 16 << 20,
			Placeholders: []string{"62dc61deb353e95e24a0ea690ea3fe2d1c527a8711b7f638633c3a978100b4e1"}, // Amazon's "no image available"
		},
		Captioner: Captioner{MaxTokens: 20, Beams: 1},
		Retriever: Retriever{
			Hidden: 64, Blocks: 2, Dropout: 0.2, LRUDropout: 0.2, MaxLength: 50, Batch: 64, Loss: "full", Negatives: 256, Sampling: "log_uniform", GBCECalibration: 0.75,
			LearningRate: 1e-3, Schedule: "constant", WeightDecay: 0.01, Clip: 5,
			MaxSteps: 100_000, ValidateEvery: 500, Patience: 20, EarlyStop: "recall@10", CheckpointEvery: 500,
		},
		Candidates: Candidates{K: 20},
		Ranker: Ranker{
			Template: "general", Captions: "caption", History: 20, TitleTokens: 32, MaxTokens: 1536,
			Rank: 8, Alpha: 32, Dropout: 0.05, Targets: []string{"q_proj", "v_proj"}, Precision: "fp32", Device: "cpu", Loss: "verbalizer", Negatives: "retriever", Positives: 1,
			LearningRate: 1e-4, Schedule: "constant", WarmupSteps: 100, WeightDecay: 0.01, Clip: 1, Batch: 16, BatchTokens: 2048,
			MaxSteps: 10_000, ValidateEvery: 100, ValidateUsers: 500, Patience: 10, CheckpointEvery: 50,
			Export: "fp32", Order: "retriever", Orders: 1,
		},
		Runtime: Runtime{Providers: []string{"cpu"}},
		Serve: Serve{
			Addr: "127.0.0.1:8080", Queue: 0.5, TimeoutSeconds: 30, ReadSeconds: 10, DrainSeconds: 25,
			CacheBytes: 256 << 20, BodyBytes: 1 << 20, PictureBytes: 16 << 20, Log: "text",
		},
	}
}
