package tokenizer

// Encode gives the tokens of a plain text, without BOS or EOS (see Start). No part of it is taken for markup. Equal to
// the Rust library's encode(text, add_special_tokens=False) where the text spells no added token.
func (t *Tokenizer) Encode(text string) []int32 { return t.encode(nil, text, first) }

// Continue is Encode for a text that goes on where another one ended: SentencePiece's leading ▁ is not put before it.
// For byte-level vocabularies it is Encode.
func (t *Tokenizer) Continue(text string) []int32 { return t.encode(nil, text, inside) }

// EncodeMarkup is Encode, but wherever the text spells an added token ("<|im_start|>") that one token is put. It is
// for what the program or the user's template says, never for data. Equal to the Rust library's
// encode(text, add_special_tokens=False), except for tokens that are to be found after normalising; those are found
// before it, too.
func (t *Tokenizer) EncodeMarkup(text string) []int32 { return t.encodeMarkup(text, first) }

// ContinueMarkup is EncodeMarkup for a text that goes on where another one ended.
func (t *Tokenizer) ContinueMarkup(text string) []int32 { return t.encodeMarkup(text, inside) }

func (t *Tokenizer) encodeMarkup(text string, at position) []int32 {
	var ids []int32
	for text != "" {
		begin, end, id := t.markup.find(text)
		ids = t.encode(ids, text[:begin], at)
		if id < 0 {
			break
		}
		ids = append(ids, id)
		text, at = text[end:], afterMarkup
	}
	return ids
}

// encode appends the tokens of text to ids.
func (t *Tokenizer) encode(ids []int32, text string, at position) []int32 {
	if text == "" {
		return ids
	}
	if text = t.text.prepare(text, at); text == "" {
		return ids
	}
	if ids == nil {
		ids = make([]int32, 0, len(text)/3+4)
	}
	return t.words(ids, text, 0)
}

// words cuts text with the cutters from level on, and appends the tokens of every word.
func (t *Tokenizer) words(ids []int32, text string, level int) []int32 {
	if level == len(t.text.cut) {
		return t.word(ids, text)
	}
	cut := t.text.cut[level]
	if cut.leadingSpace {
		if text[0] != ' ' {
			text = " " + text
		}
		return t.words(ids, text, level+1)
	}
	for text != "" {
		n := cut.words(text)
		ids = t.words(ids, text[:n], level+1)
		text = text[n:]
	}
	return ids
}

// word appends the tokens of one word.
func (t *Tokenizer) word(ids []int32, word string) []int32 {
	if known, ok := t.cache.get(word); ok {
		return append(ids, known...)
	}
	begin := len(ids)
	ids = t.bpe.encode(ids, word)
	t.cache.put(word, ids[begin:])
	return ids
}
