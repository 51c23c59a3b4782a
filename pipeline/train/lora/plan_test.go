package lora

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/torch"
)

// medium is large enough for its memory to be seen, 60 to 400 MB.
func medium() llama.Config {
	return llama.Config{
		Architecture: "llama", VocabSize: 1000, Hidden: 512, Layers: 12, Heads: 8, KVHeads: 4, HeadDim: 64, Intermediate: 1536,
		NormEpsilon: 1e-5, RopeTheta: 10000, TieEmbeddings: true,
	}
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("this system does not tell a process's memory: %v", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return int64(pages * os.Getpagesize())
}

// TestPlanIsWhatAModelTakes makes each model in a process of its own, where no freed memory lies about.
func TestPlanIsWhatAModelTakes(t *testing.T) {
	const variable = "MLLM4REC_TEST_PRECISION"
	if precision := os.Getenv(variable); precision != "" {
		checkPlan(t, precision)
		return
	}
	for _, precision := range Precisions {
		t.Run(precision, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestPlanIsWhatAModelTakes$")
			command.Env = append(os.Environ(), variable+"="+precision)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func checkPlan(t *testing.T, precision string) {
	source := newRandomWeights(medium())
	settings := Settings{Rows: 1024, Answers: 8, Positions: 512, Targets: Targets, Rank: 8, Alpha: 8, Head: []int32{1, 2, 3}, Precision: precision}
	plan, err := NewPlan(medium(), settings)
	if err != nil {
		t.Fatal(err)
	}
	e := torch.NewEngine(2)
	defer func() { _ = e.Close() }()
	e.NewMatrix(1, 1).Free() // libtorch's own
	before := resident(t)
	m, err := NewModel(e, source, medium(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	poison(m) // rows that nothing fills take no memory
	grown, planned := resident(t)-before, plan.Total()-plan.Adapters/2-m.attentionBytes() // moments come with a trainer
	if m.Plan() != plan {
		t.Errorf("planned %+v, made %+v", plan, m.Plan())
	}
	if float64(grown) < 0.98*float64(planned) || float64(grown) > 1.02*float64(planned)+8e6 {
		t.Errorf("planned %d bytes, the process grew by %d", planned, grown)
	}
}

func TestPlanOfLlama2(t *testing.T) {
	t.Parallel()
	config := llama.Config{
		Architecture: "llama", VocabSize: 32000, Hidden: 4096, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, Intermediate: 11008,
		NormEpsilon: 1e-5, RopeTheta: 10000,
	}
	const weights = 32 * (4*4096*4096 + 3*4096*11008)
	for precision, bits := range map[string]float64{"fp32": 32, "bf16": 16, "int8": 8.5, "nf4": 4 + 8./64 + 32./64/256} {
		plan, err := NewPlan(config, Settings{
			Rows: 1536, Answers: 1, Positions: 1536, Targets: []string{"q_proj", "v_proj"}, Rank: 8, Alpha: 32, Head: make([]int32, 20), Precision: precision,
		})
		if err != nil {
			t.Fatal(err)
		}
		norms := int64(4 * (65*4096 + 20*4096)) // and the letters
		if got, want := plan.Base-norms, int64(weights*bits/8); got < want || got > want+want/1000 {
			t.Errorf("%s: the base takes %d bytes, want %d", precision, got, want)
		}
		if want := int64(32 * 4 * 8 * 4096 * 4 * 4); plan.Adapters != want {
			t.Errorf("adapters take %d bytes, want %d", plan.Adapters, want)
		}
		t.Logf("%s: %+v, %.2f GB", precision, plan, float64(plan.Total())/1e9)
	}
}
