package modelfile

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// The test writes protobuf by hand, so that it can also write what no library would.

func message(number protowire.Number, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
}

func text(number protowire.Number, s string) []byte { return message(number, []byte(s)) }

func number(field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(v))
}

func entry(field protowire.Number, key, value string) []byte {
	return message(field, text(1, key), text(2, value))
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// contract is the metadata of a retriever.
func contract() []byte {
	return join(entry(14, FormatKey, "1"), entry(14, KindKey, "retriever"))
}

// modelOf is a whole file: the contract and one graph.
func modelOf(graph ...[]byte) []byte { return join(number(1, 10), contract(), message(7, graph...)) }

// tensorOf is an initialiser: name, data type, dims, and what else.
func tensorOf(kind int64, dims []int64, rest ...[]byte) []byte {
	parts := [][]byte{text(8, "w"), number(2, kind)}
	for _, d := range dims {
		parts = append(parts, number(1, d))
	}
	return message(5, append(parts, rest...)...)
}

// outside is an initialiser of two floats in another file.
func outside(pairs ...string) []byte {
	parts := [][]byte{number(14, 1)}
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, entry(13, pairs[i], pairs[i+1]))
	}
	return tensorOf(1, []int64{2}, parts...)
}

// nodeOf is a node of an operator, with inputs, one output, and attributes.
func nodeOf(op string, inputs []string, attributes ...[]byte) []byte {
	parts := [][]byte{text(4, op), text(2, "out")}
	for _, in := range inputs {
		parts = append(parts, text(1, in))
	}
	return message(1, append(parts, attributes...)...)
}

// raw64 is raw_data of whole numbers below 256.
func raw64(values ...byte) []byte {
	b := make([]byte, 8*len(values))
	for i, v := range values {
		b[8*i] = v
	}
	return message(9, b)
}
