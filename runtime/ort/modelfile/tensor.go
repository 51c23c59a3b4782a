package modelfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

const (
	// maxRank is above every tensor that ONNX Runtime can run.
	maxRank = 64
	// maxInts is the longest list of whole numbers that an attribute may hold.
	maxInts = 1 << 20
)

// dataType is one of TensorProto.DataType: its name, the bits an element takes in raw_data, and the field that holds the
// elements where raw_data does not.
type dataType struct {
	name  string
	bits  int64
	field int
}

const (
	floatData, int32Data, stringData, int64Data, doubleData, uint64Data = 4, 5, 6, 7, 10, 11
	stringType, int64Type                                               = 8, 7
)

var dataTypes = map[int64]dataType{
	1: {"float", 32, floatData}, 2: {"uint8", 8, int32Data}, 3: {"int8", 8, int32Data}, 4: {"uint16", 16, int32Data},
	5: {"int16", 16, int32Data}, 6: {"int32", 32, int32Data}, 7: {"int64", 64, int64Data}, 8: {"string", 0, stringData},
	9: {"bool", 8, int32Data}, 10: {"float16", 16, int32Data}, 11: {"double", 64, doubleData}, 12: {"uint32", 32, uint64Data},
	13: {"uint64", 64, uint64Data}, 14: {"complex64", 64, floatData}, 15: {"complex128", 128, doubleData}, 16: {"bfloat16", 16, int32Data},
	17: {"float8e4m3fn", 8, int32Data}, 18: {"float8e4m3fnuz", 8, int32Data}, 19: {"float8e5m2", 8, int32Data}, 20: {"float8e5m2fnuz", 8, int32Data},
	21: {"uint4", 4, int32Data}, 22: {"int4", 4, int32Data}, 23: {"float4e2m1", 4, int32Data}, 24: {"float8e8m0", 8, int32Data},
	25: {"uint2", 2, int32Data}, 26: {"int2", 2, int32Data},
}

// tensor is what the walk reads of a TensorProto.
type tensor struct {
	name     string
	dims     []int64
	kind     int64
	raw      *span
	typed    map[int]int64 // field → numbers in it
	inline   []int64       // numbers of int64_data, where they are few
	external map[string]string
	outside  bool
	values   []int64 // of a small int64 tensor
}

// tensor: 1 dims, 2 data_type, 3 segment, 4…7, 10, 11 typed data, 8 name, 9 raw_data, 13 external_data, 14 data_location.
func (w *walker) tensor(f field) (tensor, error) {
	t := tensor{typed: map[int]int64{}}
	err := w.each(f, func(f field) (err error) {
		switch n := int(f.number); n {
		case 1:
			t.dims, err = w.in.numbers(t.dims, f, maxRank)
		case 2:
			t.kind, err = f.varint()
		case 3:
			err = fmt.Errorf("it comes in segments, which nobody writes")
		case floatData, int32Data, stringData, int64Data, doubleData, uint64Data:
			err = w.typed(&t, n, f)
		case 8:
			t.name, err = w.in.text(f)
		case 9:
			t.raw, err = &f.span, f.message()
		case 13:
			err = w.externalEntry(&t, f)
		case 14:
			t.outside, err = f.flag()
		}
		return err
	})
	if err == nil {
		err = w.checkTensor(&t)
	}
	if err != nil {
		return t, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return t, nil
}

// typed counts the numbers, or strings, of one field of a tensor.
func (w *walker) typed(t *tensor, number int, f field) error {
	if number == stringData {
		t.typed[number]++
		return nil
	}
	each := map[int]int64{floatData: 4, doubleData: 8}[number]
	n, err := w.in.count(f, each)
	if err != nil {
		return err
	}
	if t.typed[number] += n; number == int64Data && t.typed[number] <= maxRank {
		t.inline, err = w.in.numbers(t.inline, f, maxRank)
	}
	return err
}

// checkTensor compares what the tensor says it holds with what it holds.
func (w *walker) checkTensor(t *tensor) error {
	kind, ok := dataTypes[t.kind]
	if !ok {
		return fmt.Errorf("data type %d is unknown", t.kind)
	}
	n, err := elements(t.dims)
	if err != nil {
		return err
	}
	if n > math.MaxInt64/128 {
		return fmt.Errorf("shape %v is too large", t.dims)
	}
	size := (n*kind.bits + 7) / 8
	switch {
	case t.outside:
		return w.checkExternal(t, size)
	case len(t.external) > 0:
		return fmt.Errorf("it names external data but says that it is inside")
	case t.raw != nil:
		if t.kind == stringType || len(t.typed) > 0 || t.raw.len() != size {
			return fmt.Errorf("%s %v takes %d bytes, raw_data holds %d", kind.name, t.dims, size, t.raw.len())
		}
	default:
		if err := t.checkTyped(kind, n); err != nil {
			return err
		}
	}
	return w.readValues(t)
}

// checkTyped compares the count of numbers: two for a complex element, one for several of below a byte.
func (t *tensor) checkTyped(kind dataType, n int64) error {
	want := n
	switch {
	case kind.name == "complex64" || kind.name == "complex128":
		want = 2 * n
	case kind.bits > 0 && kind.bits < 8:
		want = (n*kind.bits + 7) / 8
	}
	for field, found := range t.typed {
		if field != kind.field && found > 0 {
			return fmt.Errorf("%s %v holds data of another type", kind.name, t.dims)
		}
	}
	if found := t.typed[kind.field]; found != want {
		return fmt.Errorf("%s %v takes %d values, it holds %d", kind.name, t.dims, want, found)
	}
	return nil
}

// readValues reads what could be a shape: at most maxRank int64.
func (w *walker) readValues(t *tensor) error {
	if t.kind != int64Type || len(t.dims) > 1 {
		return nil
	}
	if int64(len(t.inline)) == t.typed[int64Data] {
		t.values = t.inline
	}
	if t.raw == nil || t.raw.len() > maxRank*8 {
		return nil
	}
	b, err := w.in.at(t.raw.start, int(t.raw.len()))
	if err != nil {
		return err
	}
	for ; len(b) >= 8; b = b[8:] {
		t.values = append(t.values, int64(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

// elements multiplies dimensions and refuses negative ones and overflow.
func elements(dims []int64) (int64, error) {
	n, empty := uint64(1), false
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", dims)
		}
		if d == 0 {
			empty = true
			continue
		}
		high, low := bits.Mul64(n, uint64(d))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v is too large", dims)
		}
		n = low
	}
	if empty {
		return 0, nil
	}
	return int64(n), nil
}
