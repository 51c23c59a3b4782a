package tokenizer

import (
	"encoding/json"
	"fmt"
)

// component is one part of a tokenizer.json: a normalizer, pre-tokenizer, post-processor or decoder. Its fields are
// those of all kinds that are known here.
type component struct {
	Type string `json:"type"`
	// what a Sequence holds
	Normalizers   []component `json:"normalizers"`
	PreTokenizers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`
	Decoders      []component `json:"decoders"`
	// Prepend, Replace, Split, Strip
	Prepend  string  `json:"prepend"`
	Pattern  pattern `json:"pattern"`
	Content  string  `json:"content"`
	Behavior string  `json:"behavior"`
	Invert   bool    `json:"invert"`
	Start    int     `json:"start"`
	Stop     int     `json:"stop"`
	// ByteLevel, Digits, Metaspace; nil: the file leaves it to the kind's default
	AddPrefixSpace   *bool   `json:"add_prefix_space"`
	UseRegex         *bool   `json:"use_regex"`
	IndividualDigits bool    `json:"individual_digits"`
	Replacement      string  `json:"replacement"`
	PrependScheme    *string `json:"prepend_scheme"`
	Split            *bool   `json:"split"`
	// TemplateProcessing
	Single        []piece                  `json:"single"`
	SpecialTokens map[string]templateToken `json:"special_tokens"`
}

// maxSection is how many bytes a section may take. Those of known kinds have a few thousand, and of the rest one may be
// named that is not known; a component of two bytes takes hundreds in memory.
const maxSection = 512 << 10

// section is the normalizer, pre-tokenizer, post-processor or decoder of a tokenizer.json, nil for null.
type section struct{ *component }

// UnmarshalJSON refuses one that is too large before it is taken apart.
func (s *section) UnmarshalJSON(data []byte) error {
	if len(data) > maxSection {
		return fmt.Errorf("its normalizer, pre-tokenizer, post-processor or decoder has %d bytes; %d are allowed", len(data), maxSection)
	}
	return json.Unmarshal(data, &s.component)
}

// pattern is a text or a regular expression.
type pattern struct {
	String string `json:"String"`
	Regex  string `json:"Regex"`
}

// piece is a token or the place of the text in a template.
type piece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct{} `json:"Sequence"`
}

type templateToken struct {
	IDs []int32 `json:"ids"`
}

// parts are the components in their order, sequences resolved; none of null.
func (c *component) parts() []component { return c.appendTo(nil) }

func (c *component) appendTo(all []component) []component {
	if c == nil {
		return all
	}
	if c.Type != "Sequence" {
		return append(all, *c)
	}
	for _, sequence := range [][]component{c.Normalizers, c.PreTokenizers, c.Processors, c.Decoders} {
		for i := range sequence {
			all = sequence[i].appendTo(all)
		}
	}
	return all
}

// jsonMerge is the two tokens of a merge, written "a b" or, since 2024, ["a", "b"].
type jsonMerge [2]string

// UnmarshalJSON reads both forms.
func (m *jsonMerge) UnmarshalJSON(data []byte) error {
	var parts []string
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &parts); err != nil {
			return err
		}
	} else {
		var line string
		if err := json.Unmarshal(data, &line); err != nil {
			return err
		}
		parts = cutMerge(line)
	}
	if len(parts) != 2 {
		return fmt.Errorf("the merge %.50s has not two parts", data)
	}
	*m = jsonMerge{parts[0], parts[1]}
	return nil
}
