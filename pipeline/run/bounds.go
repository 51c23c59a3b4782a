package run

import (
	"encoding/json"
	"math"
	"reflect"
)

// goesOn reports, for a training stage of a section with this config, whether what was trained under another one goes on: where
// nothing differs but bounds, none of which has become tighter, so that the same steps would have been made.
func goesOn(section string, config map[string]any) func(json.RawMessage) bool {
	return func(earlier json.RawMessage) bool {
		was, is := map[string]any{}, map[string]any{}
		text, err := json.Marshal(config)
		if err != nil || json.Unmarshal(text, &is) != nil || json.Unmarshal(earlier, &was) != nil {
			return false
		}
		bounds := []string{"max_minutes", "patience"}
		if is[section+".schedule"] == "constant" { // otherwise the learning rate falls to 0 at max_steps
			bounds = append(bounds, "max_steps")
		}
		for _, name := range bounds {
			key := section + "." + name
			if before, ok := was[key].(float64); !ok || bound(name, is[key].(float64)) < bound(name, before) {
				return false
			}
			delete(was, key)
			delete(is, key)
		}
		return reflect.DeepEqual(was, is)
	}
}

// bound is a bound as a number: 0 means none but for max_steps.
func bound(name string, value float64) float64 {
	if value == 0 && name != "max_steps" {
		return math.Inf(1)
	}
	return value
}
