package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mllm4rec/data/picture"
	"mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort"
)

// newTokens is how long captions are: random weights end none.
const newTokens = 20

// measured is one measurement: seconds a picture, by the clock.
type measured struct {
	Seconds    float64 `json:"seconds"` // of the whole, files to tokens
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakBytes  int64   `json:"peak_bytes"`
	// Decode and Prepare are one core's; Vision, QFormer and Language are parts of a run of the model, which all threads work on.
	Decode   float64 `json:"decode"`
	Prepare  float64 `json:"prepare"`
	Vision   float64 `json:"vision"`
	QFormer  float64 `json:"qformer"`
	Language float64 `json:"language"`
	// Flops is what this processor reached in a large product, FLOP a CPU second.
	Flops  float64   `json:"flops"`
	Tokens [][]int32 `json:"tokens"`
}

// photographs are the first files of the folder, by name.
func (o options) photographs() ([]string, error) {
	var files []string
	for _, ending := range []string{"*.jpg", "*/*.jpg", "*/*/*.jpg"} {
		found, err := filepath.Glob(filepath.Join(o.pictures, ending))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) < o.count {
		return nil, fmt.Errorf("%s holds %d JPEG files, and %d are wanted: set MLLM4REC_SHARED or -pictures", o.pictures, len(files), o.count)
	}
	slices.Sort(files)
	return files[:o.count], nil
}

// measureOurs captions the photographs with the model of -run, in this process, and prints what reference.py prints.
func measureOurs(ctx context.Context, o options) (err error) {
	files, err := o.photographs()
	if err != nil {
		return err
	}
	m := measured{}
	if m.Flops, err = measurePeak(ctx, o); err != nil {
		return err
	}
	captioner, err := caption.Open(o.run, ort.Options{Library: o.library, Threads: o.threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, captioner.Close()) }()
	if _, err := captionAll(ctx, o, captioner, files[:min(o.batch, len(files))]); err != nil {
		return err
	}
	n := float64(len(files))
	start, used := time.Now(), usage()
	if m.Tokens, err = captionAll(ctx, o, captioner, files); err != nil {
		return err
	}
	m.Seconds, m.CPUSeconds, m.PeakBytes = time.Since(start).Seconds()/n, (cpuSeconds(usage())-cpuSeconds(used))/n, usage().Maxrss<<10
	if m.Decode, m.Prepare, err = measurePreparing(captioner, files); err != nil {
		return err
	}
	if err := m.measureParts(ctx, o, files); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// captionAll goes the whole way: files are decoded while the model is at work on those before.
func captionAll(ctx context.Context, o options, c *caption.Captioner, files []string) ([][]int32, error) {
	var tokens [][]int32
	next, err := prepareAll(c, files[:min(o.batch, len(files))])
	for at := 0; at < len(files); at += o.batch {
		if err != nil {
			return nil, err
		}
		pixels := next
		var group sync.WaitGroup
		var nextErr error
		if from := at + o.batch; from < len(files) {
			group.Go(func() { next, nextErr = prepareAll(c, files[from:min(from+o.batch, len(files))]) })
		}
		ids, runErr := c.Generate(ctx, pixels, caption.Options{MaxTokens: newTokens})
		group.Wait()
		tokens, err = append(tokens, ids...), errors.Join(runErr, nextErr)
	}
	return tokens, err
}

func prepareAll(c *caption.Captioner, files []string) (pixels []float32, err error) {
	for _, file := range files {
		p, err := decode(file)
		if err != nil {
			return nil, err
		}
		if pixels, err = prepare(c, p, pixels); err != nil {
			return nil, err
		}
	}
	return pixels, nil
}

func decode(file string) (*picture.RGB, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return picture.Decode(data)
}

// prepare appends the pixel values of a picture.
func prepare(c *caption.Captioner, p *picture.RGB, pixels []float32) ([]float32, error) {
	wanted := c.Pictures()
	from, n := len(pixels), 3*wanted.Size*wanted.Size
	pixels = slices.Grow(pixels, n)[:from+n]
	return pixels, p.Resize(wanted.Size).Normalise(pixels[from:], doubled(wanted.Mean), doubled(wanted.Std))
}

func doubled(v [3]float32) [3]float64 { return [3]float64{float64(v[0]), float64(v[1]), float64(v[2])} }

// measurePreparing takes the files one by one.
func measurePreparing(c *caption.Captioner, files []string) (decoding, preparing float64, err error) {
	for _, file := range files {
		start := time.Now()
		p, err := decode(file)
		if err != nil {
			return 0, 0, err
		}
		decoded := time.Now()
		if _, err := prepare(c, p, nil); err != nil {
			return 0, 0, err
		}
		decoding, preparing = decoding+decoded.Sub(start).Seconds(), preparing+time.Since(decoded).Seconds()
	}
	n := float64(len(files))
	return decoding / n, preparing / n, nil
}

// measureParts runs a batch under ONNX Runtime's profiler and adds the nodes of each part up.
func (m *measured) measureParts(ctx context.Context, o options, files []string) (err error) {
	dir, err := os.MkdirTemp("", "captioner")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files = files[:min(o.batch, len(files))]
	c, err := caption.Open(o.run, ort.Options{Library: o.library, Threads: o.threads, Profile: filepath.Join(dir, "trace")})
	if err != nil {
		return err
	}
	_, err = captionAll(ctx, o, c, files)
	if err := errors.Join(err, c.Close()); err != nil {
		return err
	}
	traces, err := filepath.Glob(filepath.Join(dir, "trace*"))
	if err != nil || len(traces) != 1 {
		return errors.Join(err, fmt.Errorf("ONNX Runtime wrote %d traces, want one", len(traces)))
	}
	text, err := os.ReadFile(traces[0])
	if err != nil {
		return err
	}
	var events []struct {
		Name         string
		Microseconds float64 `json:"dur"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return err
	}
	each := 1e6 * float64(len(files))
	for _, e := range events {
		node, isNode := strings.CutSuffix(e.Name, "_kernel_time")
		switch {
		case !isNode:
		case strings.HasPrefix(node, "vision/"):
			m.Vision += e.Microseconds / each
		case strings.HasPrefix(node, "qformer/"), strings.HasPrefix(node, "language_projection"):
			m.QFormer += e.Microseconds / each
		case strings.HasPrefix(node, "Loop"):
			m.Language += e.Microseconds / each
		}
	}
	return nil
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

func cpuSeconds(u syscall.Rusage) float64 { return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9 }
