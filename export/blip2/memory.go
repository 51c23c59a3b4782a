package blip2

// What a run takes beside the weights grows with its pictures; the file says how much, so that the runtime can choose a
// batch. Both figures are bounded estimates: they count the tensors of the largest layer as if none were reused, in float32,
// in which a CPU computes halves too.
const (
	floatBytes      = 4
	maxPictureBytes = 1 << 40
	maxTokenBytes   = 1 << 32
)

// pictureBytes is what one picture takes in the ViT, at the height of a layer: behind its input either queries, keys, values,
// result and scores of attention, or the feed-forward network before and after its activation.
func (c *Config) pictureBytes() int {
	v := &c.Vision
	positions := float64(v.positions())
	attention := 4*float64(v.Hidden) + float64(v.Heads)*positions
	network := float64(v.Hidden) + 2*float64(v.Intermediate)
	return int(min(floatBytes*positions*(float64(v.Hidden)+max(attention, network)), maxPictureBytes))
}

// tokenBytes is what the keys and values of one token take in all layers of the decoder.
func (c *Config) tokenBytes() int {
	return int(min(2*floatBytes*float64(c.Text.Layers)*float64(c.Text.Hidden), maxTokenBytes))
}
