package main

import "mllm4rec/export/blip2"

// flop counts the floating-point operations of a picture that are products of matrices, two a multiplication with its addition: of
// the vision model, of the Q-Former with the projection, and of the language model for so many new tokens.
func flop(c *blip2.Config, tokens int) (vision, qformer, language float64) {
	v, q, t := &c.Vision, &c.QFormer, &c.Text
	side := v.ImageSize / v.PatchSize
	patches := side*side + 1
	vision = linear(side*side, 3*v.PatchSize*v.PatchSize, v.Hidden)
	vision += float64(v.Layers) * (layer(patches, v.Hidden, v.Intermediate) + attention(patches, patches, v.Hidden))
	qformer = linear(c.Queries, q.Hidden, t.Hidden)
	for i := range q.Layers {
		qformer += layer(c.Queries, q.Hidden, q.Intermediate) + attention(c.Queries, c.Queries, q.Hidden)
		if i%q.CrossEvery == 0 {
			qformer += 2*linear(c.Queries, q.Hidden, q.Hidden) + 2*linear(patches, v.Hidden, q.Hidden) + attention(c.Queries, patches, q.Hidden)
		}
	}
	for round := range tokens {
		fed, known := 1, c.Queries+1+round
		if round == 0 {
			fed = c.Queries + 1
		}
		language += float64(t.Layers)*(layer(fed, t.Hidden, t.Intermediate)+attention(fed, known, t.Hidden)) + linear(1, t.Hidden, t.VocabSize)
	}
	return vision, qformer, language
}

func linear(rows, in, out int) float64 { return 2 * float64(rows) * float64(in) * float64(out) }

// layer is queries, keys, values, their mixture and the feed-forward network.
func layer(rows, hidden, intermediate int) float64 {
	return 4*linear(rows, hidden, hidden) + 2*linear(rows, hidden, intermediate)
}

// attention is the scores and the sum that they weigh.
func attention(rows, known, hidden int) float64 { return 2 * linear(rows, hidden, known) }
