package tokenizer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/internal/gguf/gguftest"
)

// small is a tokenizer.json over bytes: every byte is a token, and the merges make th, the, Ġthe.
func small() map[string]any {
	vocab := map[string]any{}
	for b := range 256 {
		vocab[byteChar(byte(b))] = b
	}
	for i, text := range []string{"th", "the", "Ġthe"} {
		vocab[text] = 256 + i
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return map[string]any{
		"added_tokens": []any{
			map[string]any{"id": 259, "content": "<|end|>", "special": true},
			map[string]any{"id": 260, "content": "<tool>", "special": false},
		},
		"normalizer": nil, "pre_tokenizer": byteLevel, "decoder": byteLevel, "post_processor": nil,
		"model": map[string]any{"type": "BPE", "unk_token": nil, "vocab": vocab, "merges": []any{"t h", []string{"th", "e"}, "Ġ the"}},
	}
}

// byteChar is the character that GPT-2 writes for a byte, by its own rule.
func byteChar(b byte) string {
	visible := func(b int) bool { return b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174 }
	if visible(int(b)) {
		return string(rune(b))
	}
	n := 0
	for i := range int(b) {
		if !visible(i) {
			n++
		}
	}
	return string(rune(256 + n))
}

// folder makes a model folder of files: a text, or anything else as JSON.
func folder(t testing.TB, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		data, isBytes := content.([]byte)
		if !isBytes {
			var err error
			if data, err = json.Marshal(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// gpt2Metadata is the vocabulary of small as a GGUF file has it, with some keys set to other values; nil drops one.
func gpt2Metadata(changes map[string]any) []any {
	tokens, kinds := make([]string, 261), slices.Repeat([]int32{1}, 261)
	for text, id := range small()["model"].(map[string]any)["vocab"].(map[string]any) {
		tokens[id.(int)] = text
	}
	tokens[259], kinds[259] = "<|end|>", 3
	tokens[260], kinds[260] = "<tool>", 4
	return change([]any{
		"tokenizer.ggml.model", "gpt2", "tokenizer.ggml.pre", "gpt-2", "tokenizer.ggml.tokens", tokens,
		"tokenizer.ggml.token_type", kinds, "tokenizer.ggml.merges", []string{"t h", "th e", "Ġ the"},
		"tokenizer.ggml.eos_token_id", uint32(259),
	}, changes)
}

// pieceMetadata is a small SentencePiece vocabulary, in which "ab" is better than "bc".
func pieceMetadata(changes map[string]any) []any {
	return change([]any{
		"tokenizer.ggml.model", "llama",
		"tokenizer.ggml.tokens", []string{"<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "c", "s", ">", "ab", "bc", "▁a", "s>"},
		"tokenizer.ggml.scores", []float32{0, 0, 0, 0, 0, -9, -9, -9, -9, -9, -9, -1, -2, -3, -3},
		"tokenizer.ggml.token_type", []int32{2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"tokenizer.ggml.bos_token_id", uint32(1), "tokenizer.ggml.eos_token_id", uint32(2), "tokenizer.ggml.unknown_token_id", uint32(0),
	}, changes)
}

func change(metadata []any, changes map[string]any) (changed []any) {
	for i := 0; i < len(metadata); i += 2 {
		if _, other := changes[metadata[i].(string)]; !other {
			changed = append(changed, metadata[i], metadata[i+1])
		}
	}
	for key, value := range changes {
		if value != nil {
			changed = append(changed, key, value)
		}
	}
	return changed
}

func writeGGUF(t testing.TB, metadata []any) string {
	t.Helper()
	return gguftest.Write(t, metadata, nil)
}
