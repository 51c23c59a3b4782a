package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxParts is how many normalizers and pre-tokenizers a file may have: every one is a step for every word.
const maxParts = 32

// read makes the pipeline that normalizers and pre-tokenizers describe; byteLevel: the model's symbols are bytes.
func (p *pipeline) read(normalizers, preTokenizers []component) (byteLevel bool, err error) {
	if n := len(normalizers) + len(preTokenizers); n > maxParts {
		return false, fmt.Errorf("it has %d normalizers and pre-tokenizers; %d are allowed", n, maxParts)
	}
	for i, c := range normalizers {
		if err := p.normalizer(&c, i == 0); err != nil {
			return false, err
		}
	}
	for i, c := range preTokenizers {
		if byteLevel {
			return false, fmt.Errorf("its pre-tokenizer %q comes behind ByteLevel, which is not known here", c.Type)
		}
		if err := p.preTokenizer(&c, i == 0); err != nil {
			return false, err
		}
		byteLevel = c.Type == "ByteLevel"
	}
	if byteLevel && p.dummy != "" {
		return false, fmt.Errorf("it puts %q before a text of bytes, which is not known here", p.dummy)
	}
	return byteLevel, nil
}

func (p *pipeline) normalizer(c *component, first bool) error {
	switch {
	case c.Type == "Prepend" && first:
		p.dummy = c.Prepend
		return nil
	case c.Type == "NFC":
		p.rewrite = append(p.rewrite, nfc)
		return nil
	case c.Type == "Replace" && oneRune(c.Pattern.String) && oneRune(c.Content):
		p.rewrite = append(p.rewrite, replacer(c.Pattern.String, c.Content))
		return nil
	case c.Type == "Replace":
		return fmt.Errorf("its normalizer replaces %.50q by %.50q; only one character by another is known here",
			c.Pattern.String+c.Pattern.Regex, c.Content)
	}
	return fmt.Errorf("its normalizer %q is not known here (Prepend at the beginning, Replace and NFC are)", c.Type)
}

func oneRune(s string) bool { return utf8.RuneCountInString(s) == 1 }

func (p *pipeline) preTokenizer(c *component, first bool) error {
	switch c.Type {
	case "ByteLevel":
		if c.AddPrefixSpace != nil && *c.AddPrefixSpace {
			p.cut = append(p.cut, cutter{leadingSpace: true})
		}
		if c.UseRegex == nil || *c.UseRegex {
			p.cut = append(p.cut, cutter{words: splitGPT2})
		}
		return nil
	case "Digits":
		p.cut = append(p.cut, cutter{words: splitDigits(c.IndividualDigits)})
		return nil
	case "Split":
		words, ok := splitters[c.Pattern.Regex]
		if !ok {
			return fmt.Errorf("its pre-tokenizer splits by %.300q, which is not known here", c.Pattern.Regex+c.Pattern.String)
		}
		// The patterns leave nothing between two words, so that both ways keep the same.
		if c.Behavior != "Isolated" && (c.Behavior != "Removed" || !c.Invert) {
			return fmt.Errorf("its pre-tokenizer Split has the behavior %q, which is not known here", c.Behavior)
		}
		p.cut = append(p.cut, cutter{words: words})
		return nil
	case "Metaspace":
		return p.metaspace(c, first)
	}
	return fmt.Errorf("its pre-tokenizer %q is not known here (ByteLevel, Digits, Metaspace and Split are)", c.Type)
}

func (p *pipeline) metaspace(c *component, first bool) error {
	if !first || p.dummy != "" || c.Replacement != mark {
		return fmt.Errorf("its pre-tokenizer Metaspace puts %q for a space, behind others; only %q, alone, is known here", c.Replacement, mark)
	}
	scheme := c.scheme()
	if !slices.Contains([]string{"always", "first", "never"}, scheme) {
		return fmt.Errorf("its pre-tokenizer Metaspace has the prepend_scheme %q, which is not known here", scheme)
	}
	if scheme != "never" {
		p.dummy, p.place = mark, unlessThere
	}
	if scheme == "first" {
		p.place = firstUnlessThere
	}
	p.rewrite = append(p.rewrite, replacer(" ", mark))
	if c.Split == nil || *c.Split {
		p.cut = append(p.cut, cutter{words: splitEachMark})
	}
	return nil
}

// scheme is when Metaspace puts a mark before the text; files from before 2024 have add_prefix_space for it.
func (c *component) scheme() string {
	switch {
	case c.PrependScheme != nil:
		return *c.PrependScheme
	case c.AddPrefixSpace != nil && !*c.AddPrefixSpace:
		return "never"
	}
	return "always"
}

// decoder checks that the decoder undoes what the pipeline did, and tells whether it takes a leading space away.
func decoder(parts []component, byteLevel bool) (stripSpace bool, err error) {
	marks := false
	for _, c := range parts {
		switch {
		case byteLevel && c.Type == "ByteLevel":
			marks = true
		case !byteLevel && c.Type == "Metaspace" && c.Replacement == mark:
			marks, stripSpace = true, c.scheme() != "never"
		case !byteLevel && c.Type == "Replace" && c.Pattern.String == mark && c.Content == " ":
			marks = true
		case !byteLevel && c.Type == "Strip" && c.Content == " " && c.Start == 1 && c.Stop == 0:
			stripSpace = true
		case c.Type == "Fuse", !byteLevel && c.Type == "ByteFallback":
		default:
			return false, fmt.Errorf("its decoder %q (with %q) is not known here for such a vocabulary", c.Type, c.Content)
		}
	}
	if !marks {
		return false, fmt.Errorf("its decoder undoes neither ByteLevel nor %s, so that tokens have no text; another kind is not known here", mark)
	}
	return stripSpace, nil
}
