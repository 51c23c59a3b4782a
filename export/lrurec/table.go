package lrurec

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"mllm4rec/export/weights"
)

// layerNormEpsilon is PyTorch's, which the model is trained with.
const layerNormEpsilon = 1e-5

// tableName is the item table's in the weights file.
const tableName = "embedding.token.weight"

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
	r, err := t.file.Reader(tableName)
	if err != nil {
		return nil, err
	}
	return &rowReader{in: r, table: t, change: change, block: make([]byte, rowsAtOnce*4*t.hidden), row: make([]float32, t.hidden)}, nil
}

// rowsAtOnce are read and handed out together.
const rowsAtOnce = 1024

// rowReader is the stream of a table.
type rowReader struct {
	in     io.Reader
	table  table
	change func(index int64, row []float32)
	block  []byte
	row    []float32
	index  int64
	left   []byte // of block, not yet handed out
}

// Read implements io.Reader.
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

// next reads and changes the next rows. The file holds whole rows: its size has been checked.
func (r *rowReader) next() error {
	n, err := io.ReadFull(r.in, r.block)
	if n == 0 {
		return err
	}
	r.left = r.block[:n]
	for at := 0; at < n; at += 4 * len(r.row) {
		if err := r.changeRow(r.block[at : at+4*len(r.row)]); err != nil {
			return err
		}
	}
	return nil
}

func (r *rowReader) changeRow(bytes []byte) error {
	for i := range r.row {
		v := math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:]))
		if notFinite(v) {
			return fmt.Errorf("%s: the embedding of item %d holds %v", r.table.path, r.index, v)
		}
		r.row[i] = v
	}
	r.change(r.index, r.row)
	for i, v := range r.row {
		binary.LittleEndian.PutUint32(bytes[4*i:], math.Float32bits(v))
	}
	r.index++
	return nil
}
