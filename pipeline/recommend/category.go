package recommend

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// maxCategory bounds what is compared with the names of categories, in characters.
const maxCategory = 100

// category finds a category by its name. An error names the nearest one; i is its place in the request.
func (c *catalogue) category(i int, name string) (int32, error) {
	nearest, fewest := "", maxCategory
	for place, known := range c.categories {
		if known == name {
			return int32(place), nil
		}
		if utf8.RuneCountInString(name) > maxCategory {
			continue
		}
		if edits := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(known)); edits < fewest {
			nearest, fewest = known, edits
		}
	}
	field := fmt.Sprintf("categories[%d]", i)
	if nearest == "" {
		return 0, refused(unknownCategory, field, "there is no category %.200q", name)
	}
	return 0, refused(unknownCategory, field, "there is no category %q; the nearest is %q", name, nearest)
}
