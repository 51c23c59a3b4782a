package gguf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// maxDims is how many dimensions a ggml tensor can have.
const maxDims = 4

// Tensor is an entry of the tensor table.
type Tensor struct {
	Name string
	Type Type
	// Shape is row-major like everywhere else in this program: [rows, columns]. The file stores it the other way around.
	Shape []int64

	offset int64 // in the file, once place has checked it
	bytes  int64
}

// Bytes is the tensor's size in the file.
func (t Tensor) Bytes() int64 { return t.bytes }

// Elements is the product of its shape.
func (t Tensor) Elements() int64 {
	elements, bytes := t.Type.Block()
	return t.bytes / bytes * elements
}

// smallestTensor is the least that an entry of the table takes: name length, dimensions, type, offset.
const smallestTensor = 8 + 4 + 4 + 8

// tensors reads the table.
func (r *reader) tensors(count uint64) ([]Tensor, error) {
	if err := r.fits(count, smallestTensor); err != nil {
		return nil, fmt.Errorf("its table claims %d tensors: %w", count, err)
	}
	tensors := make([]Tensor, count)
	for i := range tensors {
		if err := r.tensor(&tensors[i]); err != nil {
			return nil, fmt.Errorf("tensor %d (%.100q) of the table: %w", i, tensors[i].Name, err)
		}
	}
	return tensors, nil
}

func (r *reader) tensor(t *Tensor) (err error) {
	if t.Name, err = r.text(); err != nil {
		return err
	}
	dims := r.uint32()
	if r.err == nil && dims > maxDims {
		return fmt.Errorf("it has %d dimensions, the most is %d", dims, maxDims)
	}
	for range dims {
		dim := r.uint64()
		if dim > math.MaxInt64 {
			return fmt.Errorf("dimension %d is too large", dim)
		}
		t.Shape = append(t.Shape, int64(dim))
	}
	slices.Reverse(t.Shape)
	t.Type = Type(r.uint32())
	offset := r.uint64()
	if r.err != nil {
		return r.err
	}
	if offset > math.MaxInt64 {
		return fmt.Errorf("its offset %d is too large", offset)
	}
	t.offset = int64(offset)
	t.bytes, err = byteSize(t.Type, t.Shape)
	return err
}

// byteSize is the size of a tensor whose rows are whole blocks.
func byteSize(t Type, shape []int64) (int64, error) {
	elements, bytes := t.Block()
	if elements == 0 {
		return 0, fmt.Errorf("it is of %s, which this program does not know; use a file in F16, Q8_0, Q4_K or the like", t)
	}
	columns := int64(1)
	if len(shape) > 0 {
		columns = shape[len(shape)-1]
	}
	if columns%elements != 0 {
		return 0, fmt.Errorf("rows of %d are not whole blocks of %d (%s)", columns, elements, t)
	}
	// The numbers are counted, and not the blocks alone, so that their product cannot overflow later.
	count := int64(1)
	for _, dim := range shape {
		if dim > 0 && count > math.MaxInt64/8/dim {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		count *= dim
	}
	return count / elements * bytes, nil
}

// place turns offsets behind the table into offsets in the file, and checks that every tensor lies inside the file, at a
// multiple of the alignment, and on no other's bytes.
func place(tensors []Tensor, table, size, alignment int64) error {
	data := table + (alignment-table%alignment)%alignment
	order := make([]int, len(tensors))
	for i := range tensors {
		t := &tensors[i]
		order[i] = i
		switch {
		case t.offset%alignment != 0:
			return fmt.Errorf("tensor %q: its offset %d is no multiple of the alignment %d", t.Name, t.offset, alignment)
		case t.offset > size, t.bytes > 0 && (data > size || t.offset > size-data || t.bytes > size-data-t.offset):
			return fmt.Errorf("tensor %q: takes %d bytes from byte %d on, the file has %d: cut off or damaged",
				t.Name, t.bytes, data+t.offset, size)
		}
		t.offset += data
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(tensors[a].offset, tensors[b].offset) })
	end := int64(0)
	for _, i := range order {
		t := tensors[i]
		if t.bytes == 0 {
			continue
		}
		if t.offset < end {
			return fmt.Errorf("tensor %q: begins inside another one", t.Name)
		}
		end = t.offset + t.bytes
	}
	return nil
}

// errShort is what a reader says at the end of the file.
var errShort = errors.New("the file ends there: cut off or damaged")
