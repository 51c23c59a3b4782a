package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"

	"mllm4rec/data/table"
	"mllm4rec/pipeline/retrieve"
)

// questions are what both the service and the bare models are asked: the histories of real users of the run, and the
// retriever's candidates for them.
type questions struct{ histories, candidates [][]int32 }

// drawn is how many users are asked for.
const drawn = 512

func readQuestions(dir string) (q questions, err error) {
	rows, err := table.ReadAll[table.Sequence](filepath.Join(dir, "sequences.parquet"))
	if err != nil {
		return q, err
	}
	lists, err := table.ReadAll[table.Candidates](filepath.Join(dir, "candidates.parquet"))
	if err != nil {
		return q, err
	}
	of := map[int32][]int32{}
	for _, list := range lists {
		of[list.UserID] = list.Items // of the last split, which is the test's
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for _, row := range rows[:min(drawn, len(rows))] {
		if len(of[row.UserID]) > 0 {
			q.histories = append(q.histories, retrieve.History(row, retrieve.Test))
			q.candidates = append(q.candidates, of[row.UserID])
		}
	}
	return q, nil
}

// retrieves are the requests for the retriever alone.
func (q questions) retrieves(base string) (all [][]byte) {
	for _, history := range q.histories {
		body, _ := json.Marshal(map[string]any{"history": history, "k": topK})
		all = append(all, requestOf(base, "/v1/retrieve", body))
	}
	return all
}

// rankBodies are the bodies of requests for the language model.
func (q questions) rankBodies() (all [][]byte) {
	for i, history := range q.histories {
		body, _ := json.Marshal(map[string]any{"history": history, "candidates": q.candidates[i]})
		all = append(all, body)
	}
	return all
}
