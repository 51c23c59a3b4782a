package weights_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// sharded writes tensors a and b into one shard, c into another, and an index, which edit may change before.
func sharded(t *testing.T, edit func(dir string, index map[string]string)) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, tensors ...string) {
		var all []weights.Tensor
		for i, tensor := range tensors {
			all = append(all, weights.FromFloat32(tensor, []int64{2}, []float32{float32(i), 5}))
		}
		if err := weights.Write(filepath.Join(dir, name), all, nil); err != nil {
			t.Fatal(err)
		}
	}
	write("1.safetensors", "a", "b")
	write("2.safetensors", "c")
	index := map[string]string{"a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"}
	edit(dir, index)
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 24}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, weights.IndexName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShardsReadAsOneFile(t *testing.T) {
	t.Parallel()
	f, err := weights.OpenFolder(sharded(t, func(string, map[string]string) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values, shape, err := f.Float32("b")
	if err != nil || !slices.Equal(values, []float32{1, 5}) || !slices.Equal(shape, []int64{2}) || !slices.Equal(f.Names(), []string{"a", "b", "c"}) {
		t.Errorf("%v %v %v %v", f.Names(), values, shape, err)
	}
	err = f.View("c", func(raw []byte) error {
		if len(raw) != 8 {
			t.Errorf("%d bytes", len(raw))
		}
		return nil
	})
	if info, infoErr := f.Info("c"); err != nil || infoErr != nil || info.DType != weights.F32 {
		t.Error(info, err, infoErr)
	}
	if _, _, err := f.Float32("d"); !fail.IsUsage(err) || !strings.Contains(err.Error(), `no tensor "d"`) {
		t.Error(err)
	}
}

func TestUnsoundShardsAreRefusedByName(t *testing.T) {
	t.Parallel()
	none := func(string, map[string]string) {}
	remove := func(name string) func(string, map[string]string) {
		return func(dir string, _ map[string]string) { os.Remove(filepath.Join(dir, name)) }
	}
	for _, c := range []struct {
		name, want string
		edit       func(dir string, index map[string]string)
	}{
		{"missing shard", "shard 2.safetensors is missing", remove("2.safetensors")},
		{"renamed shard", "shard 2.safetensors is missing", func(dir string, _ map[string]string) {
			os.Rename(filepath.Join(dir, "2.safetensors"), filepath.Join(dir, "3.safetensors"))
		}},
		{"truncated shard", "2.safetensors: not a sound safetensors file: the tensors take 8 bytes, the file holds 7", func(dir string, _ map[string]string) {
			path := filepath.Join(dir, "2.safetensors")
			stat, _ := os.Stat(path)
			os.Truncate(path, stat.Size()-1)
		}},
		{"tensor in no shard", `tensor "d" should be in 2.safetensors, it is in no shard`, func(_ string, index map[string]string) { index["d"] = "2.safetensors" }},
		{"tensor in another shard", `tensor "b" should be in 2.safetensors, it is in 1.safetensors`, func(_ string, index map[string]string) { index["b"] = "2.safetensors" }},
		{"tensor that the index lacks", `does not list tensor "b" of 1.safetensors`, func(_ string, index map[string]string) { delete(index, "b") }},
		{"tensor in two shards", `tensor "c" is in 2.safetensors and in 3.safetensors`, func(dir string, index map[string]string) {
			text, _ := os.ReadFile(filepath.Join(dir, "2.safetensors"))
			os.WriteFile(filepath.Join(dir, "3.safetensors"), text, 0o600)
			index["d"] = "3.safetensors"
		}},
		{"shard outside", `"../1.safetensors" is not the name of a file beside it`, func(_ string, index map[string]string) { index["a"] = "../1.safetensors" }},
		{"shard at a place of its own", `"/etc/passwd" is not the name`, func(_ string, index map[string]string) { index["a"] = "/etc/passwd" }},
		{"shard in a folder below", `"x/1.safetensors" is not the name`, func(_ string, index map[string]string) { index["a"] = "x/1.safetensors" }},
		{"the folder itself as shard", `".." is not the name`, func(_ string, index map[string]string) { index["a"] = ".." }},
		{"empty name", `"" is not the name`, func(_ string, index map[string]string) { index["a"] = "" }},
		{"empty index", "lists no tensor", func(_ string, index map[string]string) { clear(index) }},
		{"sound", "", none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := weights.OpenFolder(sharded(t, c.edit))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !fail.IsUsage(err) {
				t.Fatalf("%v; want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestFolderWithoutWeightsSaysWhatItLooksFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := weights.OpenFolder(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), "neither model.safetensors nor model.safetensors.index.json") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, weights.IndexName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.OpenFolder(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), "unexpected end of JSON") {
		t.Error(err)
	}
}
