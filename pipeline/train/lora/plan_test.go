package lora

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
	"mllm4rec/pipeline/train/torch"
)

// medium is large enough for its memory to be seen, 150 to 250 MB.
func medium() llama.Config {
	return llama.Config{
		Architecture: "llama", VocabSize: 1000, Hidden: 512, Layers: 6, Heads: 8, KVHeads: 4, HeadDim: 64, Intermediate: 1536,
		NormEpsilon: 1e-5, RopeTheta: 10000, TieEmbeddings: true,
	}
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
	plan, err := NewPlan(medium(), settings, 2)
	if err != nil {
		t.Fatal(err)
	}
	e := torch.NewEngine(2)
	defer func() { _ = e.Close() }()
	warm, product := e.NewMatrix(1024, 1024), e.NewMatrix(1024, 1024)
	e.Product(product, warm.N(), warm.T()) // libtorch and MKL keep memory of their own
	warm.Free()
	product.Free()
	before := testkit.Status(t, "VmRSS")
	m, err := NewModel(e, source, medium(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	full := &pass{batch: pack(randomPrompts(2, 512, 0, 1000), 1)} // memory that no micro-batch fills is not taken
	if err := m.forward(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	letterLoss(m.logits, []int32{0, 1}, []int32{3, 3}, 1)
	if err := m.backward(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	grown, planned := testkit.Status(t, "VmRSS")-before, plan.Total()-plan.Adapters/2-m.attentionBytes(2) // moments come with a trainer
	if m.plan(2) != plan {
		t.Errorf("planned %+v, made %+v", plan, m.plan(2))
	}
	if float64(grown) < 0.97*float64(planned) || float64(grown) > 1.03*float64(planned)+30e6 {
		t.Errorf("planned %d bytes, the process grew by %d", planned, grown)
	}
}

// llama2 is Llama-2-7B.
func llama2() llama.Config {
	return llama.Config{
		Architecture: "llama", VocabSize: 32000, Hidden: 4096, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, Intermediate: 11008,
		MaxPositions: 4096, NormEpsilon: 1e-5, RopeTheta: 10000,
	}
}

// usual are the settings of a recipe.
func usual(tokens, answers int, precision string) Settings {
	return Settings{
		Rows: tokens, Answers: answers, Positions: tokens, Targets: []string{"q_proj", "v_proj"}, Rank: 8, Alpha: 32,
		Head: make([]int32, 20), Precision: precision,
	}
}

func TestPlanOfLlama2(t *testing.T) {
	t.Parallel()
	const weights = 32 * (4*4096*4096 + 3*4096*11008)
	for precision, bits := range map[string]float64{"fp32": 32, "bf16": 16, "int8": 8.5, "nf4": 4 + 8./64 + 32./64/256} {
		plan, err := NewPlan(llama2(), usual(1536, 1, precision), 2)
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
	}
}

func TestPlanBeyondWhatIsLeftIsRefused(t *testing.T) {
	t.Parallel()
	plan := Plan{Base: 13e9, Adapters: 1e8, Activations: 9e9, Scratch: 9e8}
	if err := plan.refuse(plan.Total()); err != nil {
		t.Error(err)
	}
	err := plan.refuse(plan.Total() - 1)
	if !fail.IsUsage(err) || !strings.Contains(err.Error(), "it takes 23.0 GB (base 13.0, activations 9.0, the rest 1.0), 23.0 GB are left") {
		t.Errorf("error %v", err)
	}
}

// The table of docs/memory.md is what the plan says.
func TestMemoryPageTellsThePlan(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/memory.md")
	if err != nil {
		t.Fatal(err)
	}
	gb := func(bytes int64) string { return strconv.FormatFloat(float64(bytes)/1e9, 'f', 2, 64) }
	for tokens, name := range map[int]string{1536: "1,536", 900: "900"} {
		for _, precision := range Precisions {
			settings := usual(tokens, 1, precision)
			plan, err := NewPlan(llama2(), settings, 2)
			if err != nil {
				t.Fatal(err)
			}
			settings.ActivationBytes = 3e9
			bounded, err := NewPlan(llama2(), settings, 2)
			if err != nil {
				t.Fatal(err)
			}
			line := "| " + strings.Join([]string{
				precision, name, gb(plan.Base), gb(plan.Adapters), gb(plan.Activations), gb(plan.Scratch), gb(plan.Total()), gb(bounded.Total()),
			}, " | ") + " |\n"
			if !strings.Contains(string(text), line) {
				t.Errorf("docs/memory.md lacks the line %s", line)
			}
		}
	}
}
