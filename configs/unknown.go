package configs

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

func findKey(keys []Key, name string) (Key, bool) {
	for _, key := range keys {
		if key.Name == name {
			return key, true
		}
	}
	return Key{}, false
}

// unknownKey says that name is no key, and which one was probably meant.
func unknownKey(keys []Key, name string) string {
	text := fmt.Sprintf("unknown key %q", name)
	if near := nearest(keys, name); near != "" {
		return text + fmt.Sprintf("; did you mean %q?", near)
	}
	return text + "; `mllm4rec config show` lists the keys"
}

// nearest is the key that a mistyped name probably means: the same word in another section, or the one with the fewest
// edits, if they are few.
func nearest(keys []Key, name string) string {
	best, bestEdits := "", len(name)/3+2
	for _, key := range keys {
		edits := levenshtein.ComputeDistance(strings.ToLower(name), key.Name)
		if lastPart(key.Name) == strings.ToLower(lastPart(name)) {
			edits = min(edits, 1)
		}
		if edits < bestEdits {
			best, bestEdits = key.Name, edits
		}
	}
	return best
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
