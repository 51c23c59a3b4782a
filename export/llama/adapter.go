package llama

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

// The files of an adapter's folder, as peft names them.
const (
	adapterWeights  = "adapter_model.safetensors"
	adapterSettings = "adapter_config.json"
)

// Adapter is LoRA matrices for some linear layers of a model (arXiv 2106.09685), as peft has them: a layer's weight W acts
// as W + Scale · B · A.
type Adapter struct {
	// Rank and Alpha are those of all pairs; RankStabilised is peft's use_rslora, which divides alpha by √rank.
	Rank           int
	Alpha          float64
	RankStabilised bool
	// Dropout is what the adapter was trained with. It changes nothing at inference.
	Dropout float64
	// Pairs are the matrices by the module that they change: "model.layers.0.self_attn.q_proj".
	Pairs map[string]Pair
	// Base is the Checkpoint.Fingerprint of the model that it was trained on; "" where the file does not tell (peft's do not).
	Base string
	// Metadata is what else the file says of itself, under keys "mllm4rec.…".
	Metadata map[string]string
}

// Pair is the two matrices of a module: A [Rank, In] and B [Out, Rank], row by row.
type Pair struct {
	Rank, In, Out int
	A, B          []float32
}

// Scale is what B · A is multiplied by.
func (a *Adapter) Scale() float64 {
	if a.RankStabilised {
		return a.Alpha / math.Sqrt(float64(a.Rank))
	}
	return a.Alpha / float64(a.Rank)
}

// Targets names the kinds of layers that have pairs, in the order of LinearNames.
func (a *Adapter) Targets() []string {
	found := map[string]bool{}
	for module := range a.Pairs {
		found[module[strings.LastIndexByte(module, '.')+1:]] = true
	}
	return slices.DeleteFunc(LinearNames(), func(name string) bool { return !found[name] })
}

// maxRank is far above any adapter's.
const maxRank = 1 << 14

// adapterNames are the names of tensors in peft's files. Other prefixes than this one come from models that are no causal
// language models.
var adapterNames = regexp.MustCompile(`^base_model\.model\.(model\.layers\.\d+\.[a-z_]+\.[a-z_]+)\.lora_([AB])\.weight$`)

// ReadAdapter reads the folder that peft's save_pretrained or Write made. What changes a model in another way than LoRA
// matrices at linear layers (DoRA, biases, whole modules) is refused by name; so is a damaged file.
func ReadAdapter(dir string) (*Adapter, error) {
	a, err := readAdapterConfig(filepath.Join(dir, adapterSettings))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, adapterWeights)
	if _, err := os.Stat(path); err != nil {
		return nil, fail.Usagef("%s: no %s in it; peft writes it with safe_serialization, its default", dir, adapterWeights)
	}
	file, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	for key, value := range file.Metadata() {
		if strings.HasPrefix(key, "mllm4rec.") {
			a.Metadata[key] = value
		}
	}
	a.Base = a.Metadata[baseKey]
	delete(a.Metadata, baseKey)
	if err := a.readPairs(file); err != nil {
		return nil, fail.Usagef("%s: %w", path, err)
	}
	return a, nil
}

// baseKey is where the file names the base model.
const baseKey = "mllm4rec.base"

// readPairs reads every tensor of the file.
func (a *Adapter) readPairs(file *weights.File) error {
	for _, name := range file.Names() {
		parts := adapterNames.FindStringSubmatch(name)
		if parts == nil {
			return fmt.Errorf("tensor %q is no LoRA matrix of a linear layer", name)
		}
		info, err := file.Info(name)
		if err != nil {
			return err
		}
		if len(info.Shape) != 2 || slices.Min(info.Shape) < 1 || slices.Max(info.Shape) > maxWidth {
			return fmt.Errorf("tensor %q is %v, which is no matrix", name, info.Shape)
		}
		values, _, err := file.Float32(name)
		if err != nil {
			return err
		}
		pair := a.Pairs[parts[1]]
		if parts[2] == "A" {
			pair.Rank, pair.In, pair.A = int(info.Shape[0]), int(info.Shape[1]), values
		} else {
			pair.Out, pair.B = int(info.Shape[0]), values
		}
		a.Pairs[parts[1]] = pair
	}
	if len(a.Pairs) == 0 {
		return errors.New("it holds no LoRA matrices")
	}
	for module, pair := range a.Pairs {
		if pair.Rank != a.Rank || pair.A == nil || pair.B == nil || len(pair.B) != pair.Out*a.Rank {
			return fmt.Errorf("%s: A and B do not make a pair of rank %d, which %s says", module, a.Rank, adapterSettings)
		}
	}
	return nil
}

// Write makes the folder that ReadAdapter and peft's from_pretrained read. base is the name or path of the model for peft,
// dtype F32, F16 or BF16. The weights are written first: a folder with a config is whole.
func (a *Adapter) Write(dir, base string, dtype weights.DType) error {
	var tensors []weights.Tensor
	for module, pair := range a.Pairs {
		for _, matrix := range []struct {
			letter    string
			rows, row int
			values    []float32
		}{{"A", pair.Rank, pair.In, pair.A}, {"B", pair.Out, pair.Rank, pair.B}} {
			t := weights.FromFloat32("base_model.model."+module+".lora_"+matrix.letter+".weight", []int64{int64(matrix.rows), int64(matrix.row)}, matrix.values)
			if dtype != weights.F32 {
				if err := t.Convert(dtype); err != nil {
					return err
				}
			}
			tensors = append(tensors, t)
		}
	}
	metadata := map[string]string{"format": "pt"}
	for key, value := range a.Metadata {
		metadata[key] = value
	}
	if a.Base != "" {
		metadata[baseKey] = a.Base
	}
	if err := weights.Write(filepath.Join(dir, adapterWeights), tensors, metadata); err != nil {
		return err
	}
	return a.writeConfig(filepath.Join(dir, adapterSettings), base)
}

// Fits refuses an adapter that belongs to another base than ck: by the fingerprint where the adapter has one, and by the
// sizes of its modules.
func (a *Adapter) Fits(ck *Checkpoint) error {
	if a.Base != "" && a.Base != ck.Fingerprint() {
		return fail.Usagef("the adapter was trained on another base than %s (its fingerprint is %.8s, the model's %.8s)", ck.Path(), a.Base, ck.Fingerprint())
	}
	config := ck.Config()
	return a.fits(&config)
}

// fits makes sure that every pair belongs to a linear layer of the model and has its sizes.
func (a *Adapter) fits(c *Config) error {
	for _, module := range slices.Sorted(maps.Keys(a.Pairs)) {
		pair := a.Pairs[module]
		l, ok := c.module(module)
		if !ok {
			return fail.Usagef("the adapter changes %s, which this model does not have", module)
		}
		out, in := l.shape(c)
		if pair.In != in || pair.Out != out || len(pair.A) != pair.Rank*in || len(pair.B) != out*pair.Rank {
			return fail.Usagef("the adapter's %s maps %d to %d, the model's %d to %d: it belongs to another base", module, pair.In, pair.Out, in, out)
		}
	}
	return nil
}

// fingerprint tells one adapter's weights from another's; none has "".
func (a *Adapter) fingerprint() string {
	if a == nil {
		return ""
	}
	hash := sha256.New()
	for _, module := range slices.Sorted(maps.Keys(a.Pairs)) {
		pair := a.Pairs[module]
		fmt.Fprintf(hash, "%s %d %v\n", module, pair.Rank, a.Scale())
		_, _ = hash.Write(matrix.Encode(onnx.Float32, pair.A))
		_, _ = hash.Write(matrix.Encode(onnx.Float32, pair.B))
	}
	return hex.EncodeToString(hash.Sum(nil))
}
