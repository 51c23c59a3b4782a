package caption

import (
	"context"
	"fmt"
	"slices"

	"mllm4rec/runtime/ort"
)

// run runs the model over a batch of count pictures.
func (c *Captioner) run(ctx context.Context, pixels []float32, count int, o Options) ([][]int32, error) {
	prompt := slices.Concat([]int32{int32(c.bos)}, o.Prompt)
	blank := slices.Repeat([]int64{int64(c.pad)}, count*o.Beams*o.MaxTokens)
	tokens, ends := make([]int64, count*o.MaxTokens), ends(o)
	var lent ort.Lent
	defer lent.Close()
	in := []ort.Value{
		ort.Lend(&lent, pixels, count, 3, c.pictures.Size, c.pictures.Size), ort.Lend(&lent, prompt, len(prompt)),
		ort.Lend(&lent, blank, count, o.Beams, o.MaxTokens), ort.Lend(&lent, ends, len(ends)),
	}
	out := []ort.Value{ort.Lend(&lent, tokens, count, o.MaxTokens)}
	if err := lent.Err(); err != nil {
		return nil, err
	}
	if err := c.session.Run(ctx, in, out); err != nil {
		return nil, err
	}
	captions := make([][]int32, count)
	for i := range captions {
		var err error
		if captions[i], err = c.cut(tokens[i*o.MaxTokens:(i+1)*o.MaxTokens], o.Ends); err != nil {
			return nil, err
		}
	}
	return captions, nil
}

// ends are the tokens that end a caption as the model takes them, at least one; no token is −1.
func ends(o Options) []int64 {
	all := []int64{}
	for _, id := range o.Ends {
		all = append(all, int64(id))
	}
	if len(all) == 0 {
		all = append(all, -1)
	}
	return all
}

// cut takes the padding behind the first end away.
func (c *Captioner) cut(row []int64, ends []int32) ([]int32, error) {
	ids := make([]int32, 0, len(row))
	for _, id := range row {
		if id < 0 || id >= int64(c.vocabulary) {
			return nil, fmt.Errorf("%s: the model gave words scores that are no numbers: its weights are broken, or its precision too low for it", c.path)
		}
		ids = append(ids, int32(id))
		if slices.Contains(ends, int32(id)) {
			break
		}
	}
	return ids, nil
}
