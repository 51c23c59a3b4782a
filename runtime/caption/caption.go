// Package caption says in words what is on pictures, with a captioner that export/blip2 wrote and ONNX Runtime runs.
//
// In go the pixel values of a batch of pictures, [batch, 3, size, size], resized and normalised as Pictures says; out come
// the token ids of a caption each. A batch is one run: keys and values stay inside ONNX Runtime from the first token to
// the last, and the run is over when all captions have ended. Words makes text of tokens, with the vocabulary that the
// model's file carries along.
package caption

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mllm4rec/internal/fail"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/ort/modelfile"
)

// Pictures is how the model wants pictures: Size × Size pixels, resized as Pillow does it bicubically; of each colour (red,
// green, blue) values of 0 to 1 less Mean divided by Std.
type Pictures struct {
	Size      int
	Mean, Std [3]float32
}

// Options say how captions are made. The zero value decodes greedily, up to 20 tokens.
type Options struct {
	// Prompt is what the caption goes on from, as tokens without BOS: "Question: what is this? Answer:".
	Prompt []int32
	// MaxTokens is the most tokens of a caption; 0 is 20.
	MaxTokens int
	// Beams is the width of a beam search; 0 and 1 decode greedily.
	Beams int
	// Ends are the tokens that end a caption; nil are the model's own.
	Ends []int32
}

const defaultTokens = 20

// Captioner is an opened model. Generate may be called from several goroutines at once, which share its threads; Close
// may not run beside it.
type Captioner struct {
	session  *ort.Session
	path     string
	pictures Pictures
	sizes
	ends []int32
}

// sizes are numbers that the metadata tells.
type sizes struct {
	queries, positions, vocabulary, bos, pad int
	pictureBytes, tokenBytes                 int // beside the weights: of a picture, and of a token's keys and values
}

// Bounds of what a model file may claim, far above any model's.
const (
	maxSide       = 1 << 13
	maxPositions  = 1 << 20
	maxVocabulary = 1 << 24
	maxBeams      = 1 << 8
	maxPicture    = 1 << 40 // bytes
	maxToken      = 1 << 32 // bytes
)

// Open opens a captioner. Options.Threads is how many threads work on a batch; 0 is one a physical core. A file that is no
// captioner, or of a form that this program does not know, is a usage error.
func Open(model string, o ort.Options) (*Captioner, error) {
	o.Kind, o.Ranges = "captioner", ranges
	session, err := ort.Open(model, o)
	if err != nil {
		return nil, err
	}
	c := &Captioner{session: session, path: model}
	if err := c.readModel(); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return c, nil
}

// readModel takes sizes and tokens from the metadata and refuses a graph of another form.
func (c *Captioner) readModel() error {
	m := c.session.Model()
	for _, field := range []struct {
		key       string
		to        *int
		low, most int
	}{
		{"image_size", &c.pictures.Size, 1, maxSide}, {"queries", &c.queries, 1, maxPositions}, {"max_length", &c.positions, 1, maxPositions},
		{"vocabulary", &c.vocabulary, 1, maxVocabulary}, {"bos", &c.bos, 0, maxVocabulary}, {"pad", &c.pad, 0, maxVocabulary},
		{"picture_bytes", &c.pictureBytes, 1, maxPicture}, {"token_bytes", &c.tokenBytes, 1, maxToken},
	} {
		var err error
		if *field.to, err = m.Int("mllm4rec."+field.key, field.low, field.most); err != nil {
			return err
		}
	}
	for key, to := range map[string]*[3]float32{"image_mean": &c.pictures.Mean, "image_std": &c.pictures.Std} {
		if err := c.readColours(m, key, to); err != nil {
			return err
		}
	}
	if err := c.readEnds(m); err != nil {
		return err
	}
	in, out := []string{"pixels", "prompt", "blank", "ends"}, []string{"tokens"}
	if !slices.Equal(m.InputNames(), in) || !slices.Equal(m.OutputNames(), out) {
		return fail.Usagef("%s: a captioner takes %s and gives %s; this one takes %s and gives %s", c.path, strings.Join(in, ", "),
			strings.Join(out, ", "), strings.Join(m.InputNames(), ", "), strings.Join(m.OutputNames(), ", "))
	}
	return nil
}

// readColours reads a number a colour, like "0.48 0.45 0.4"; of a standard deviation none may be 0.
func (c *Captioner) readColours(m *modelfile.Info, key string, to *[3]float32) error {
	text := m.Metadata["mllm4rec."+key]
	words := strings.Fields(text)
	for i, word := range words {
		v, err := strconv.ParseFloat(word, 32)
		if err != nil || v-v != 0 || len(words) != len(to) || key == "image_std" && v <= 0 {
			words = nil
			break
		}
		to[i] = float32(v)
	}
	if len(words) != len(to) {
		return fail.Usagef("%s: mllm4rec.%s is %q, want a number for red, green and blue each", c.path, key, text)
	}
	return nil
}

func (c *Captioner) readEnds(m *modelfile.Info) error {
	for _, word := range strings.Fields(m.Metadata["mllm4rec.eos"]) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil || !c.knows(int32(id)) {
			return fail.Usagef("%s: mllm4rec.eos holds %q, want tokens below %d", c.path, word, c.vocabulary)
		}
		c.ends = append(c.ends, int32(id))
	}
	if !c.knows(int32(c.bos)) || !c.knows(int32(c.pad)) {
		return fail.Usagef("%s: mllm4rec.bos is %d and mllm4rec.pad %d, want tokens below %d", c.path, c.bos, c.pad, c.vocabulary)
	}
	return nil
}

func (c *Captioner) knows(token int32) bool { return token >= 0 && int(token) < c.vocabulary }

// Pictures is how the model wants its pictures.
func (c *Captioner) Pictures() Pictures { return c.pictures }

// Vocabulary is the tokenizer.json that the model's file carries along; tokenizer.Parse reads it.
func (c *Captioner) Vocabulary() []byte {
	return []byte(c.session.Model().Metadata["mllm4rec.tokenizer_json"])
}

// Provider is what the model runs on, such as "cpu".
func (c *Captioner) Provider() string { return c.session.Provider() }

// Close frees the model.
func (c *Captioner) Close() error { return c.session.Close() }

// Check tells whether captions can be made so, before there are pictures: a usage error says what is too large or unknown.
func (c *Captioner) Check(o Options) error {
	o = c.filled(o)
	length := c.queries + 1 + len(o.Prompt) + o.MaxTokens
	switch {
	case o.MaxTokens < 1:
		return fail.Usagef("captions of %d tokens: give 1 or more", o.MaxTokens)
	case o.Beams < 1 || o.Beams > maxBeams || o.candidates() > c.vocabulary:
		return fail.Usagef("%d beams: give 1 to %d, and %d or fewer for a vocabulary of %d", o.Beams, maxBeams, c.vocabulary/max(2, 1+len(o.Ends)), c.vocabulary)
	case length > c.positions:
		return fail.Usagef("a picture's %d places, a prompt of %d tokens and a caption of %d: %s has %d positions", c.queries, len(o.Prompt)+1, o.MaxTokens, c.path, c.positions)
	}
	for _, token := range slices.Concat(o.Prompt, o.Ends) {
		if !c.knows(token) {
			return fail.Usagef("token %d of the prompt or the ends: the vocabulary of %s ends at %d: its tokenizer belongs to another model", token, c.path, c.vocabulary)
		}
	}
	return nil
}

// filled is o with what it leaves open.
func (c *Captioner) filled(o Options) Options {
	if o.MaxTokens == 0 {
		o.MaxTokens = defaultTokens
	}
	if o.Beams == 0 {
		o.Beams = 1
	}
	if o.Ends == nil {
		o.Ends = c.ends
	}
	return o
}

// candidates is how many continuations a round of beam search looks at; greedy decoding needs one.
func (o Options) candidates() int {
	if o.Beams <= 1 {
		return 1
	}
	return o.Beams * max(2, 1+len(o.Ends))
}

// Generate makes a caption for each picture of pixels, float32 [batch, 3, size, size]: its tokens, with the one that ended
// it, if one did. Equal to what Hugging Face's generate adds to the prompt, padding taken away.
func (c *Captioner) Generate(ctx context.Context, pixels []float32, o Options) ([][]int32, error) {
	if err := c.Check(o); err != nil {
		return nil, err
	}
	each := 3 * c.pictures.Size * c.pictures.Size
	if len(pixels)%each != 0 {
		return nil, fmt.Errorf("%d pixel values are no whole number of pictures of 3 × %d × %d", len(pixels), c.pictures.Size, c.pictures.Size)
	}
	if len(pixels) == 0 {
		return nil, nil
	}
	return c.run(ctx, pixels, len(pixels)/each, c.filled(o))
}
