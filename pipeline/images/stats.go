package images

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mllm4rec/data/table"
	"mllm4rec/internal/web"
)

// Stats is what a run did.
type Stats struct {
	// Items is their number, and the next four how many of them have which status.
	Items, OK, Missing, Failed, Skipped int64
	// Pictures are the different ones that are there, Bytes what they take.
	Pictures, Bytes int64
	// Resumed of what was to be fetched was there from an earlier run.
	Resumed int64
	// Reasons counts the items without a picture by why.
	Reasons map[string]int64
}

func sum(rows []table.Image, resumed int64) Stats {
	s := Stats{Items: int64(len(rows)), Resumed: resumed, Reasons: map[string]int64{}}
	seen := map[string]bool{}
	for _, row := range rows {
		switch row.Status {
		case OK:
			s.OK++
			if !seen[row.SHA256] {
				seen[row.SHA256] = true
				s.Pictures++
				s.Bytes += row.Bytes
			}
			continue
		case Missing:
			s.Missing++
		case Failed:
			s.Failed++
		case Skipped:
			s.Skipped++
		}
		reason, _, _ := strings.Cut(row.Reason, ":")
		s.Reasons[reason]++
	}
	return s
}

// Why lists the reasons for people, the most frequent first: "12 not found, 3 timed out".
func (s Stats) Why() string {
	reasons := slices.SortedFunc(maps.Keys(s.Reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Reasons[b], s.Reasons[a]), cmp.Compare(a, b))
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%d %s", s.Reasons[reason], reason)
	}
	return strings.Join(reasons, ", ")
}

// check makes an error of a run that brought nothing.
func (s Stats) check() error {
	if s.OK > 0 {
		return nil
	}
	hint := ""
	if s.Reasons[web.NotPublic] > 0 {
		hint = "; set images.allow_private where such addresses are your own"
	}
	return fmt.Errorf("not one picture of %d items came: %s; %s lists them%s", s.Items, s.Why(), TableFile, hint)
}
