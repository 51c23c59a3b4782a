package lrurec

import (
	"context"
	"fmt"

	"mllm4rec/data/metric"
	"mllm4rec/pipeline/train/torch"
)

// validator ranks every user's validation item among the whole catalogue, the history not excluded.
type validator struct {
	model  *Model
	data   *sequences
	rows   int           // positions that fit into a batch
	last   *torch.Matrix // [users, hidden]
	scores *torch.Matrix // [users, items+1]
	labels []int32
	rank   []int32
	batch  Batch
}

func newValidator(m *Model, data *sequences, rows int) *validator {
	users := min(512, max(1, 8*chunkFloats/(m.Items+1)))
	return &validator{model: m, data: data, rows: rows, last: m.scratch(users, m.Hidden), scores: m.scratch(users, m.Items+1), rank: make([]int32, users)}
}

// run returns "recall@10", "ndcg@10" and the like, means over users.
func (v *validator) run(ctx context.Context) (map[string]float64, error) {
	var mean metric.Mean
	capacity := len(v.rank)
	for next := 0; next < len(v.data.checks); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next = v.collect(next, capacity)
		v.rankBatch()
		for i := range v.labels {
			mean.Add(int(v.rank[i]) + 1)
		}
	}
	values := map[string]float64{}
	for _, value := range mean.Values() {
		values[fmt.Sprintf("%s@%d", value.Metric, value.K)] = value.Value
	}
	return values, v.model.engine.Err()
}

// collect packs checks from next on into the batch, as many as fit, and returns the first that did not.
func (v *validator) collect(next, users int) int {
	b := &v.batch
	b.Items, b.Starts, v.labels = b.Items[:0], append(b.Starts[:0], 0), v.labels[:0]
	for ; next < len(v.data.checks) && len(v.labels) < users; next++ {
		c := v.data.checks[next]
		if len(b.Items)+c.to-c.from > v.rows {
			break
		}
		b.Items = append(b.Items, v.data.items[c.from:c.to]...)
		b.Starts = append(b.Starts, int32(len(b.Items)))
		v.labels = append(v.labels, c.label)
	}
	return next
}

func (v *validator) rankBatch() {
	m, d := v.model, v.model.Hidden
	hidden := m.forward(v.batch, m.keepAll())
	v.last.SetRows(len(v.labels))
	v.scores.SetRows(len(v.labels))
	if m.engine.Err() != nil {
		return
	}
	for i := range v.labels {
		end := int(v.batch.Starts[i+1])
		copy(v.last.Data[i*d:(i+1)*d], hidden.Data[(end-1)*d:end*d])
	}
	m.engine.Product(v.scores, v.last.N(), m.table.T())
	ranks(v.scores, m.itemBias, v.labels, v.rank)
}
