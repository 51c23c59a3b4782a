package picture

import "math"

// Resize makes a picture of size × size pixels as Pillow's resize(…, BICUBIC) does (Resample.c), bit for bit: a cubic with
// a = -0.5, stretched where the picture shrinks so that every pixel counts, first along the rows and then along the
// columns, with coefficients of 22 bits and 8-bit pixels between the two. The picture itself is returned where it has
// that size.
func (p *RGB) Resize(size int) *RGB {
	if p.Width != size {
		p = p.resizeRows(size)
	}
	if p.Height != size {
		p = p.resizeColumns(size)
	}
	return p
}

// precision is the number of bits behind the point of a coefficient: what 32 bits leave to a sum of products with bytes.
const precision = 32 - 8 - 2

// window is what one pixel of the result is made of: pixels from first on, and their coefficients.
type window struct {
	first        int
	coefficients []int64
}

// windows computes them in the order of operations of Pillow's precompute_coeffs. Products are rounded before they are
// added, also where a machine could do both at once: Pillow's are.
func windows(from, to int) []window {
	scale := float64(from) / float64(to)
	stretch := max(scale, 1)
	support := 2 * stretch
	all := make([]window, to)
	for i := range all {
		centre := float64((float64(i) + 0.5) * scale)
		first := max(int(centre-support+0.5), 0)
		last := min(int(centre+support+0.5), from)
		weights := make([]float64, last-first)
		sum := 0.0
		for j := range weights {
			weights[j] = cubic((float64(j+first) - centre + 0.5) * (1 / stretch))
			sum += weights[j]
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
func fixed(weights []float64, sum float64) []int64 {
	out := make([]int64, len(weights))
	for i, w := range weights {
		if sum != 0 {
			w /= sum
		}
		out[i] = int64(w*(1<<precision) + math.Copysign(0.5, w))
	}
	return out
}

const half = 1 << (precision - 1)

func (p *RGB) resizeRows(width int) *RGB {
	out := newRGB(width, p.Height)
	across := windows(p.Width, width)
	for y := range p.Height {
		in, row := p.row(y), out.row(y)
		for x, w := range across {
			in := in[3*w.first:][:3*len(w.coefficients)]
			var r, g, b int64 = half, half, half
			for i, c := range w.coefficients {
				r += c * int64(in[3*i])
				g += c * int64(in[3*i+1])
				b += c * int64(in[3*i+2])
			}
			row[3*x], row[3*x+1], row[3*x+2] = clip(int32(r>>precision)), clip(int32(g>>precision)), clip(int32(b>>precision))
		}
	}
	return out
}

func (p *RGB) resizeColumns(height int) *RGB {
	out := newRGB(p.Width, height)
	for y, w := range windows(p.Height, height) {
		row := out.row(y)
		for x := range row {
			sum := int64(half)
			for i, c := range w.coefficients {
				sum += c * int64(p.Pix[3*p.Width*(w.first+i)+x])
			}
			row[x] = clip(int32(sum >> precision))
		}
	}
	return out
}
