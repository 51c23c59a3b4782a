package onnx

import (
	"errors"
	"fmt"
)

// GroupQuery is the form of an attention whose key and value heads serve several query heads each.
type GroupQuery struct {
	Heads, KVHeads int64
	// Window is how many positions a query sees, its own included; 0 is all before it.
	Window int64
}

// Cache is what attention takes from and leaves for other positions. PastKey and PastValue are
// [batch, kv heads, past, head size] and may have a length of 0; Last is int32 [batch], the last real position of each row
// counted from the first cached one; Total is int32 [1], the length of past and new positions together; Cos and Sin are
// [positions, head size / 2].
type Cache struct {
	PastKey, PastValue, Last, Total, Cos, Sin Value
}

// GroupQueryAttention is causal attention over packed [batch, length, (heads + 2·kv heads) · head size], with queries,
// keys and values in that order, rotated (halves, not interleaved) by their positions. It returns
// [batch, length, heads · head size] and the keys, rotated, and values of all positions, [batch, kv heads, total, head size].
// ONNX Runtime's CPU takes a past that is not empty with one row only.
func (g *Graph) GroupQueryAttention(packed Value, cache Cache, total Dim, o GroupQuery) (out, key, value Value) {
	attributes := attrs(attrInt("num_heads", o.Heads), attrInt("kv_num_heads", o.KVHeads), attrInt("do_rotary", 1))
	if o.Window > 0 {
		attributes = append(attributes, attrInt("local_window_size", o.Window))
	}
	c := call{
		domain: contribDomain, op: "GroupQueryAttention", attrs: attributes,
		inputs: []Value{packed, {}, {}, cache.PastKey, cache.PastValue, cache.Last, cache.Total, cache.Cos, cache.Sin},
	}
	all := g.add(c, 3, func() ([]Type, error) {
		size, err := o.headSize(packed, cache)
		if err != nil {
			return nil, err
		}
		present := Type{packed.typ.DType, Shape{packed.Dim(0), Num(o.KVHeads), total, Num(size)}}
		return []Type{{packed.typ.DType, packed.typ.Shape.with(2, Num(o.Heads*size))}, present, present}, nil
	})
	return all[0], all[1], all[2]
}

// headSize checks the inputs and returns the size of a head.
func (o GroupQuery) headSize(packed Value, cache Cache) (int64, error) {
	if err := wantRank(packed, 3); err != nil {
		return 0, err
	}
	width, ok := packed.Dim(2).Size()
	heads := o.Heads + 2*o.KVHeads
	if !ok || o.KVHeads < 1 || o.Heads%o.KVHeads != 0 || width%(2*heads) != 0 {
		return 0, fmt.Errorf("%d heads over %d do not divide %v", o.Heads, o.KVHeads, packed)
	}
	size := width / heads
	_, err := sameType(packed, cache.PastKey, cache.PastValue, cache.Cos, cache.Sin)
	past := []Dim{packed.Dim(0), Num(o.KVHeads), {}, Num(size)}
	return size, errors.Join(err, wantShape(cache.PastKey, past...), wantShape(cache.PastValue, past...),
		wantType(cache.Last, Int32), wantShape(cache.Last, packed.Dim(0)), wantType(cache.Total, Int32), wantShape(cache.Total, Num(1)),
		wantShape(cache.Cos, Dim{}, Num(size/2)), wantShape(cache.Sin, Dim{}, Num(size/2)))
}

// RotaryEmbedding rotates the heads of v, [batch, length, heads · head size], by their positions, int64 [batch, length]
// or [1] for the first of consecutive ones: halves of a head, not neighbours. cos and sin are [positions, head size / 2].
func (g *Graph) RotaryEmbedding(v, positions, cos, sin Value, heads int64) Value {
	c := call{
		domain: contribDomain, op: "RotaryEmbedding", inputs: []Value{v, positions, cos, sin}, attrs: attrs(attrInt("num_heads", heads)),
	}
	if n, ok := cos.Dim(-1).Size(); ok {
		c.attrs = append(c.attrs, attrInt("rotary_embedding_dim", 2*n))
	}
	return g.add1(c, func() (Type, error) {
		_, err := sameType(v, cos, sin)
		n, ok := cos.Dim(-1).Size()
		if err = errors.Join(err, wantRank(v, 3), wantType(positions, Int64), wantRank(cos, 2), wantRank(sin, 2)); err == nil && ok {
			if width, known := v.Dim(2).Size(); known && width != 2*n*heads {
				err = fmt.Errorf("%d heads of %d do not make %v", heads, 2*n, v)
			}
		}
		return v.typ, err
	})
}

// MultiHeadAttention mixes value by the attention of query to key, [batch, n, width] of so many heads each: key and value
// are as long as each other. The logits are scaled by the root of a head's size.
func (g *Graph) MultiHeadAttention(query, key, value Value, heads int64) Value {
	c := call{domain: contribDomain, op: "MultiHeadAttention", inputs: []Value{query, key, value}, attrs: attrs(attrInt("num_heads", heads))}
	return g.add1(c, func() (Type, error) {
		_, err := headSize(heads, query, key, value)
		return query.typ, errors.Join(err, wantShape(value, key.typ.Shape...))
	})
}

// CausalAttention is MultiHeadAttention of new positions, [batch, n, width], to themselves and to a past, whose keys and
// values are [batch, heads, past, head size] and may have a length of 0. Of new positions each sees those up to itself.
// It returns the mix and the keys and values of all positions, [batch, heads, total, head size].
func (g *Graph) CausalAttention(query, key, value, pastKey, pastValue Value, total Dim, heads int64) (out, allKeys, allValues Value) {
	c := call{
		domain: contribDomain, op: "MultiHeadAttention", attrs: attrs(attrInt("num_heads", heads), attrInt("unidirectional", 1)),
		inputs: []Value{query, key, value, {}, {}, {}, pastKey, pastValue},
	}
	all := g.add(c, 3, func() ([]Type, error) {
		size, err := headSize(heads, query, key, value)
		_, differ := sameType(query, pastKey, pastValue)
		past := []Dim{query.Dim(0), Num(heads), {}, Num(size)}
		err = errors.Join(err, differ, wantShape(key, query.typ.Shape...), wantShape(value, query.typ.Shape...),
			wantShape(pastKey, past...), wantShape(pastValue, past...))
		present := Type{query.typ.DType, Shape{query.Dim(0), Num(heads), total, Num(size)}}
		return []Type{query.typ, present, present}, err
	})
	return all[0], all[1], all[2]
}

// headSize checks query, key and value, and returns the size of a head.
func headSize(heads int64, query, key, value Value) (int64, error) {
	_, err := sameType(query, key, value)
	width, ok := query.Dim(-1).Size()
	if !ok || heads < 1 || width%heads != 0 {
		err = errors.Join(err, fmt.Errorf("%d heads do not divide %v", heads, query))
		return 0, err
	}
	return width / heads, errors.Join(err, wantRank(query, 3), wantShape(key, query.Dim(0), Dim{}, Num(width)), wantShape(value, query.Dim(0), Dim{}, Num(width)))
}
