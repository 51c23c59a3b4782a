package serve

// Observer is told by a Backend what only it sees, for the metrics. Its functions are never nil, take microseconds and may
// be called from several goroutines at once.
type Observer struct {
	// Batch is called for each run of the retriever, and for each round of the ranker in a request: how many histories or prompts
	// it held, and how many items or tokens.
	Batch func(model string, requests, tokens int)
	// Cache is called for each look into a cache: how many entries were there, and how many were not.
	Cache func(cache string, hits, misses int)
}
