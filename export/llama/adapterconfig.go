package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"mllm4rec/export/weights"
	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

// adapterFile is what we read of peft's adapter_config.json.
type adapterFile struct {
	Type    string  `json:"peft_type"`
	Rank    int     `json:"r"`
	Alpha   float64 `json:"lora_alpha"`
	Dropout float64 `json:"lora_dropout"`

	RankStabilised bool `json:"use_rslora"`

	Bias          string          `json:"bias"`
	Dora          bool            `json:"use_dora"`
	LoraBias      bool            `json:"lora_bias"`
	FanInFanOut   bool            `json:"fan_in_fan_out"`
	RankPattern   map[string]any  `json:"rank_pattern"`
	AlphaPattern  map[string]any  `json:"alpha_pattern"`
	ModulesToSave json.RawMessage `json:"modules_to_save"`
	Replication   json.RawMessage `json:"layer_replication"`
	Parameters    json.RawMessage `json:"target_parameters"`
	TokenIndices  json.RawMessage `json:"trainable_token_indices"`
	Invocation    json.RawMessage `json:"alora_invocation_tokens"`
	Init          json.RawMessage `json:"init_lora_weights"`
}

// keepBase are the ways to begin a training, besides true and false, that leave the base as it is. PiSSA, OLoRA, CorDA, LoftQ and
// LoRA-GA change its weights, and peft does so anew when it loads such an adapter.
var keepBase = []string{`"gaussian"`, `"eva"`, `"orthogonal"`, `"mica"`}

func readAdapterConfig(path string) (*Adapter, error) {
	var f adapterFile
	if err := weights.ReadJSON(path, "an adapter's folder has it beside "+adapterWeights, &f); err != nil {
		return nil, err
	}
	if err := f.refuse(); err != nil {
		return nil, fail.Usagef("%s: %w", path, err)
	}
	return &Adapter{
		Rank: f.Rank, Alpha: f.Alpha, Dropout: f.Dropout, RankStabilised: f.RankStabilised, Pairs: map[string]Pair{}, Metadata: map[string]string{},
	}, nil
}

// refuse names what this program does not know of an adapter, and values that no adapter has.
func (f *adapterFile) refuse() error {
	for _, switched := range []struct {
		on   bool
		what string
	}{
		{f.Dora, "use_dora"}, {f.LoraBias, "lora_bias"}, {f.FanInFanOut, "fan_in_fan_out"},
		{len(f.RankPattern) > 0, "rank_pattern"}, {len(f.AlphaPattern) > 0, "alpha_pattern"}, {set(f.ModulesToSave), "modules_to_save"},
		{set(f.Replication), "layer_replication"}, {set(f.Parameters), "target_parameters"}, {set(f.TokenIndices), "trainable_token_indices"},
		{set(f.Invocation), "alora_invocation_tokens"},
		{f.Bias != "" && f.Bias != "none", "bias"},
	} {
		if switched.on {
			return fmt.Errorf("%s: this kind of adapter is not known; LoRA matrices at linear layers are", switched.what)
		}
	}
	switch {
	case f.Type != "LORA":
		return fmt.Errorf("peft_type is %q; LORA is known", f.Type)
	case len(f.Init) > 0 && f.Init[0] == '"' && !slices.Contains(keepBase, string(f.Init)):
		return fmt.Errorf("init_lora_weights is %.50s: such an adapter belongs to a changed base; save it with path_initial_model_for_weight_conversion of peft's save_pretrained", f.Init)
	case f.Rank < 1 || f.Rank > maxRank:
		return fmt.Errorf("r is %d; LoRA's rank is 1 or more, up to %d", f.Rank, maxRank)
	case !(f.Alpha > 0 && f.Alpha <= 1e6):
		return fmt.Errorf("lora_alpha is %v; it must be positive", f.Alpha)
	case !(f.Dropout >= 0 && f.Dropout < 1):
		return fmt.Errorf("lora_dropout is %v; it must be from 0 to below 1", f.Dropout)
	}
	return nil
}

// set tells a key with a value from one that is absent, null or empty.
func set(value json.RawMessage) bool {
	value = bytes.TrimSpace(value)
	return len(value) > 0 && string(value) != "null" && string(value) != "[]" && string(value) != "{}"
}

func (a *Adapter) writeConfig(path, base string) error {
	text, err := json.MarshalIndent(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "inference_mode": true, "bias": "none",
		"r": a.Rank, "lora_alpha": a.Alpha, "lora_dropout": a.Dropout, "use_rslora": a.RankStabilised, "target_modules": a.Targets(),
		"fan_in_fan_out": false, "init_lora_weights": true,
	}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(text, '\n'))
}
