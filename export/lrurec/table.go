package lrurec

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"mllm4rec/export/weights"
)

// layerNormEpsilon is PyTorch's, which the model is trained with.
const layerNormEpsilon = 1e-5

// table is the item embeddings, float32 [items+1, hidden], read from the weights file row by row.
type table struct {
	file   *weights.File
	path   string
	hidden int
	norm   norm
}

// raw streams the rows as they are.
func (t table) raw() (io.Reader, error) {
	return t.rows(func(int64, []float32) {})
}

// normalized streams the rows after the embedding's LayerNorm; row 0, the padding, is zero.
func (t table) normalized() (io.Reader, error) {
	return t.rows(func(index int64, row []float32) {
		if index == 0 {
			clear(row)
			return
		}
		t.norm.apply(row)
	})
}

// apply is LayerNorm in place, in float64.
func (n norm) apply(row []float32) {
	var sum, squares float64
	for _, v := range row {
		sum += float64(v)
	}
	mean := sum / float64(len(row))
	for _, v := range row {
		squares += (float64(v) - mean) * (float64(v) - mean)
	}
	scale := 1 / math.Sqrt(squares/float64(len(row))+layerNormEpsilon)
	for i, v := range row {
		row[i] = float32((float64(v)-mean)*scale*float64(n.weight[i]) + float64(n.bias[i]))
	}
}

// rows streams the table with change applied to each row. A number that is not finite ends it with an error.
func (t table) rows(change func(index int64, row []float32)) (io.Reader, error) {
	r, err := t.file.Reader("embedding.token.weight")
	if err != nil {
		return nil, err
	}
	return &rowReader{
		in: bufio.NewReaderSize(r, 1<<20), change: change, path: t.path,
		values: make([]float32, t.hidden), bytes: make([]byte, 4*t.hidden),
	}, nil
}

type rowReader struct {
	in     io.Reader
	change func(int64, []float32)
	path   string
	values []float32
	bytes  []byte
	index  int64
	left   []byte // of bytes, not yet handed out
}

func (r *rowReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *rowReader) next() error {
	if _, err := io.ReadFull(r.in, r.bytes); err != nil {
		return err
	}
	for i := range r.values {
		v := math.Float32frombits(binary.LittleEndian.Uint32(r.bytes[4*i:]))
		if notFinite(v) {
			return fmt.Errorf("%s: the embedding of item %d holds %v", r.path, r.index, v)
		}
		r.values[i] = v
	}
	r.change(r.index, r.values)
	for i, v := range r.values {
		binary.LittleEndian.PutUint32(r.bytes[4*i:], math.Float32bits(v))
	}
	r.index++
	r.left = r.bytes
	return nil
}
