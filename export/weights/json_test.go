package weights_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"mllm4rec/export/weights"
)

func TestTokenIDsAreOneSeveralOrNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]weights.TokenIDs{
		`{}`:             {},
		`{"id": 2}`:      {IDs: []int32{2}, Given: true},
		`{"id": [3, 1]}`: {IDs: []int32{3, 1}, Given: true},
		`{"id": []}`:     {IDs: []int32{}, Given: true},
		`{"id": null}`:   {Given: true},
	} {
		var got struct{ ID weights.TokenIDs }
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got.ID, want) {
			t.Errorf("%s: %v, %v; want %v", text, got.ID, err, want)
		}
	}
	for _, text := range []string{`[null]`, `[1, null]`, `"2"`, `1.5`, `[[1]]`, `{}`, `4294967296`} {
		var got weights.TokenIDs
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
