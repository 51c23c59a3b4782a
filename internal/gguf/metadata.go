package gguf

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// Metadata is a file's keys and their values: uint8 … float64, bool, string, or a slice of one of these. The methods
// return an error that names the key where it is missing or holds something else; ask Has first for what may be missing.
type Metadata map[string]any

const (
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
	// maxAlignment bounds the padding between tensors.
	maxAlignment = 1 << 20
	// maxKey is the longest key that the format allows, in bytes.
	maxKey = 1<<16 - 1
	// smallestEntry is the least that a key and its value take: key length, kind, one byte.
	smallestEntry = 8 + 4 + 1
)

// metadata reads count keys and values.
func (r *reader) metadata(count uint64) (Metadata, error) {
	if err := r.fits(count, smallestEntry); err != nil {
		return nil, fmt.Errorf("it claims %d metadata keys: %w", count, err)
	}
	m := Metadata{}
	for i := range count {
		key, err := r.text()
		if err != nil {
			return nil, fmt.Errorf("metadata key %d: %w", i, err)
		}
		if _, twice := m[key]; twice || len(key) > maxKey {
			return nil, fmt.Errorf("metadata key %d (%.100q) is there twice or above %d bytes", i, key, maxKey)
		}
		k := kind(r.uint32())
		if r.err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", key, r.err)
		}
		if m[key], err = r.value(k, 0); err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", key, err)
		}
	}
	return m, nil
}

// alignment is what offsets of tensors are multiples of.
func (m Metadata) alignment() (int64, error) {
	if !m.Has(alignmentKey) {
		return defaultAlignment, nil
	}
	n, err := m.Uint(alignmentKey)
	if err != nil {
		return 0, err
	}
	if n == 0 || n%8 != 0 || n > maxAlignment {
		return 0, fmt.Errorf("metadata key %q is %d; it must be a multiple of 8 up to %d", alignmentKey, n, maxAlignment)
	}
	return int64(n), nil
}

// Has tells whether the key is there.
func (m Metadata) Has(key string) bool {
	_, ok := m[key]
	return ok
}

// Keys are all keys, sorted.
func (m Metadata) Keys() []string { return slices.Sorted(maps.Keys(m)) }

// String is a text.
func (m Metadata) String(key string) (string, error) { return get[string](m, key, "a text") }

// Bool is a truth value.
func (m Metadata) Bool(key string) (bool, error) { return get[bool](m, key, "a truth value") }

// Strings is an array of texts. The caller does not change it.
func (m Metadata) Strings(key string) ([]string, error) {
	return get[[]string](m, key, "an array of texts")
}

// Uint is a whole number from 0, of any size and sign in the file.
func (m Metadata) Uint(key string) (uint64, error) {
	n, err := m.Int(key)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("metadata key %q is %d, it must not be negative", key, n)
	}
	return uint64(n), nil
}

// Int is a whole number, of any size and sign in the file.
func (m Metadata) Int(key string) (int64, error) {
	v, err := m.value(key)
	if err != nil {
		return 0, err
	}
	n, ok := integer(v)
	if !ok {
		return 0, wrongKind(key, v, "a whole number")
	}
	return n, nil
}

// Float is a number with a fraction. One that the file holds in 32 bits is given as the shortest decimal that means it:
// 1e-05, as the model's authors wrote it, and not 9.999999747378752e-06.
func (m Metadata) Float(key string) (float64, error) {
	v, err := m.value(key)
	if err != nil {
		return 0, err
	}
	switch x := v.(type) {
	case float32:
		return shortest(x), nil
	case float64:
		return x, nil
	}
	return 0, wrongKind(key, v, "a number with a fraction")
}

// Ints is an array of whole numbers, of any size and sign in the file.
func (m Metadata) Ints(key string) ([]int64, error) {
	v, err := m.value(key)
	if err != nil {
		return nil, err
	}
	numbers, ok := integers(v)
	if !ok {
		return nil, wrongKind(key, v, "an array of whole numbers")
	}
	return numbers, nil
}

// Floats is an array of 32-bit numbers with a fraction. The caller does not change it.
func (m Metadata) Floats(key string) ([]float32, error) {
	return get[[]float32](m, key, "an array of 32-bit numbers with a fraction")
}

func (m Metadata) value(key string) (any, error) {
	v, ok := m[key]
	if !ok {
		return nil, fmt.Errorf("metadata key %q is missing", key)
	}
	return v, nil
}

func get[T any](m Metadata, key, what string) (T, error) {
	v, err := m.value(key)
	x, ok := v.(T)
	if err == nil && !ok {
		err = wrongKind(key, v, what)
	}
	return x, err
}

func wrongKind(key string, v any, want string) error {
	return fmt.Errorf("metadata key %q holds %T where %s belongs", key, v, want)
}

func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	}
	return 0, false
}

func integers(v any) ([]int64, bool) {
	switch all := v.(type) {
	case []uint8:
		return widen(all), true
	case []int8:
		return widen(all), true
	case []uint16:
		return widen(all), true
	case []int16:
		return widen(all), true
	case []uint32:
		return widen(all), true
	case []int32:
		return widen(all), true
	case []int64:
		return all, true
	case []uint64:
		return widen(all), !slices.ContainsFunc(all, func(n uint64) bool { return n > math.MaxInt64 })
	}
	return nil, false
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64](all []T) []int64 {
	wide := make([]int64, len(all))
	for i, n := range all {
		wide[i] = int64(n)
	}
	return wide
}

// shortest widens by way of the shortest decimal that means x.
func shortest(x float32) float64 {
	wide, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x)
	}
	return wide
}
