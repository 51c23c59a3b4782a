package ranker

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

func TestEveryPrefixIsASampleOnce(t *testing.T) {
	t.Parallel()
	s, err := readSequences(t.Context(), tiny(t).Sequences, items)
	must(t, err)
	seen := map[[2]int]bool{}
	for i := range s.samples() {
		user, position := s.sample(i)
		if s.index(user, position) != i || position < minHistory || position >= len(s.train[user]) {
			t.Errorf("sample %d is position %d of user %d, whose sample is %d", i, position, user, s.index(user, position))
		}
		seen[[2]int{user, position}] = true
	}
	if len(seen) != 30 || s.index(0, 1) != -1 || s.index(0, 99) != -1 {
		t.Errorf("%d samples", len(seen))
	}
}

func TestWrongSequencesAreNamed(t *testing.T) {
	t.Parallel()
	for want, rows := range map[string][]table.Sequence{
		"row 2: item 21 is not in the catalogue of 20": {{UserID: 1, Train: []int32{1, 2, 3}}, {UserID: 2, Train: []int32{21}}},
		"row 1: item 0":                   {{UserID: 1, Train: []int32{0}}},
		"row 2: user 1 is there twice":    {{UserID: 1, Train: []int32{1, 2, 3}}, {UserID: 1}},
		"no user has 3 training items":    {{UserID: 1, Train: []int32{1, 2}}, {UserID: 2}},
		"so there is nothing to learn":    {},
		"sequences.parquet: no user has ": {{UserID: 7}},
	} {
		path := filepath.Join(t.TempDir(), "sequences.parquet")
		must(t, table.WriteAll(path, rows))
		_, err := readSequences(t.Context(), path, items)
		if !fail.IsUsage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// drawer reads the tiny tables' negatives.
func drawer(t *testing.T, kind string) *negatives {
	t.Helper()
	spec := tiny(t)
	data, err := readSequences(t.Context(), spec.Sequences, items)
	must(t, err)
	n, err := readNegatives(t.Context(), data, kind, spec.NegativesTable, items, 1, 7)
	must(t, err)
	return n
}

func TestRandomNegativesAreNoneOfTheUsersOwn(t *testing.T) {
	t.Parallel()
	n := drawer(t, "random")
	counts := map[int32]int{}
	for epoch := range 400 {
		for sample := range n.data.samples() {
			user, position := n.data.sample(sample)
			turn := epoch*n.data.samples() + sample
			got, labels := n.draw(sample, epoch, turn, 4)
			label := int(labels[0])
			if again, _ := n.draw(sample, epoch, turn, 4); !slices.Equal(got, again) {
				t.Fatal("the same sample, epoch and turn gave other candidates")
			}
			if len(got) != 4 || got[label] != n.data.train[user][position] {
				t.Fatalf("sample %d: candidates %v, label %d", sample, got, label)
			}
			for i, item := range got {
				if i != label && slices.Contains(n.data.train[user], item) || slices.Index(got, item) != i {
					t.Fatalf("sample %d: candidates %v, label %d, items of the user %v", sample, got, label, n.data.train[user])
				}
				counts[item]++
			}
		}
	}
	if len(counts) != items {
		t.Errorf("%d of %d items were drawn", len(counts), items)
	}
}

func TestEveryLetterIsRightEquallyOften(t *testing.T) {
	t.Parallel()
	n := drawer(t, "random")
	for positives, each := range map[int]int{1: 5, 2: 2, 5: 1} { // of 5 candidates: turns until no further ones are left
		orders := map[string]bool{}
		for round := range 100 {
			seen := map[int32]bool{}
			for turn := range each {
				for _, place := range n.places(round*each+turn, positives, 5) {
					if place < 0 || place >= 5 || seen[place] {
						t.Fatalf("%d right answers of 5: place %d comes twice in round %d, or is none", positives, place, round)
					}
					seen[place] = true
				}
			}
			orders[fmt.Sprint(n.places(round*each, positives, 5))] = true
		}
		if len(orders) < 5 {
			t.Errorf("%d right answers of 5: 100 rounds began in %d ways", positives, len(orders))
		}
	}
}

func TestHardNegativesAreTheRetrieversBest(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"retriever": 3, "mixed": 2} { // of 3 negatives, halves rounded up
		n := drawer(t, kind)
		for sample := range n.data.samples() {
			user, position := n.data.sample(sample)
			got, labels := n.draw(sample, 1, sample, 4)
			label := int(labels[0])
			hard := 0
			for i := range want {
				if at := slices.Index(got, item(user+1, position+9+i)); at >= 0 && at != label {
					hard++
				}
			}
			if hard != want || len(got) != 4 {
				t.Errorf("%s: sample %d has the candidates %v, %d hard ones, want %d", kind, sample, got, hard, want)
			}
		}
	}
}

func TestRandomNegativesFillUpWhatTheRetrieverLeaves(t *testing.T) {
	t.Parallel()
	n := drawer(t, "retriever")
	if got, _ := n.draw(0, 0, 0, 10); len(got) != 10 {
		t.Errorf("%d candidates, want 10", len(got))
	}
	got, labels := n.draw(0, 0, 0, 52) // more than there are
	own := n.data.train[0]
	if len(got) != items-len(own)+1 || got[labels[0]] != own[2] {
		t.Errorf("%d candidates of %d items, of which %d are the user's own", len(got), items, len(own))
	}
}

func TestRetrievedCandidatesAreTheRetrieversList(t *testing.T) {
	t.Parallel()
	all, n := drawer(t, "retriever"), drawer(t, "retrieved")
	left := 0
	for sample := range n.data.samples() {
		user, position := n.data.sample(sample)
		next, list := n.data.train[user][position], all.hard[all.start[sample]:all.start[sample+1]]
		if !slices.Contains(list, next) {
			left++
			continue
		}
		i := sample - left
		if n.sample(i) != sample {
			t.Fatalf("prompt %d is sample %d, want %d", i, n.sample(i), sample)
		}
		candidates, labels := n.draw(sample, 0, i, len(list))
		if len(labels) != 1 || candidates[labels[0]] != next {
			t.Errorf("sample %d: the right one of %v is %v, want %d", sample, candidates, labels, next)
		}
		if slices.Sort(candidates); !slices.Equal(candidates, slices.Sorted(slices.Values(list))) {
			t.Errorf("sample %d: candidates %v, the retriever's list is %v", sample, candidates, list)
		}
	}
	if n.samples() != n.data.samples()-left || left == 0 || n.samples() == 0 {
		t.Errorf("%d prompts of %d samples, %d without their answer", n.samples(), n.data.samples(), left)
	}
}

func TestFurtherRightAnswersAreWhatFollowed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"random", "mixed", "retriever"} {
		n := drawer(t, kind)
		n.positives = 3
		for sample := range n.data.samples() {
			user, position := n.data.sample(sample)
			want := appendNew(nil, n.data.train[user][position:], 3)
			got, labels := n.draw(sample, 2, sample, 6)
			var right []int32
			for _, label := range labels {
				right = append(right, got[label])
			}
			if !slices.Equal(right, want) || len(got) != 6 {
				t.Errorf("%s: sample %d has the right answers %v of %v, want %v", kind, sample, right, got, want)
			}
		}
	}
}

func TestRehearsalShowsTheRightAnswersInTheHistory(t *testing.T) {
	spec := tiny(t)
	spec.Positives, spec.Rehearsal = 2, 3
	made := open(t, spec)
	for step, rehearsed := range []int{5, 4, 2, 0, 0} { // of 5 prompts
		samples, err := made.batch(step)
		must(t, err)
		for i, s := range samples {
			seen, asked, _ := strings.Cut(made.prompts.tok.Decode(s.Tokens), "\nNext:\n")
			lines := strings.Split(asked, "\n")
			for _, label := range append(s.Answers, s.Also...) {
				_, title, _ := strings.Cut(lines[label], ") ")
				if shown := strings.Contains(seen, title); shown != (i < rehearsed) {
					t.Errorf("step %d, prompt %d: the right answer %q is shown: %v, in\n%s", step, i, title, shown, seen)
				}
			}
		}
	}
}

func TestRehearsalShowsWhatFollowedARepeatedItem(t *testing.T) {
	spec := tiny(t)
	spec.Positives, spec.Rehearsal = 2, 1
	must(t, table.WriteAll(spec.Sequences, []table.Sequence{{UserID: 4, Train: []int32{1, 2, 7, 7, 7, 8}}}))
	made := open(t, spec)
	samples, err := made.batch(0)
	must(t, err)
	for _, s := range samples {
		if len(s.Also) == 0 {
			continue
		}
		text := made.prompts.tok.Decode(s.Tokens)
		if seen, _, _ := strings.Cut(text, "\nNext:\n"); !strings.Contains(seen, "film h") { // item 8
			t.Errorf("the last right answer is not shown in\n%s", text)
		}
	}
}

func TestNegativesOfOtherSequencesAreRefused(t *testing.T) {
	t.Parallel()
	spec := tiny(t)
	data, err := readSequences(t.Context(), spec.Sequences, items)
	must(t, err)
	for want, rows := range map[string][]table.Negatives{
		"user 99, position 2": {{UserID: 99, Position: 2, Items: []int32{1}}},
		"user 1, position 7":  {{UserID: 1, Position: 7, Items: []int32{1}}},
		"row 2: user 1":       {{UserID: 2, Position: 2, Items: []int32{1}}, {UserID: 1, Position: 2, Items: []int32{1}}},
		"row 1: item 21":      {{UserID: 1, Position: 2, Items: []int32{21}}},
		"no sample":           {},
	} {
		path := filepath.Join(t.TempDir(), "negatives.parquet")
		must(t, table.WriteAll(path, rows))
		if _, err := readNegatives(t.Context(), data, "mixed", path, items, 1, 7); !fail.IsUsage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
