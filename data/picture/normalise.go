package picture

import "fmt"

// Normalise writes a square picture as float32 [3, size, size] into dst, which has that many elements, a part of a batch
// say: (sample/255 - mean) / std, with the three means and deviations of the checkpoint's preprocessor_config.json
// (image_mean, image_std).
func (p *RGB) Normalise(dst []float32, mean, std [3]float64) error {
	area := p.Width * p.Height
	if len(dst) != 3*area {
		return fmt.Errorf("a picture of %d × %d pixels has %d samples; there is room for %d", p.Width, p.Height, 3*area, len(dst))
	}
	red, green, blue := dst[:area], dst[area:2*area], dst[2*area:]
	r, g, b := values(mean[0], std[0]), values(mean[1], std[1]), values(mean[2], std[2])
	in := p.Pix[:3*area]
	for i := range red {
		if len(in) < 3 { // tells the compiler
			break
		}
		red[i], green[i], blue[i] = r[in[0]], g[in[1]], b[in[2]]
		in = in[3:]
	}
	return nil
}

// values is what becomes of every byte.
func values(mean, std float64) (of [256]float32) {
	for v := range of {
		of[v] = float32((float64(v)/255 - mean) / std)
	}
	return of
}
