package report

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
)

// historyShown is how many items of a history are listed, the latest ones.
const historyShown = 20

// sampleSplit is the split whose candidates are shown.
const sampleSplit = "test"

// samplesSection shows some users with what the retriever proposes to them.
type samplesSection struct {
	Missing string
	Text    string
	Users   []sampleUser
}

// sampleUser is one user. History is latest first; Rank is the label's place among the candidates, 0 for none.
type sampleUser struct {
	UserID     int32
	Earlier    int
	History    []string
	Label      string
	Rank       int
	Candidates []candidate
}

// candidate is one proposed item.
type candidate struct {
	Title string
	Score float32
	Label bool
}

// chooseRows draws n of total row numbers, the same ones for the same seed.
func chooseRows(seed int64, n int, total int64) map[int64]bool {
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	chosen := map[int64]bool{}
	for int64(len(chosen)) < min(int64(n), total) {
		chosen[random.Int64N(total)] = true
	}
	return chosen
}

func loadSamples(ctx context.Context, dir string, scan *sequencesScan) (samplesSection, error) {
	if scan.missing != "" {
		return samplesSection{Missing: scan.missing}, nil
	}
	lists, err := readCandidates(ctx, filepath.Join(dir, candidatesFile), scan.sample)
	if err != nil {
		sentence, err := missing(err, "There are no candidates ("+candidatesFile+") in this run folder.")
		return samplesSection{Missing: sentence}, err
	}
	if len(lists) == 0 {
		return samplesSection{Missing: "The candidates have no row of the " + sampleSplit + " split."}, nil
	}
	titles, err := readTitles(ctx, filepath.Join(dir, itemsFile), wantedItems(scan.sample, lists))
	if err != nil {
		return samplesSection{}, err
	}
	section := samplesSection{}
	hits := 0
	for _, row := range scan.sample {
		list, found := lists[row.UserID]
		if !found {
			continue
		}
		user, err := newSampleUser(row, list, titles)
		if err != nil {
			return section, err
		}
		if user.Rank != metric.Missing {
			hits++
		}
		section.Users = append(section.Users, user)
	}
	section.Text = fmt.Sprintf("%d users drawn by the seed, each with the item held out for test. For %d of them it is among the candidates.", len(section.Users), hits)
	return section, nil
}

// readCandidates streams the table and keeps the sample users' lists.
func readCandidates(ctx context.Context, path string, sample []table.Sequence) (map[int32]table.Candidates, error) {
	wanted := map[int32]bool{}
	for _, row := range sample {
		wanted[row.UserID] = true
	}
	lists := map[int32]table.Candidates{}
	err := eachRow(ctx, path, func(row table.Candidates) {
		if row.Split == sampleSplit && wanted[row.UserID] {
			lists[row.UserID] = row
		}
	})
	return lists, err
}

// wantedItems are the items whose titles the page shows.
func wantedItems(sample []table.Sequence, lists map[int32]table.Candidates) map[int32]bool {
	wanted := map[int32]bool{}
	for _, row := range sample {
		list := lists[row.UserID]
		for _, items := range [][]int32{history(row)[:min(historyShown, len(row.Train)+1)], list.Items, {list.Label}} {
			for _, item := range items {
				wanted[item] = true
			}
		}
	}
	return wanted
}

// readTitles streams the items and keeps the wanted titles.
func readTitles(ctx context.Context, path string, wanted map[int32]bool) (map[int32]string, error) {
	titles := map[int32]string{}
	err := eachRow(ctx, path, func(row table.Item) {
		if !wanted[row.ItemID] {
			return
		}
		titles[row.ItemID] = shorten(row.Title)
		if titles[row.ItemID] == "" {
			titles[row.ItemID] = fmt.Sprintf("(no title, item %d)", row.ItemID)
		}
	})
	return titles, err
}

// eachRow streams a table.
func eachRow[T any](ctx context.Context, path string, visit func(T)) error {
	r, err := table.Open[T](path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	n := 0
	for row, err := range r.Rows() {
		if err == nil && n%checkEvery == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		visit(row)
		n++
	}
	return nil
}

// history is what the model sees of a user for the test split, latest first.
func history(row table.Sequence) []int32 {
	items := append(slices.Clone(row.Train), row.Val)
	slices.Reverse(items)
	return items
}

func newSampleUser(row table.Sequence, list table.Candidates, titles map[int32]string) (sampleUser, error) {
	items := history(row)
	shown := items[:min(historyShown, len(items))]
	user := sampleUser{UserID: row.UserID, Earlier: len(items) - len(shown), Label: titles[list.Label]}
	if len(list.Items) != len(list.Scores) {
		return user, fmt.Errorf("%s: user %d, %s: %d items but %d scores", candidatesFile, row.UserID, list.Split, len(list.Items), len(list.Scores))
	}
	for _, item := range shown {
		user.History = append(user.History, titles[item])
	}
	for i, item := range list.Items {
		user.Candidates = append(user.Candidates, candidate{titles[item], list.Scores[i], item == list.Label})
	}
	user.Rank = slices.Index(list.Items, list.Label) + 1
	return user, nil
}
