package llama

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
)

func TestAdapterOfPeftIsRead(t *testing.T) {
	t.Parallel()
	for _, name := range goldens {
		g := openGolden(t, name)
		targets := []string{"q_proj", "v_proj"}
		if name == "llama-tied-mha" {
			targets = LinearNames()
		}
		a := g.adapter
		if a.Rank != 8 || a.Alpha != 32 || a.Scale() != 4 || a.Base != "" || !slices.Equal(a.Targets(), targets) || len(a.Pairs) != 2*len(targets) {
			t.Errorf("%s: rank %d, alpha %v, scale %v, base %q, %d pairs at %v", name, a.Rank, a.Alpha, a.Scale(), a.Base, len(a.Pairs), a.Targets())
		}
		if err := a.Fits(g.ck); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRankStabilisedScaleDividesByTheRoot(t *testing.T) {
	t.Parallel()
	if a := (&Adapter{Rank: 16, Alpha: 32, RankStabilised: true}); a.Scale() != 8 {
		t.Errorf("scale %v", a.Scale())
	}
}

func TestAdapterComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	g := openGolden(t, "llama-tied-mha")
	for _, dtype := range []weights.DType{weights.F32, weights.BF16, weights.F16} {
		a := *g.adapter
		a.Base, a.Dropout, a.RankStabilised = g.ck.Fingerprint(), 0.05, dtype == weights.F16
		a.Metadata = map[string]string{"mllm4rec.seed": "42", "mllm4rec.letters": "330 347"}
		dir := filepath.Join(t.TempDir(), "adapter")
		if err := a.Write(dir, "some/model", dtype); err != nil {
			t.Fatal(err)
		}
		got := testkit.Must(ReadAdapter(dir))(t)
		for module, pair := range a.Pairs {
			for i, v := range pair.B {
				if d := math.Abs(float64(got.Pairs[module].B[i] - v)); !(d <= math.Abs(float64(v))/256) {
					t.Fatalf("%s: %s, B[%d] is %v, was %v", dtype, module, i, got.Pairs[module].B[i], v)
				}
			}
		}
		if dtype == weights.F32 {
			if !reflect.DeepEqual(got, &a) || got.fingerprint() != a.fingerprint() {
				t.Errorf("got %+v, want %+v", got, a)
			}
		}
		got.Pairs, a.Pairs = nil, nil
		if !reflect.DeepEqual(*got, a) {
			t.Errorf("%s: got %+v, want %+v", dtype, *got, a)
		}
		if err := got.Fits(g.ck); err != nil {
			t.Error(err)
		}
	}
}

func TestAdapterOfAnotherBaseIsRefused(t *testing.T) {
	t.Parallel()
	g, tied := openGolden(t, "llama"), openGolden(t, "llama-tied-mha")
	for _, c := range []struct {
		name   string
		change func(a *Adapter)
		want   string
	}{
		{"by the fingerprint", func(a *Adapter) { a.Base = tied.ck.Fingerprint() }, "was trained on another base"},
		{"by the sizes", func(a *Adapter) { a.Pairs = tied.adapter.Pairs }, "self_attn.k_proj maps 32 to 32, the model's 32 to 16: it belongs to another base"},
		{"by a layer", func(a *Adapter) {
			a.Pairs = map[string]Pair{"model.layers.2.self_attn.q_proj": a.Pairs["model.layers.0.self_attn.q_proj"]}
		}, "changes model.layers.2.self_attn.q_proj, which this model does not have"},
		{"by a module", func(a *Adapter) {
			a.Pairs = map[string]Pair{"model.layers.0.self_attn.qkv_proj": a.Pairs["model.layers.0.self_attn.q_proj"]}
		}, "which this model does not have"},
		{"by the name of a layer", func(a *Adapter) {
			a.Pairs = map[string]Pair{"model.layers.00.self_attn.q_proj": a.Pairs["model.layers.0.self_attn.q_proj"]}
		}, "which this model does not have"},
	} {
		a := *g.adapter
		c.change(&a)
		if err := a.Fits(g.ck); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWaysToBeginThatKeepTheBaseAreRead(t *testing.T) {
	t.Parallel()
	from, dir := filepath.Join(testkit.Shared(t, "goldens/llama/llama"), "adapter"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, adapterSettings)
	config := object{}
	if err := json.Unmarshal(testkit.Must(os.ReadFile(path))(t), &config); err != nil {
		t.Fatal(err)
	}
	for _, way := range []any{true, false, nil, "gaussian", "orthogonal"} {
		config["init_lora_weights"] = way
		if err := os.WriteFile(path, testkit.Must(json.Marshal(config))(t), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAdapter(dir); err != nil {
			t.Errorf("%v: %v", way, err)
		}
	}
}

func TestReadAdapterRefuses(t *testing.T) {
	t.Parallel()
	setting := func(key string, value any) func(config object, tensors *[]weights.Tensor) {
		return func(config object, _ *[]weights.Tensor) { config[key] = value }
	}
	for _, c := range []struct {
		name  string
		spoil func(config object, tensors *[]weights.Tensor)
		want  string
	}{
		{"rank 0", setting("r", 0), "r is 0; LoRA's rank is 1 or more"},
		{"a rank beyond all bounds", setting("r", 1<<30), "r is 1073741824"},
		{"another rank than the matrices have", setting("r", 4), "A and B do not make a pair of rank 4"},
		{"no alpha", setting("lora_alpha", 0), "lora_alpha is 0"},
		{"a dropout of everything", setting("lora_dropout", 1), "lora_dropout is 1"},
		{"another kind", setting("peft_type", "IA3"), `peft_type is "IA3"`},
		{"DoRA", setting("use_dora", true), "use_dora"},
		{"biases", setting("bias", "lora_only"), "bias: this kind of adapter is not known"},
		{"ranks that differ", setting("rank_pattern", object{"q_proj": 4}), "rank_pattern"},
		{"scales that differ", setting("alpha_pattern", object{"q_proj": 4}), "alpha_pattern"},
		{"whole modules", setting("modules_to_save", []string{"lm_head"}), "modules_to_save"},
		{"layers that are copied", setting("layer_replication", [][]int{{0, 2}}), "layer_replication"},
		{"a base that PiSSA changed", setting("init_lora_weights", "pissa_niter_4"), `init_lora_weights is "pissa_niter_4": such an adapter belongs to a changed base`},
		{"a base that OLoRA changed", setting("init_lora_weights", "olora"), `init_lora_weights is "olora"`},
		{"an adapter for some tokens only", setting("alora_invocation_tokens", []int{5}), "alora_invocation_tokens"},
		{"tokens that are trained", setting("trainable_token_indices", []int{5}), "trainable_token_indices"},
		{"a tensor of another method", func(_ object, ts *[]weights.Tensor) {
			*ts = append(*ts, weights.FromFloat32("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", []int64{1}, []float32{1}))
		}, "is no LoRA matrix of a linear layer"},
		{"A without B", func(_ object, ts *[]weights.Tensor) { *ts = (*ts)[:len(*ts)-1] }, "do not make a pair"},
		{"a matrix of one dimension", func(_ object, ts *[]weights.Tensor) {
			(*ts)[0] = weights.FromFloat32((*ts)[0].Name, []int64{1}, []float32{1})
		}, "which is no matrix"},
		{"no matrices", func(_ object, ts *[]weights.Tensor) { *ts = nil }, "it holds no LoRA matrices"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from, dir := filepath.Join(testkit.Shared(t, "goldens/llama/llama"), "adapter"), t.TempDir()
			config := object{}
			if err := json.Unmarshal(testkit.Must(os.ReadFile(filepath.Join(from, adapterSettings)))(t), &config); err != nil {
				t.Fatal(err)
			}
			f := testkit.Must(weights.Open(filepath.Join(from, adapterWeights)))(t)
			defer f.Close()
			var tensors []weights.Tensor
			for _, name := range f.Names() {
				tensors = append(tensors, testkit.Must(f.Tensor(name))(t))
			}
			c.spoil(config, &tensors)
			write(t, filepath.Join(dir, adapterWeights), tensors)
			if err := os.WriteFile(filepath.Join(dir, adapterSettings), testkit.Must(json.Marshal(config))(t), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadAdapter(dir); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestAdapterFolderWithoutItsFilesIsRefused(t *testing.T) {
	t.Parallel()
	from, dir := filepath.Join(testkit.Shared(t, "goldens/llama/llama"), "adapter"), t.TempDir()
	if _, err := ReadAdapter(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), adapterSettings) {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, adapterSettings), testkit.Must(os.ReadFile(filepath.Join(from, adapterSettings)))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAdapter(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), adapterWeights) {
		t.Errorf("no weights: %v", err)
	}
	whole := testkit.Must(os.ReadFile(filepath.Join(from, adapterWeights)))(t)
	if err := os.WriteFile(filepath.Join(dir, adapterWeights), whole[:len(whole)-8], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAdapter(dir); !fail.IsUsage(err) || !strings.Contains(err.Error(), adapterWeights) {
		t.Errorf("cut-off weights: %v", err)
	}
}
