package picture

import "image"

// chroma gives the rows of a plane of Cb or Cr samples at the picture's size.
type chroma struct {
	plane          []byte
	stride         int
	width, height  int // of the part that the picture covers: planes are padded to whole blocks
	acrossX, downY int // pixels that share a sample
	widen          widen
	wide           []byte // the row of last time
}

// widen makes a row of pixels from the row of samples that it lies in and from the nearest other one, which is above or
// below.
type widen func(wide, near, other []byte, below bool)

// newChroma picks what libjpeg picks (jinit_upsampler in jdsample.c).
func newChroma(m *image.YCbCr, plane []byte) *chroma {
	c := &chroma{plane: plane, stride: m.CStride}
	c.acrossX, c.downY = sharing(m.SubsampleRatio)
	c.width, c.height = (m.Rect.Dx()+c.acrossX-1)/c.acrossX, (m.Rect.Dy()+c.downY-1)/c.downY
	c.wide = make([]byte, c.width*c.acrossX)
	switch {
	case c.acrossX == 2 && c.downY == 2 && c.width > 2:
		c.widen = func(wide, near, other []byte, _ bool) { meanOfFour(wide, near, other, 8, 7) }
	case c.acrossX == 2 && c.downY == 1 && c.width > 2:
		c.widen = meanAcross
	case c.acrossX == 1 && c.downY == 2:
		c.widen = meanDown
	default:
		c.widen = func(wide, near, _ []byte, _ bool) { repeat(wide, near, c.acrossX) }
	}
	return c
}

func sharing(ratio image.YCbCrSubsampleRatio) (across, down int) {
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// row is valid until the next call.
func (c *chroma) row(y int) []byte {
	near := y / c.downY
	if c.acrossX == 1 && c.downY == 1 {
		return c.samples(near)
	}
	other, below := near-1, y%c.downY != 0
	if below {
		other = near + 1
	}
	c.widen(c.wide, c.samples(near), c.samples(min(max(other, 0), c.height-1)), below)
	return c.wide
}

func (c *chroma) samples(y int) []byte {
	return c.plane[y*c.stride:][:c.width]
}

func repeat(wide, near []byte, across int) {
	for i, v := range near {
		for j := range across {
			wide[i*across+j] = v
		}
	}
}

// meanOfFour weighs the four samples around a pixel 9, 3, 3 and 1 sixteenths. left and right are what is added before the
// division, for the pixels left and right of a sample's middle: libjpeg and libwebp differ in it.
func meanOfFour(wide, near, other []byte, left, right int32) {
	other, wide = other[:len(near)], wide[:2*len(near)]
	at := func(i int) int32 { return 3*int32(near[i]) + int32(other[i]) }
	before := at(0)
	this := before
	for i := range len(near) - 1 {
		after := at(i + 1)
		wide[2*i] = byte((3*this + before + left) >> 4)
		wide[2*i+1] = byte((3*this + after + right) >> 4)
		before, this = this, after
	}
	wide[len(wide)-2] = byte((3*this + before + left) >> 4)
	wide[len(wide)-1] = byte((4*this + right) >> 4)
}

// meanAcross weighs the two samples of a row that are beside a pixel 3 and 1 quarters.
func meanAcross(wide, near, _ []byte, _ bool) {
	wide = wide[:2*len(near)]
	before := int32(near[0])
	this := before
	for i := range len(near) - 1 {
		after := int32(near[i+1])
		wide[2*i] = byte((3*this + before + 1) >> 2)
		wide[2*i+1] = byte((3*this + after + 2) >> 2)
		before, this = this, after
	}
	wide[len(wide)-2] = byte((3*this + before + 1) >> 2)
	wide[len(wide)-1] = byte(this)
}

// meanDown does the same in a column.
func meanDown(wide, near, other []byte, below bool) {
	bias := int32(1)
	if below {
		bias = 2
	}
	wide, other = wide[:len(near)], other[:len(near)]
	for i, v := range near {
		wide[i] = byte((3*int32(v) + int32(other[i]) + bias) >> 2)
	}
}
