package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/data/source/lines"
)

// measure does one thing in this process and prints seconds, CPU seconds, rows, bytes of text, digest, peak memory.
func measure(what, folder, profile string) error {
	src, err := source.Open(source.Options{Kind: "amazon2014", Path: folder})
	if err != nil {
		return err
	}
	stop, err := startProfile(profile)
	if err != nil {
		return err
	}
	var r result
	file := src.Files()[0]
	if what == "metadata" {
		file = src.Files()[1]
		r, err = readMetadata(src)
	} else {
		r, err = prepareLog(src, folder)
	}
	stop()
	if err != nil {
		return err
	}
	peak := usage().Maxrss * 1024
	if r.bytes, err = textBytes(file); err != nil {
		return err
	}
	fmt.Println(r.seconds, r.cpu, r.rows, r.bytes, r.digest, peak)
	return nil
}

func usage() (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it fails for bad arguments only
	}
	return u
}

// stopwatch measures time and CPU time.
func stopwatch() (stop func() (seconds, cpu float64)) {
	cpu := func() float64 { u := usage(); return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds() }
	start, cpuStart := time.Now(), cpu()
	return func() (float64, float64) { return time.Since(start).Seconds(), cpu() - cpuStart }
}

func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, pprof.StartCPUProfile(f)
}

// readMetadata holds all items in memory, as the reference does.
func readMetadata(src source.Source) (r result, err error) {
	stop := stopwatch()
	var items []source.Item
	var ids []byte // of all items: Item.ID is valid during the call only
	var ends []int
	log := source.Log{Reject: func(bad source.Reject) { err = errors.Join(err, fmt.Errorf("row %d: %w", bad.Row, bad.Reason)) }}
	read := src.Items(context.Background(), log, func(item source.Item) error {
		ids = append(ids, item.ID...)
		ends = append(ends, len(ids))
		items = append(items, item)
		return nil
	})
	r.seconds, r.cpu = stop()
	r.rows = int64(len(items))
	digest, begin := sha256.New(), 0
	for i, item := range items {
		fields := append([]string{string(ids[begin:ends[i]]), item.Title, item.ImageURL}, item.Categories...)
		digest.Write([]byte(strings.Join(fields, "\t") + "\n"))
		begin = ends[i]
	}
	r.digest = hex.EncodeToString(digest.Sum(nil))
	return r, errors.Join(err, read)
}

func prepareLog(src source.Source, folder string) (r result, err error) {
	out := filepath.Join(folder, "tables")
	stop := stopwatch()
	stats, err := prepare.Run(context.Background(), src, prepare.DefaultOptions, out, nil)
	r = result{rows: stats.RawRows, digest: stats.SequencesSHA256}
	r.seconds, r.cpu = stop()
	return r, errors.Join(err, os.RemoveAll(out))
}

// textBytes is the size of a file after decompression.
func textBytes(path string) (int64, error) {
	f, err := lines.Open(path, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, f)
	return n, errors.Join(err, f.Close())
}
