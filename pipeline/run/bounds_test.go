package run

import (
	"encoding/json"
	"maps"
	"testing"
)

func TestTrainingGoesOnUnderWiderBoundsAlone(t *testing.T) {
	t.Parallel()
	was := map[string]any{
		"seed": 42, "ranker.max_steps": 100, "ranker.max_minutes": 10.0, "ranker.patience": 5, "ranker.schedule": "constant", "ranker.batch": 16,
		"ranker.targets": []string{"q_proj"},
	}
	text, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		other map[string]any
		want  bool
	}{
		{"more steps", map[string]any{"ranker.max_steps": 200}, true},
		{"fewer steps", map[string]any{"ranker.max_steps": 99}, false},
		{"no steps", map[string]any{"ranker.max_steps": 0}, false},
		{"more minutes", map[string]any{"ranker.max_minutes": 20.0}, true},
		{"minutes without end", map[string]any{"ranker.max_minutes": 0.0}, true},
		{"fewer minutes", map[string]any{"ranker.max_minutes": 5.0}, false},
		{"more patience", map[string]any{"ranker.patience": 6}, true},
		{"patience without end", map[string]any{"ranker.patience": 0}, true},
		{"less patience, more steps", map[string]any{"ranker.patience": 4, "ranker.max_steps": 200}, false},
		{"another batch", map[string]any{"ranker.batch": 8, "ranker.max_steps": 200}, false},
		{"other targets", map[string]any{"ranker.targets": []string{"v_proj"}, "ranker.max_steps": 200}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := maps.Clone(was)
			maps.Copy(is, c.other)
			if got := goesOn("ranker", is)(text); got != c.want {
				t.Errorf("goes on: %v", got)
			}
		})
	}
	was["ranker.schedule"] = "cosine"
	if text, err = json.Marshal(was); err != nil {
		t.Fatal(err)
	}
	is := maps.Clone(was)
	if is["ranker.max_steps"] = 200; goesOn("ranker", is)(text) {
		t.Error("goes on although the learning rates were others")
	}
}
