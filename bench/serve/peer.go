package main

import (
	"context"
	"encoding/json"
	"path/filepath"
)

// startPeer starts peer.py with the run's retriever and the language model that its ranker was made of, in float32 and
// without an adapter, which costs nothing once it is merged.
func startPeer(ctx context.Context, o options, alone *bare, dir string) (*service, error) {
	gguf, letters := "", "[]"
	if alone.ranker != nil {
		gguf = alone.ranker.Tokenizer
		text, err := json.Marshal(alone.ranker.Ranker().LetterTokens())
		if err != nil {
			return nil, err
		}
		letters = string(text)
	}
	return start(ctx, dir, o.python, filepath.Join("bench", "serve", "peer.py"), filepath.Join(o.run, "retriever.safetensors"), gguf, letters)
}

// peerBodies ask the peer for the order of a prompt's letters.
func peerBodies(texts []string) (all [][]byte) {
	for _, text := range texts {
		body, _ := json.Marshal(map[string]any{"prompt": text})
		all = append(all, body)
	}
	return all
}
