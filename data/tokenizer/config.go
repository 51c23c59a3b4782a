package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"mllm4rec/internal/fail"
)

// template reads what a post-processor puts before a text. What it puts behind one (EOS) is the caller's.
func (t *Tokenizer) template(parts []component) error {
	for _, c := range parts {
		switch c.Type {
		case "ByteLevel": // it moves offsets, which are not kept here
		case "TemplateProcessing":
			for _, piece := range c.Single {
				if piece.Sequence != nil || piece.SpecialToken == nil {
					break
				}
				t.start = append(t.start, c.SpecialTokens[piece.SpecialToken.ID].IDs...)
			}
		default:
			return fmt.Errorf("its post-processor %q is not known here (TemplateProcessing and ByteLevel are)", c.Type)
		}
	}
	for _, id := range t.start {
		if id < 0 || int(id) >= len(t.texts) || t.texts[id] == "" {
			return fmt.Errorf("its post-processor begins texts with token %d, which the vocabulary has not", id)
		}
	}
	if len(t.start) > 0 {
		t.bos = t.start[0]
	}
	return nil
}

// tokenizerConfig is the part of tokenizer_config.json that is used: names of tokens, and whether BOS is put.
type tokenizerConfig struct {
	BOS    tokenName `json:"bos_token"`
	EOS    tokenName `json:"eos_token"`
	AddBOS *bool     `json:"add_bos_token"`
}

// tokenName is a token's text, written as such, as an object with its content, or null: the model has none.
type tokenName struct {
	given bool
	text  string
}

// UnmarshalJSON reads all three.
func (n *tokenName) UnmarshalJSON(data []byte) error {
	n.given = true
	if len(data) > 0 && data[0] == '{' {
		var object struct {
			Content string `json:"content"`
		}
		err := json.Unmarshal(data, &object)
		n.text = object.Content
		return err
	}
	return json.Unmarshal(data, &n.text)
}

// modelConfig is the part of config.json that is used.
type modelConfig struct {
	BOS tokenIDs `json:"bos_token_id"`
	EOS tokenIDs `json:"eos_token_id"`
}

// tokenIDs is a number, several, or null.
type tokenIDs []int64

// UnmarshalJSON reads all three.
func (n *tokenIDs) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '[' {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	var all []*int64
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for _, id := range all {
		if id != nil {
			*n = append(*n, *id)
		}
	}
	return nil
}

// configure takes from the files beside a tokenizer.json which tokens begin and end a text: tokenizer_config.json names
// them; where it says nothing, config.json has their ids.
func (t *Tokenizer) configure(folder string) error {
	var names tokenizerConfig
	namesPath := filepath.Join(folder, "tokenizer_config.json")
	if err := readJSON(namesPath, &names); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var ids modelConfig
	idsPath := filepath.Join(folder, "config.json")
	if err := readJSON(idsPath, &ids); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, one := range []struct {
		id   *int32
		name tokenName
		ids  tokenIDs
	}{{&t.bos, names.BOS, ids.BOS}, {&t.eos, names.EOS, ids.EOS}} {
		if err := t.named(one.id, one.name); err != nil {
			return fail.Usagef("%s: %w", namesPath, err)
		}
		if one.name.given {
			continue
		}
		if err := t.numbered(one.id, one.ids); err != nil {
			return fail.Usagef("%s: %w", idsPath, err)
		}
	}
	if err := t.begin(names.AddBOS); err != nil {
		return fail.Usagef("%s: %w", namesPath, err)
	}
	return nil
}

// named sets id to the token of a name, -1 where the file says that there is none.
func (t *Tokenizer) named(id *int32, name tokenName) error {
	if !name.given {
		return nil
	}
	*id = -1
	if name.text == "" {
		return nil
	}
	found, ok := t.ids[name.text]
	if !ok {
		return fmt.Errorf("it names the token %.50q, which is not in the vocabulary beside it", name.text)
	}
	*id = found
	return nil
}

// numbered sets id to the first of ids, if there is one.
func (t *Tokenizer) numbered(id *int32, ids tokenIDs) error {
	if len(ids) == 0 {
		return nil
	}
	if ids[0] < 0 || ids[0] >= int64(len(t.texts)) {
		return fmt.Errorf("it names the token %d, which is not in the vocabulary beside it", ids[0])
	}
	*id = int32(ids[0])
	return nil
}

// begin decides what stands before every text, where a file decides it.
func (t *Tokenizer) begin(addBOS *bool) error {
	switch {
	case addBOS == nil:
	case !*addBOS:
		t.start = nil
	case t.bos < 0:
		return fmt.Errorf("add_bos_token is true, but no file says which token begins a text")
	default:
		t.start = []int32{t.bos}
	}
	return nil
}
