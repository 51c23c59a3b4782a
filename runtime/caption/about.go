package caption

import "mllm4rec/runtime/ort/modelfile"

// Info is what the file says of itself: base, precision and the tokenizer's fingerprint among its metadata.
func (c *Captioner) Info() *modelfile.Info { return c.session.Model() }

// Fingerprint identifies the captioner: checkpoint, precision, vocabulary and the form of its pictures, and not where its file
// lies.
func (c *Captioner) Fingerprint() string { return c.Info().Fingerprint() }

// PictureBytes is about what captioning takes beside the weights, for each picture of a batch: the ViT's largest layer, and for
// each beam keys and values of the longest caption and scores of all words. Of both there may be three at a time: before a
// round, in the order of beams, and after it.
func (c *Captioner) PictureBytes(o Options) int64 {
	o = c.filled(o)
	const copies, score = 3, 4
	tokens := int64(c.queries + 1 + len(o.Prompt) + o.MaxTokens)
	return int64(c.pictureBytes) + copies*int64(o.Beams)*(tokens*int64(c.tokenBytes)+score*int64(c.vocabulary))
}
