// Command retriever_infer measures batch and single-user inference of the retriever beside plain PyTorch, in one run on
// one machine: the reference's way (scores at all positions), the same with scores at the last position only, and ours
// (the exported ONNX file on ONNX Runtime). Users are the real ones of Amazon Beauty and MovieLens latest-small, weights are
// random: speed does not depend on them. The three must agree on the items before anything is timed.
//
//	go run ./bench/retriever_infer
//
// It needs the data sets (MLLM4REC_SHARED or ../shared) and a Python with torch and numpy (MLLM4REC_PYTHON or python3).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"mllm4rec/bench/beside"
)

// options are the flags.
type options struct {
	beside.Flags
	library, profile string
	users            int
}

// target is what is asked for: users/s over the reference's two ways, and milliseconds for one user with a full history.
type target struct{ overAll, overLast, milliseconds float64 }

var targets = map[string]target{beside.LatestSmall: {20, 3, 2}, beside.Beauty: {40, 5, 1}}

func main() {
	o := options{}
	flag.StringVar(&o.library, "library", "", "ONNX Runtime's shared library")
	flag.IntVar(&o.users, "users", 2048, "users a round, drawn from the data set; 0 is all")
	flag.StringVar(&o.profile, "profile", "", "prefix of ONNX Runtime traces to write")
	o.Parse(`torch and numpy; "none" measures ours alone`)
	err := o.Run(func(ctx context.Context, set beside.Set, dir string) error { return measure(ctx, o, set, dir) })
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "retriever_infer:", err)
		os.Exit(1)
	}
}
