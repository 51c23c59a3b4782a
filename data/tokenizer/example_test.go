package tokenizer_test

import (
	"fmt"
	"log"

	"mllm4rec/data/tokenizer"
)

// A title that spells a special token stays a title; a template's text ends the turn.
func Example() {
	tok, err := tokenizer.Open("testdata/tiny")
	if err != nil {
		log.Fatal(err)
	}
	title := tok.Encode("end end<|end|>")
	fmt.Println(title, tok.Decode(title))
	turn := append(title, tok.EncodeMarkup("<|end|>")...)
	fmt.Println(turn[len(turn)-1] == tok.EOS(), tok.DecodeMarkup(turn))
	// Output:
	// [9 10 1 2 9 2 3] end end<|end|>
	// true end end<|end|><|end|>
}
