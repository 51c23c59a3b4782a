package lrurec

import "math/cmplx"

// The matrices of a block for chunks of some length, computed in float64 from its weights. Row-major; positions of a
// chunk are stacked, so that [batch, chunks·chunk, hidden] is [batch, chunks, chunk·hidden] without moving a byte.
// A chunk's state is stored as all real parts, then all imaginary parts.

// powers is λ^k for k = 0 … n−1, by steps: [n][channels].
func (b *block) powers(n int) [][]complex128 {
	powers := make([][]complex128, n)
	for k := range powers {
		powers[k] = make([]complex128, len(b.lambda))
		for c, l := range b.lambda {
			powers[k][c] = cmplx.Pow(l, complex(float64(k), 0))
		}
	}
	return powers
}

// within is [chunk·hidden, chunk·hidden]: from the inputs of a chunk to its outputs, the residual included. Block
// (i, j) is Re(W_out λ^(j−i) W_in)ᵀ for i ≤ j, zero for i > j, and has the identity added for i = j.
func (b *block) within(chunk, d int) []float32 {
	matrix := make([]float32, chunk*d*chunk*d)
	for k, power := range b.powers(chunk) {
		response := b.response(power, d)
		if k == 0 {
			for i := range d {
				response[i*d+i]++
			}
		}
		for i := range chunk - k {
			for row := range d {
				at := (i*d+row)*chunk*d + (i+k)*d
				for col := range d {
					matrix[at+col] = float32(response[row*d+col])
				}
			}
		}
	}
	return matrix
}

// response is Re(W_out λ^k W_in)ᵀ, [hidden in, hidden out], for one power λ^k.
func (b *block) response(power []complex128, d int) []float64 {
	channels := len(power)
	response := make([]float64, 0, d*d)
	scaled := make([]complex128, channels) // one column of λ^k W_in
	for row := range d {
		for c, p := range power {
			scaled[c] = p * b.in[c*d+row]
		}
		for col := range d {
			sum := 0.0
			for c, w := range b.out[col*channels : (col+1)*channels] {
				sum += real(w)*real(scaled[c]) - imag(w)*imag(scaled[c])
			}
			response = append(response, sum)
		}
	}
	return response
}

// intoState is [chunk·hidden, 2·channels]: from the inputs of a chunk to what they add to the state at its end,
// Σ_i λ^(chunk−1−i) W_in x_i.
func (b *block) intoState(chunk, d int) []float32 {
	channels := len(b.lambda)
	powers := b.powers(chunk)
	matrix := make([]float32, chunk*d*2*channels)
	for i := range chunk {
		for row := range d {
			at := matrix[(i*d+row)*2*channels:]
			for c, p := range powers[chunk-1-i] {
				v := p * b.in[c*d+row]
				at[c], at[channels+c] = float32(real(v)), float32(imag(v))
			}
		}
	}
	return matrix
}

// fromState is [2·channels, chunk·hidden]: from the state before a chunk to what it adds to the chunk's outputs,
// Re(W_out λ^(j+1) s).
func (b *block) fromState(chunk, d int) []float32 {
	channels := len(b.lambda)
	powers := b.powers(chunk + 1)
	matrix := make([]float32, 2*channels*chunk*d)
	for c := range channels {
		for j := range chunk {
			for col := range d {
				v := b.out[col*channels+c] * powers[j+1][c]
				matrix[c*chunk*d+j*d+col] = float32(real(v))
				matrix[(channels+c)*chunk*d+j*d+col] = float32(-imag(v))
			}
		}
	}
	return matrix
}

// rotations is, for chunks first … first+n−1, cos and ∓sin of the state's angle after so many chunks, each
// [n, 2·channels]: v·cos + swap(v)·sin turns a state (real parts, imaginary parts) back by the angle, or forward.
// In the frame that turns along, the recurrence over chunks is one of real numbers.
func (b *block) rotations(first, n, chunk int, forward bool) (cos, sin []float32) {
	channels := len(b.lambda)
	for m := first; m < first+n; m++ {
		row := make([]float32, 4*channels)
		for c, l := range b.lambda {
			turn := cmplx.Exp(complex(0, cmplx.Phase(l)*float64(m*chunk)))
			if forward {
				turn = cmplx.Conj(turn)
			}
			row[c], row[channels+c] = float32(real(turn)), float32(real(turn))
			row[2*channels+c], row[3*channels+c] = float32(imag(turn)), float32(-imag(turn))
		}
		cos, sin = append(cos, row[:2*channels]...), append(sin, row[2*channels:]...)
	}
	return cos, sin
}

// decay is |λ|^steps, twice, [2·channels].
func (b *block) decay(steps int) []float32 {
	decay := make([]float32, 2*len(b.lambda))
	for c, l := range b.lambda {
		r := cmplx.Abs(cmplx.Pow(l, complex(float64(steps), 0)))
		decay[c], decay[len(b.lambda)+c] = float32(r), float32(r)
	}
	return decay
}

// weighting is [n, 2, 2·channels]: for each chunk, oldest first and the n-th the last, Re and Im of λ^(steps from its
// end to the end of all), each twice, for the real and the imaginary parts of the chunk's state.
func (b *block) weighting(n, chunk int) []float32 {
	channels := len(b.lambda)
	weighting := make([]float32, 0, n*4*channels)
	for m := range n {
		row := make([]float32, 4*channels)
		for c, l := range b.lambda {
			p := cmplx.Pow(l, complex(float64((n-1-m)*chunk), 0))
			row[c], row[channels+c] = float32(real(p)), float32(real(p))
			row[2*channels+c], row[3*channels+c] = float32(imag(p)), float32(imag(p))
		}
		weighting = append(weighting, row...)
	}
	return weighting
}

// fromWeighted is [4·channels, hidden]: from the weighted sums (Re λ·Re t, Re λ·Im t, Im λ·Re t, Im λ·Im t) to
// Re(W_out λ t).
func (b *block) fromWeighted(d int) []float32 {
	channels := len(b.lambda)
	matrix := make([]float32, 4*channels*d)
	for c := range channels {
		for col := range d {
			w := b.out[col*channels+c]
			matrix[c*d+col] = float32(real(w))
			matrix[(channels+c)*d+col] = float32(-imag(w))
			matrix[(2*channels+c)*d+col] = float32(-imag(w))
			matrix[(3*channels+c)*d+col] = float32(-real(w))
		}
	}
	return matrix
}

// biasResponse is [n+1, hidden]: what the biases of both projections give after 0 … n items,
// Re(W_out Σ_{k<count} λ^k b_in + b_out).
func (b *block) biasResponse(n, d int) []float32 {
	channels := len(b.lambda)
	state := make([]complex128, channels)
	table := make([]float32, 0, (n+1)*d)
	for range n + 1 {
		for col := range d {
			sum := real(b.outBias[col])
			for c, s := range state {
				sum += real(b.out[col*channels+c] * s)
			}
			table = append(table, float32(sum))
		}
		for c := range state {
			state[c] = b.lambda[c]*state[c] + b.inBias[c]
		}
	}
	return table
}
