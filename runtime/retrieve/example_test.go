package retrieve_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/retrieve"
)

// library is where ONNX Runtime lies; in a program beside whose binary it lies, Options.Library may be empty.
func library() string {
	if path := os.Getenv(ort.LibraryVariable); path != "" {
		return path
	}
	return "../../.deps/onnxruntime/capi"
}

// A retriever.onnx that a run exported answers what comes next. In a server, where many callers ask for one history each,
// a Batcher runs together what comes at once.
func Example() {
	model, err := retrieve.Open("../ort/testdata/tiny.onnx", ort.Options{Library: library(), Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	// Histories are ids of items.parquet, oldest first.
	lists, err := model.TopK(context.Background(), [][]int32{{3, 9, 4}, {12}}, 5)
	if err != nil {
		log.Fatal(err)
	}
	for _, list := range lists {
		fmt.Println(list.Items)
	}

	batcher := retrieve.NewBatcher(model, nil)
	defer batcher.Close()
	one, err := batcher.TopK(context.Background(), []int32{3, 9, 4}, 5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(one.Items)
	// Output:
	// [24 6 5 7 10]
	// [14 24 17 28 23]
	// [24 6 5 7 10]
}
