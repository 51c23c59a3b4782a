package tokenizer_test

import (
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/tokenizer"
	"mllm4rec/internal/fail"
)

func TestFilesBesideSayWhatBeginsAndEndsAText(t *testing.T) {
	t.Parallel()
	levelAnd := object{"type": "Sequence", "processors": []any{small()["decoder"], template("<|end|>", 259)}}
	plain, templated := small(), with("", "post_processor", levelAnd)
	none := []int32(nil)
	cases := []struct {
		name                    string
		file, tokenizer, config any
		bos, eos                int32
		start                   []int32
	}{
		{"nothing is beside", plain, nil, nil, -1, -1, none},
		{"the file has a template", templated, nil, nil, 259, -1, []int32{259}},
		{"names", plain, object{"bos_token": "<tool>", "eos_token": "<|end|>"}, nil, 260, 259, none},
		{"names as objects", plain, object{"bos_token": object{"content": "<tool>"}, "eos_token": object{"content": "<|end|>", "lstrip": false}}, nil, 260, 259, none},
		{"ids", plain, nil, object{"bos_token_id": 260, "eos_token_id": 259}, 260, 259, none},
		{"several ids: the first", plain, nil, object{"bos_token_id": nil, "eos_token_id": []int{259, 260}}, -1, 259, none},
		{"names before ids", plain, object{"eos_token": "<tool>"}, object{"eos_token_id": 259}, -1, 260, none},
		{"null is a name: there is none", plain, object{"bos_token": nil}, object{"bos_token_id": 259}, -1, -1, none},
		{"BOS asked for", plain, object{"bos_token": "<tool>", "add_bos_token": true}, nil, 260, -1, []int32{260}},
		{"BOS refused", templated, object{"bos_token": "<|end|>", "add_bos_token": false}, nil, 259, -1, none},
		{"BOS by id", plain, object{"add_bos_token": true}, object{"bos_token_id": 259}, 259, -1, []int32{259}},
		{"BOS of the template stays", templated, object{"eos_token": "<tool>"}, nil, 259, 260, []int32{259}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tok := open(t, modelFolder(t, c.file, c.tokenizer, c.config))
			if tok.BOS() != c.bos || tok.EOS() != c.eos || !slices.Equal(tok.Start(), c.start) {
				t.Errorf("BOS %d, EOS %d, start %v; want %d, %d, %v", tok.BOS(), tok.EOS(), tok.Start(), c.bos, c.eos, c.start)
			}
		})
	}
}

func modelFolder(t testing.TB, file, tokenizer, config any) string {
	files := object{"tokenizer.json": file}
	if tokenizer != nil {
		files["tokenizer_config.json"] = tokenizer
	}
	if config != nil {
		files["config.json"] = config
	}
	return folder(t, files)
}

func TestFilesBesideOfAnotherVocabularyAreRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, want, in    string
		tokenizer, config any
	}{
		{"a name", `names the token "</s>"`, "tokenizer_config.json", object{"eos_token": "</s>"}, nil},
		{"an id", "names the token 999", "config.json", nil, object{"eos_token_id": 999}},
		{"a negative id", "names the token -5", "config.json", nil, object{"bos_token_id": -5}},
		{"BOS that nothing names", "no file says which token begins", "tokenizer_config.json", object{"add_bos_token": true}, nil},
		{"a damaged file", "not a sound JSON", "config.json", nil, []byte("{")},
		{"a name that is a number", "not a sound JSON", "tokenizer_config.json", object{"bos_token": 5}, nil},
		{"an id that is a text", "not a sound JSON", "config.json", nil, object{"eos_token_id": "</s>"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := tokenizer.Open(modelFolder(t, small(), c.tokenizer, c.config))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.in) || !fail.IsUsage(err) {
				t.Errorf("%v; want a usage error with %q in %s", err, c.want, c.in)
			}
		})
	}
}
