package ort

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
)

func TestSettingsOfTheProviders(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "engines", "of", "mine")
	d := Device{ID: 2, MemoryBytes: 3 << 30, Cache: dir, FP16: true}
	ranges := []Range{{"items", []int{1, 8}, []int{64, 64}, []int{512, 4096}}, {"lengths", []int{1}, []int{64}, []int{512}}}
	want := map[string]string{"device_id": "2", "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0", "gpu_mem_limit": "3221225472"}
	if got := d.cuda(); !maps.Equal(got, want) {
		t.Errorf("cuda: %v", got)
	}
	want = map[string]string{
		"device_id": "2", "trt_fp16_enable": "1", "trt_int8_enable": "0", "trt_max_workspace_size": "3221225472",
		"trt_engine_cache_enable": "1", "trt_engine_cache_path": dir, "trt_timing_cache_enable": "1", "trt_timing_cache_path": dir,
		"trt_profile_min_shapes": "items:1x8,lengths:1", "trt_profile_opt_shapes": "items:64x64,lengths:64", "trt_profile_max_shapes": "items:512x4096,lengths:512",
	}
	if got, err := d.tensorRT(ranges); err != nil || !maps.Equal(got, want) {
		t.Errorf("tensorrt: %v, %v", got, err)
	}
}

func TestACacheThatCannotBeIsNotPassedOver(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (Device{Cache: filepath.Join(file, "engines")}).tensorRT(nil); err == nil || !strings.Contains(err.Error(), "runtime.tensorrt_cache: mkdir "+file) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSettingsOfNothingAreFew(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "") // no cache folder
	want := map[string]string{"device_id": "0", "trt_fp16_enable": "0", "trt_int8_enable": "0"}
	if got, err := (Device{}).tensorRT(nil); err != nil || !maps.Equal(got, want) {
		t.Errorf("tensorrt: %v, %v", got, err)
	}
	if got := (Device{}).cuda(); got["gpu_mem_limit"] != "" || got["device_id"] != "0" {
		t.Errorf("cuda: %v", got)
	}
}

func TestSettingsWithoutTheirProviderAreTold(t *testing.T) {
	t.Parallel()
	all := Device{ID: 1, MemoryBytes: 1, Cache: "c", FP16: true, INT8: true}
	for _, c := range []struct {
		device    Device
		providers []string
		want      string
	}{
		{Device{}, []string{"cpu"}, ""},
		{all, []string{"tensorrt", "cpu"}, ""},
		{all, []string{"cuda", "cpu"}, "tensorrt_cache tensorrt_fp16 tensorrt_int8"},
		{all, []string{"cpu"}, "device memory_bytes tensorrt_cache tensorrt_fp16 tensorrt_int8"},
	} {
		var names []string
		for _, line := range c.device.unused(c.providers) {
			name, rest, _ := strings.Cut(strings.TrimPrefix(line, "runtime."), " ")
			names = append(names, name)
			if !strings.Contains(rest, "has no effect") || !strings.HasSuffix(rest, strings.Join(c.providers, ", ")) {
				t.Errorf("%q", line)
			}
		}
		if !slices.Equal(names, strings.Fields(c.want)) {
			t.Errorf("%v on %v: %q", c.device, c.providers, names)
		}
	}
}

func TestDevicesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, d := range []Device{{ID: -1}, {MemoryBytes: -1}} {
		if _, err := Open("testdata/tiny.onnx", Options{Device: d}); !fail.IsUsage(err) {
			t.Errorf("%+v: %v", d, err)
		}
		if err := Check(Options{Device: d}); err == nil {
			t.Errorf("%+v is taken", d)
		}
	}
}
