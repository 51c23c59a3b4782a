package tokenizer_test

import (
	"strings"
	"testing"
)

// BenchmarkEncode is the speed on titles, which are words seen before, and on one text of words that are all new:
// go test -bench Encode ./data/tokenizer
func BenchmarkEncode(b *testing.B) {
	vectors := readVectors(b, "testdata/smollm2.json")
	titles := make([]string, 0, len(vectors))
	for _, v := range vectors {
		titles = append(titles, v.Text)
	}
	for name, path := range map[string]string{"SmolLM2": smollm2(b), "Llama2": llama2(b)} {
		tok := open(b, path)
		b.Run(name+"/titles", func(b *testing.B) {
			b.SetBytes(int64(len(strings.Join(titles, ""))))
			for b.Loop() {
				for _, title := range titles {
					tok.Encode(title)
				}
			}
		})
		b.Run(name+"/one word", func(b *testing.B) {
			word := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 400)
			b.SetBytes(int64(len(word)))
			for b.Loop() {
				tok.Encode(word)
			}
		})
	}
}

// BenchmarkOpen is how long a program waits for a vocabulary of 49,152 tokens.
func BenchmarkOpen(b *testing.B) {
	path := smollm2(b)
	for b.Loop() {
		open(b, path)
	}
}
