package picture

import (
	"encoding/binary"
	"math"
)

// Resize makes a picture of size × size pixels as Pillow's resize(…, BICUBIC) does (Resample.c), bit for bit: a cubic with
// a = -0.5, stretched where the picture shrinks so that every pixel counts, first along the rows and then along the
// columns (but see below), with coefficients of 22 bits and 8-bit pixels between the two. The picture itself is returned where it has
// that size.
func (p *RGB) Resize(size int) *RGB {
	// Pillow starts with the columns, from version 13 on, where that takes away more than twice as many rows as there are
	// columns to take away: a tall picture's then differ by 1 here and there.
	if p.Height > size && p.Height-size > 2*(p.Width-size) {
		return p.toHeight(size).toWidth(size)
	}
	return p.toWidth(size).toHeight(size)
}

// Fit makes a picture fit into side × side pixels, its proportions kept. One that fits is returned itself.
func (p *RGB) Fit(side int) *RGB {
	longer := max(p.Width, p.Height)
	if longer <= side {
		return p
	}
	scaled := func(n int) int { return max(1, (n*side+longer/2)/longer) }
	return p.toWidth(scaled(p.Width)).toHeight(scaled(p.Height))
}

func (p *RGB) toWidth(width int) *RGB {
	if p.Width == width {
		return p
	}
	return p.resizeRows(width)
}

func (p *RGB) toHeight(height int) *RGB {
	if p.Height == height {
		return p
	}
	return p.resizeColumns(height)
}

// precision is the number of bits behind the point of a coefficient: what 32 bits leave to a sum of products with bytes.
const precision = 32 - 8 - 2

// window is what one pixel of the result is made of: pixels from first on, and their coefficients.
type window struct {
	first        int
	coefficients []uint64 // signed, as two's complement
}

// windows computes them in the order of operations of Pillow's precompute_coeffs. Products are rounded before they are
// added, also where a machine could do both at once: Pillow's are.
func windows(from, to int) []window {
	scale := float64(from) / float64(to)
	stretch := max(scale, 1)
	support := 2 * stretch
	all := make([]window, to)
	var weights []float64
	for i := range all {
		centre := float64((float64(i) + 0.5) * scale)
		first := max(int(centre-support+0.5), 0)
		last := min(int(centre+support+0.5), from)
		weights = weights[:0]
		sum := 0.0
		for at := first; at < last; at++ {
			w := cubic((float64(at) - centre + 0.5) * (1 / stretch))
			weights = append(weights, w)
			sum += w
		}
		all[i] = window{first, fixed(weights, sum)}
	}
	return all
}

func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

// fixed divides by the sum and rounds half away from zero.
func fixed(weights []float64, sum float64) []uint64 {
	out := make([]uint64, len(weights))
	for i, w := range weights {
		if sum != 0 {
			w /= sum
		}
		out[i] = uint64(int64(w*(1<<precision) + math.Copysign(0.5, w)))
	}
	return out
}

// Two sums of 32 bits share a word of 64, so that one multiplication serves two samples: low + high·2^32 times a
// coefficient is both products, the lower of which, where negative, has borrowed from the upper.
const bothHalves = 1<<(precision-1) | 1<<(precision-1+32) // one half in both, for rounding

func bothSums(sums uint64) (low, high byte) {
	l := int32(sums)
	h := int32((sums - uint64(int64(l))) >> 32)
	return clip(l >> precision), clip(h >> precision)
}

// resizeRows takes two rows at a time.
func (p *RGB) resizeRows(width int) *RGB {
	out := newRGB(width, p.Height)
	across := windows(p.Width, width)
	reds, greens, blues := make([]uint64, p.Width), make([]uint64, p.Width), make([]uint64, p.Width)
	for y := 0; y < p.Height; y += 2 {
		other := min(y+1, p.Height-1)
		pair(reds, greens, blues, p.row(y), p.row(other))
		upper, lower := out.row(y), out.row(other)
		for x, w := range across {
			n := len(w.coefficients)
			reds, greens, blues := reds[w.first:][:n], greens[w.first:][:n], blues[w.first:][:n]
			var r, g, b uint64 = bothHalves, bothHalves, bothHalves
			for i, c := range w.coefficients {
				r += c * reds[i]
				g += c * greens[i]
				b += c * blues[i]
			}
			upper[3*x], lower[3*x] = bothSums(r)
			upper[3*x+1], lower[3*x+1] = bothSums(g)
			upper[3*x+2], lower[3*x+2] = bothSums(b)
		}
	}
	return out
}

// pair puts the samples of two rows into the halves of words, by colour.
func pair(reds, greens, blues []uint64, upper, lower []byte) {
	greens, blues = greens[:len(reds)], blues[:len(reds)]
	for i := range reds {
		if len(upper) < 3 || len(lower) < 3 { // tells the compiler
			return
		}
		reds[i] = uint64(upper[0]) | uint64(lower[0])<<32
		greens[i] = uint64(upper[1]) | uint64(lower[1])<<32
		blues[i] = uint64(upper[2]) | uint64(lower[2])<<32
		upper, lower = upper[3:], lower[3:]
	}
}

// resizeColumns takes eight samples of a row at a time.
func (p *RGB) resizeColumns(height int) *RGB {
	const everyFourth = 0x000000ff_000000ff
	out := newRGB(p.Width, height)
	stride := 3 * p.Width
	for y, w := range windows(p.Height, height) {
		row := out.row(y)
		for x := 0; x < stride; x += 8 {
			var a, b, c, d uint64 = bothHalves, bothHalves, bothHalves, bothHalves // of samples 0 and 4, 1 and 5, …
			column := p.Pix[w.first*stride+x:]
			for i, k := range w.coefficients {
				v := eight(column[i*stride:])
				a += k * (v & everyFourth)
				b += k * (v >> 8 & everyFourth)
				c += k * (v >> 16 & everyFourth)
				d += k * (v >> 24 & everyFourth)
			}
			var done [8]byte
			done[0], done[4] = bothSums(a)
			done[1], done[5] = bothSums(b)
			done[2], done[6] = bothSums(c)
			done[3], done[7] = bothSums(d)
			copy(row[x:], done[:])
		}
	}
	return out
}

// eight reads a word; behind the end of the picture are zeros.
func eight(samples []byte) uint64 {
	if len(samples) >= 8 {
		return binary.LittleEndian.Uint64(samples)
	}
	var last [8]byte
	copy(last[:], samples)
	return binary.LittleEndian.Uint64(last[:])
}
