package onnx

import (
	"errors"
	"fmt"
	"math"
)

// Reshape gives v other dimensions with as many elements, in the same order. Named dimensions are kept where they stand,
// found from the number of elements (one of them, or the one that is unknown), or read from a value that has them.
func (g *Graph) Reshape(v Value, dims ...Dim) Value {
	if v.failed {
		return v
	}
	if err := sameElements(v.typ.Shape, dims); err != nil {
		return g.fail("Reshape(%v) to %v: %w", v, Shape(dims), err)
	}
	c := call{op: "Reshape", inputs: []Value{v, g.reshapeTarget(v, dims)}}
	return g.add1(c, func() (Type, error) { return Type{v.typ.DType, dims}, nil })
}

// reshapeTarget is the int64 shape for Reshape: numbers, 0 for a dimension that stays in its place, −1 for one that
// follows from the others; any further named one makes the whole shape computed.
func (g *Graph) reshapeTarget(v Value, dims []Dim) Value {
	target := make([]int64, len(dims))
	inferred, computed := false, false
	for i, d := range dims {
		n, ok := d.Size()
		switch {
		case ok && n > 0:
			target[i] = n
		case !ok && i < len(v.typ.Shape) && v.typ.Shape[i] == d && !d.unknown():
			target[i] = 0
		case !ok && !inferred:
			target[i], inferred = -1, true
		default:
			computed = true
		}
	}
	if !computed {
		return g.Ints(target...)
	}
	sizes := make([]Value, len(dims))
	for i, d := range dims {
		if sizes[i] = g.Ints(-1); !d.unknown() {
			sizes[i] = g.SizeOf(d)
		}
	}
	return g.Concat(0, sizes...)
}

// sameElements compares the products of two shapes as far as they can be known: equal names are taken out of both.
func sameElements(s, t Shape) error {
	names := map[string]int{}
	products := [2]int64{1, 1}
	for side, shape := range []Shape{s, t} {
		for _, d := range shape {
			n, ok := d.Size()
			switch {
			case ok && (n == 0 || products[side] <= math.MaxInt64/n):
				products[side] *= n
			case ok:
				return errors.New("too many elements")
			default:
				names[d.String()] += 1 - 2*side
			}
		}
	}
	for name, count := range names {
		if count != 0 || name == "?" {
			return nil
		}
	}
	if products[0] != products[1] {
		return fmt.Errorf("%d elements cannot be %d", products[0], products[1])
	}
	return nil
}

// Transpose puts the axes into the order of perm.
func (g *Graph) Transpose(v Value, perm ...int) Value {
	order := make([]int64, len(perm))
	for i, p := range perm {
		order[i] = int64(p)
	}
	c := call{op: "Transpose", inputs: []Value{v}, attrs: attrs(attrInts("perm", order...))}
	return g.add1(c, func() (Type, error) {
		seen := map[int]bool{}
		var shape Shape
		for _, p := range perm {
			if p < 0 || p >= len(v.typ.Shape) || seen[p] {
				return Type{}, fmt.Errorf("%v is no order of its axes", perm)
			}
			seen[p] = true
			shape = append(shape, v.typ.Shape[p])
		}
		if len(perm) != len(v.typ.Shape) {
			return Type{}, fmt.Errorf("%v is no order of its axes", perm)
		}
		return Type{v.typ.DType, shape}, nil
	})
}

// Unsqueeze puts a dimension of 1 before axis (an axis of the result).
func (g *Graph) Unsqueeze(v Value, axis int) Value {
	c := call{op: "Unsqueeze", inputs: []Value{v, g.Ints(int64(axis))}}
	return g.add1(c, func() (Type, error) {
		shape := append(Shape{Num(1)}, v.typ.Shape...)
		at, err := shape.axis(axis)
		if err != nil {
			return Type{}, err
		}
		copy(shape, v.typ.Shape[:at])
		shape[at] = Num(1)
		return Type{v.typ.DType, shape}, nil
	})
}

// Squeeze takes out a dimension of 1.
func (g *Graph) Squeeze(v Value, axis int) Value {
	c := call{op: "Squeeze", inputs: []Value{v, g.Ints(int64(axis))}}
	return g.add1(c, func() (Type, error) {
		at, err := v.typ.Shape.axis(axis)
		if err != nil {
			return Type{}, err
		}
		if !v.typ.Shape[at].fits(Num(1)) {
			return Type{}, fmt.Errorf("dimension %v is not 1", v.typ.Shape[at])
		}
		return Type{v.typ.DType, append(v.typ.Shape[:at:at], v.typ.Shape[at+1:]...)}, nil
	})
}

// Concat joins values along axis. Numbers are summed; where a name is among the dimensions the sum is unknown (Assume
// names it).
func (g *Graph) Concat(axis int, values ...Value) Value {
	c := call{op: "Concat", inputs: values, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add1(c, func() (Type, error) {
		if len(values) == 0 {
			return Type{}, errors.New("needs values")
		}
		dtype, err := sameType(values...)
		if err != nil {
			return Type{}, err
		}
		first := values[0].typ.Shape
		at, err := first.axis(axis)
		if err != nil {
			return Type{}, err
		}
		sum := Num(0)
		for _, v := range values {
			if len(v.typ.Shape) != len(first) || !v.typ.Shape.with(at, Dim{}).fits(first) {
				return Type{}, fmt.Errorf("shapes differ outside axis %d", axis)
			}
			sum = addDims(sum, v.typ.Shape[at])
		}
		return Type{dtype, first.with(at, sum)}, nil
	})
}

func addDims(a, b Dim) Dim {
	m, ok := a.Size()
	n, also := b.Size()
	switch {
	case ok && also:
		return Num(m + n)
	case ok && m == 0:
		return b
	case also && n == 0:
		return a
	}
	return Dim{}
}

// Split cuts v along axis into parts of the given sizes.
func (g *Graph) Split(v Value, axis int, sizes ...int64) []Value {
	c := call{op: "Split", inputs: []Value{v, g.Ints(sizes...)}, attrs: attrs(attrInt("axis", int64(axis)))}
	return g.add(c, len(sizes), func() ([]Type, error) {
		at, err := v.typ.Shape.axis(axis)
		if err != nil {
			return nil, err
		}
		var types []Type
		sum := int64(0)
		for _, n := range sizes {
			sum += n
			types = append(types, Type{v.typ.DType, v.typ.Shape.with(at, Num(n))})
		}
		if !v.typ.Shape[at].fits(Num(sum)) {
			return nil, fmt.Errorf("parts %v do not make %v", sizes, v.typ.Shape[at])
		}
		return types, nil
	})
}

// SliceToEnd is the end of a slice that goes to the end of the axis.
const SliceToEnd = math.MaxInt64

// Slice takes the elements from start to before end along axis; negative ones count from the end of the axis.
func (g *Graph) Slice(v Value, axis int, start, end int64) Value {
	size := Dim{}
	if n, ok := v.Dim(axis).Size(); ok {
		size = Num(max(0, clampIndex(end, n)-clampIndex(start, n)))
	}
	return g.SliceBy(v, axis, g.Ints(start), g.Ints(end), size)
}

func clampIndex(i, n int64) int64 {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

// SliceBy is Slice with bounds that are known when the model runs, int64 [1]; size is what the caller knows to be left.
func (g *Graph) SliceBy(v Value, axis int, start, end Value, size Dim) Value {
	c := call{op: "Slice", inputs: []Value{v, start, end, g.Ints(int64(axis))}}
	return g.add1(c, func() (Type, error) {
		at, err := v.typ.Shape.axis(axis)
		err = errors.Join(err, wantType(start, Int64), wantType(end, Int64), wantShape(start, Num(1)), wantShape(end, Num(1)))
		if err != nil {
			return Type{}, err
		}
		return Type{v.typ.DType, v.typ.Shape.with(at, size)}, nil
	})
}

// PadFront puts count (int64 [1]) zeros before v along axis; size is the dimension that comes out.
func (g *Graph) PadFront(v Value, axis int, count Value, size Dim) Value {
	before := make([]Value, 2*len(v.typ.Shape))
	for i := range before {
		before[i] = g.Ints(0)
	}
	at, err := v.typ.Shape.axis(axis)
	if err != nil {
		return g.fail("Pad(%v): %w", v, err)
	}
	before[at] = count
	c := call{op: "Pad", inputs: []Value{v, g.Concat(0, before...)}}
	return g.add1(c, func() (Type, error) {
		return Type{v.typ.DType, v.typ.Shape.with(at, size)}, wantShape(count, Num(1))
	})
}

// Expand broadcasts v to dims.
func (g *Graph) Expand(v Value, dims ...Dim) Value {
	sizes := make([]Value, len(dims))
	for i, d := range dims {
		sizes[i] = g.SizeOf(d)
	}
	c := call{op: "Expand", inputs: []Value{v, g.Concat(0, sizes...)}}
	return g.add1(c, func() (Type, error) {
		shape, err := broadcast(v.typ.Shape, dims)
		return Type{v.typ.DType, shape}, err
	})
}

// Range is start, start+1, … before limit, int64 [size]; start and limit are int64 scalars.
func (g *Graph) Range(start, limit Value, size Dim) Value {
	return g.add1(call{op: "Range", inputs: []Value{start, limit, g.Int(1)}}, func() (Type, error) {
		err := errors.Join(wantType(start, Int64), wantType(limit, Int64), wantRank(start, 0), wantRank(limit, 0))
		return Type{Int64, Shape{size}}, err
	})
}
