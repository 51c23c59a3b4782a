package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort/modelfile"
)

// Device is what the providers cuda and tensorrt are told. The zero value takes the first GPU and as much of its memory as a
// model needs, and keeps TensorRT's engines in the user's cache folder.
type Device struct {
	// ID is the GPU's number, as nvidia-smi counts.
	ID int
	// MemoryBytes bounds the provider's arena, and TensorRT's workspace; 0 does not. A model that needs more fails.
	MemoryBytes int64
	// Cache is the folder of TensorRT's engines and timings; empty is one in the user's cache folder.
	Cache string
	// FP16 and INT8 let TensorRT compute in fewer bits than the model file says. INT8 needs a graph that says how to quantise.
	FP16, INT8 bool
}

// Range is what the shape of an input may be: at least Min, at most Max, mostly Opt. TensorRT builds an engine for it; one for all
// lengths, since ONNX Runtime hands on one a tensor (microsoft/onnxruntime issue 23965).
type Range struct {
	Input         string
	Min, Opt, Max []int
}

func checkDevice(d Device) error {
	switch {
	case d.ID < 0:
		return fail.Usagef("device %d: GPUs are numbered from 0", d.ID)
	case d.MemoryBytes < 0:
		return fail.Usagef("%d bytes of GPU memory: give a limit, or 0 for none", d.MemoryBytes)
	}
	return nil
}

// unused tells which settings nobody takes on these providers, a line each.
func (d Device) unused(providers []string) (lines []string) {
	tensorRT := slices.Contains(providers, "tensorrt")
	gpu := tensorRT || slices.Contains(providers, "cuda")
	for _, s := range []struct {
		set, used   bool
		name, needs string
	}{
		{d.ID != 0, gpu, "device", "cuda or tensorrt"}, {d.MemoryBytes != 0, gpu, "memory_bytes", "cuda or tensorrt"},
		{d.Cache != "", tensorRT, "tensorrt_cache", "tensorrt"}, {d.FP16, tensorRT, "tensorrt_fp16", "tensorrt"}, {d.INT8, tensorRT, "tensorrt_int8", "tensorrt"},
	} {
		if s.set && !s.used {
			lines = append(lines, fmt.Sprintf("runtime.%s has no effect: it is for %s, and runtime.providers is %s", s.name, s.needs, strings.Join(providers, ", ")))
		}
	}
	return lines
}

// cuda are the provider's settings. The arena grows by what is asked for: doubling it, the default, fails on cards that others use
// too. TF32 is off: a model in fp32 gives what it gives on the CPU, and who wants speed exports fp16.
func (d Device) cuda() map[string]string {
	settings := map[string]string{"device_id": strconv.Itoa(d.ID), "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
	if d.MemoryBytes > 0 {
		settings["gpu_mem_limit"] = strconv.FormatInt(d.MemoryBytes, 10)
	}
	return settings
}

// tensorRT are the provider's settings. Engines take minutes to build, and are kept.
func (d Device) tensorRT(ranges []Range) (map[string]string, error) {
	settings := map[string]string{"device_id": strconv.Itoa(d.ID), "trt_fp16_enable": digit(d.FP16), "trt_int8_enable": digit(d.INT8)}
	if d.MemoryBytes > 0 {
		settings["trt_max_workspace_size"] = strconv.FormatInt(d.MemoryBytes, 10)
	}
	dir, err := d.cache()
	if err != nil {
		return nil, fmt.Errorf("runtime.tensorrt_cache: %w", err)
	}
	if dir != "" {
		settings["trt_engine_cache_enable"], settings["trt_engine_cache_path"] = "1", dir
		settings["trt_timing_cache_enable"], settings["trt_timing_cache_path"] = "1", dir
	}
	if len(ranges) > 0 {
		settings["trt_profile_min_shapes"] = shapes(ranges, func(r Range) []int { return r.Min })
		settings["trt_profile_opt_shapes"] = shapes(ranges, func(r Range) []int { return r.Opt })
		settings["trt_profile_max_shapes"] = shapes(ranges, func(r Range) []int { return r.Max })
	}
	return settings, nil
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// shapes writes "items:1x8,lengths:1".
func shapes(ranges []Range, of func(Range) []int) string {
	var all []string
	for _, r := range ranges {
		var dims []string
		for _, d := range of(r) {
			dims = append(dims, strconv.Itoa(d))
		}
		all = append(all, r.Input+":"+strings.Join(dims, "x"))
	}
	return strings.Join(all, ",")
}

// cache makes the folder, since TensorRT's provider makes no parents. Where none was named and there can be none it is "".
func (d Device) cache() (dir string, err error) {
	if d.Cache != "" {
		return d.Cache, os.MkdirAll(d.Cache, 0o755)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", nil
	}
	dir = filepath.Join(user, "mllm4rec", "tensorrt")
	if os.MkdirAll(dir, 0o755) != nil {
		return "", nil
	}
	return dir, nil
}

// ranges are those of the model's inputs, where TensorRT asks.
func (o Options) ranges(info *modelfile.Info) []Range {
	if o.Ranges == nil || info == nil {
		return nil
	}
	return o.Ranges(info)
}
