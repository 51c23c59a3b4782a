package metric_test

import (
	"fmt"

	"mllm4rec/data/metric"
)

// Two users: the answer of one is second of three, that of the other is not in the list.
func ExampleMean() {
	var mean metric.Mean
	mean.Add(metric.RankIn([]int32{7, 3, 9}, 3))
	mean.Add(metric.RankIn([]int32{7, 3, 9}, 4))
	for _, v := range mean.Values()[3:6] {
		fmt.Printf("%s@%d %.4f\n", v.Metric, v.K, v.Value)
	}
	// Output:
	// recall@5 0.5000
	// mrr@5 0.2500
	// ndcg@5 0.3155
}
