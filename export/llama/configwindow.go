package llama

import "fmt"

// Kinds of layers in layer_types.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// window is how many tokens a token sees, 0 for all before it. Qwen asks for its window with a second key, and may have it
// in some layers only, which is refused.
func (f *configFile) window(layers int) (int, error) {
	window := or(f.SlidingWindow, 0)
	switch {
	case f.ModelType == archLlama:
		return 0, nil
	case f.ModelType == archMistral:
		return window, nil
	case !f.UseSlidingWindow:
		window = 0
	}
	kinds := f.LayerTypes
	if kinds == nil && window > 0 {
		kinds = windowFrom(or(f.MaxWindowLayers, 28), layers)
	}
	if kinds != nil && len(kinds) != layers {
		return 0, fmt.Errorf("layer_types has %d entries for %d layers", len(kinds), layers)
	}
	return windowOf(kinds, window)
}

// windowFrom is what Hugging Face fills layer_types with where it is absent.
func windowFrom(first, layers int) []string {
	var kinds []string
	for i := range min(max(layers, 0), maxLayers) {
		kind := fullAttention
		if i >= first {
			kind = slidingAttention
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// windowOf is the window where all layers have it, 0 where none has.
func windowOf(kinds []string, window int) (int, error) {
	sliding := 0
	for i, kind := range kinds {
		switch kind {
		case slidingAttention:
			sliding++
		case fullAttention:
		default:
			return 0, fmt.Errorf("layer %d is of kind %q; %s and %s are known", i, kind, fullAttention, slidingAttention)
		}
	}
	switch {
	case sliding == 0:
		return 0, nil
	case sliding == len(kinds) && window > 0:
		return window, nil
	}
	return 0, fmt.Errorf("%d of %d layers have a sliding window (of %d); models with equal layers are known", sliding, len(kinds), window)
}
