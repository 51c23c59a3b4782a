package recommend_test

import (
	"context"
	"fmt"
	"log"
	"runtime"

	"mllm4rec/pipeline/recommend"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/serve"
)

// A run folder answers inside another Go program, without a service between. run.Live of pipeline gives the options of a
// recipe, its language model among them.
func Example() {
	backend, err := recommend.Open(context.Background(), recommend.Options{
		Dir: "runs/ml-100k", Name: "ml-100k", K: 20, ORT: ort.Options{Threads: runtime.GOMAXPROCS(0)},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Close()

	history := []serve.Ref{{Source: "50"}, {Source: "181"}} // oldest first
	answer, err := backend.Recommend(context.Background(), serve.RecommendRequest{History: &history, K: 3})
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range answer.Items {
		fmt.Println(item.Rank, item.Title)
	}
}
