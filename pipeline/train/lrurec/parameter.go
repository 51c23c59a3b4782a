package lrurec

import "fmt"

// layout says how a parameter lies in memory here, against its exported form. Complex numbers are exported with a last
// axis (real, imaginary); here real and imaginary parts lie apart, so that a complex product is one real product.
type layout int

const (
	plain layout = iota
	// planes: [n, …, 2] is held as [2, n, …].
	planes
	// conjugate: [rows, n, 2] is held as [rows, (real | -imaginary) × n]: times (real | imaginary) it gives the real part.
	conjugate
)

// parameter is a named tensor inside the model's flat memory.
type parameter struct {
	name    string
	shape   []int64 // exported
	layout  layout
	decayed bool
	value   []float32
	grad    []float32
}

func (p *parameter) size() int {
	n := 1
	for _, d := range p.shape {
		n *= int(d)
	}
	return n
}

// exported copies values laid out as here into the exported order; imported is its inverse.
func (p *parameter) exported(values []float32) []float32 {
	out := make([]float32, len(values))
	p.eachPair(len(values), func(outside, inside int, sign float32) { out[outside] = sign * values[inside] })
	return out
}

// imported copies exported values over into.
func (p *parameter) imported(values, into []float32) error {
	if len(values) != len(into) {
		return fmt.Errorf("tensor %s has %d elements, the model needs %d", p.name, len(values), len(into))
	}
	p.eachPair(len(values), func(outside, inside int, sign float32) { into[inside] = sign * values[outside] })
	return nil
}

// eachPair calls visit for every element with its index outside and inside.
func (p *parameter) eachPair(size int, visit func(outside, inside int, sign float32)) {
	inner := size / 2
	if p.layout == conjugate {
		inner = int(p.shape[1])
	}
	for i := range size {
		switch p.layout {
		case plain:
			visit(i, i, 1)
		case planes:
			visit(i, i%2*inner+i/2, 1)
		case conjugate:
			row, channel, part := i/(2*inner), i/2%inner, i%2
			visit(i, row*2*inner+part*inner+channel, float32(1-2*part))
		}
	}
}
