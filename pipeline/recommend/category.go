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
	if place, known := c.places[name]; known {
		return place, nil
	}
	field, nearest := fmt.Sprintf("categories[%d]", i), c.nearestCategory(name)
	if nearest == "" {
		return 0, refused(unknownCategory, field, "there is no category %.200q", name)
	}
	return 0, refused(unknownCategory, field, "there is no category %q; the nearest is %q", name, nearest)
}

// nearestCategory is the one that takes the fewest edits, "" for a name that is too long to be compared.
func (c *catalogue) nearestCategory(name string) (nearest string) {
	if utf8.RuneCountInString(name) > maxCategory {
		return ""
	}
	fewest := maxCategory
	for _, known := range c.categories {
		if edits := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(known)); edits < fewest {
			nearest, fewest = known, edits
		}
	}
	return nearest
}
