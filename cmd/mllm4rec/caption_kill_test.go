package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/pipeline/caption"
	"mllm4rec/runtime/ort/orttest"
)

// TestKilledCaptioningEndsAsUnbroken kills the command with SIGKILL at random moments and gives it again until it ends.
func TestKilledCaptioningEndsAsUnbroken(t *testing.T) {
	t.Parallel()
	library, dir := orttest.Options(t).Library, t.TempDir()
	if err := blip2test.Write(filepath.Join(dir, "blip"), 1); err != nil {
		t.Fatal(err)
	}
	export := caption.ExportOptions{Model: filepath.Join(dir, "blip"), Out: filepath.Join(dir, "c.onnx"), Precision: matrix.FP32}
	if _, err := caption.Export(t.Context(), export); err != nil {
		t.Fatal(err)
	}
	if err := writePictures(filepath.Join(dir, "photos"), 120); err != nil {
		t.Fatal(err)
	}
	// run captions, and kills after a while (0: never). It reports whether the kill came before the end.
	run := func(out string, after time.Duration) (killed bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "caption", "--model", "c.onnx", "--images", "photos", "--out", out, "--batch", "2", "--set", "runtime.threads=1")
		cmd.Args[0], cmd.Dir = "mllm4rec", dir
		if library != "" {
			cmd.Env = append(os.Environ(), "MLLM4REC_ORT_LIBRARY="+library)
		}
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if after > 0 {
			timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
		err := cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && ctx.Err() == nil && after > 0 {
			return true
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, output.String())
		}
		return false
	}
	files := func(out string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, out))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	start := time.Now()
	run("unbroken.parquet", 0)
	whole := time.Since(start)
	seed := uint64(time.Now().UnixNano())
	random, kills := rand.New(rand.NewPCG(seed, 0)), 0
	// The moments grow later with every kill, so that a machine that is busier than at first gets to the end, too.
	for limit := whole; run("killed.parquet", 1+time.Duration(random.Int64N(int64(limit)))); limit += whole / 10 {
		kills++
	}
	t.Logf("%d kills, seed %d, a whole run takes %v", kills, seed, whole)
	if !bytes.Equal(files("killed.parquet"), files("unbroken.parquet")) {
		t.Errorf("seed %d: after %d kills the table differs from the unbroken run's", seed, kills)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.parquet.*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
