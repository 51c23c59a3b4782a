package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/rank"
)

// rankerLogFile is the log of the language model's training, in the run folder.
const rankerLogFile = "ranker/train_log.jsonl"

// movedShown is how many users are shown that the ranker helped, and how many that it hurt.
const movedShown = 4

// rankerSection shows what the language model did: what it counts beside the retriever, its training, whom it helped and whom
// it hurt, and a prompt. Text is empty where the run has none.
type rankerSection struct {
	Text         string
	Mixture      string
	Training     trainingSection
	Helped, Hurt []movedUser
	Prompt       string
	PromptUser   int32
}

// movedUser is a user whose held-out item the ranker moved from the place Before to Rank; Candidates are as the ranker orders
// them.
type movedUser struct {
	sampleUser
	Before int
}

// moved is the change of one user's NDCG, with the ranker's list.
type moved struct {
	change float64
	before int
	list   table.Candidates
}

func loadRanker(ctx context.Context, dir string, options Options) (rankerSection, error) {
	c, err := compareLists(ctx, filepath.Join(dir, candidatesFile), filepath.Join(dir, rank.RankingsFile))
	if err != nil {
		sentence, err := missing(err, "The candidates or the ranker's lists ("+rank.RankingsFile+") are not in this run folder.")
		return rankerSection{Text: sentence}, err
	}
	s := rankerSection{Text: c.text()}
	if s.Mixture, err = mixture(filepath.Join(dir, rank.FusionFile)); err != nil {
		return s, err
	}
	if options.RankerTrained {
		if s.Training, err = loadTraining(dir, rankerLogFile, "By step, over users whose answer is among their candidates: "); err != nil {
			return s, err
		}
	}
	if s.Helped, err = showMoved(ctx, dir, c.helped); err != nil {
		return s, err
	}
	if s.Hurt, err = showMoved(ctx, dir, c.hurt); err != nil || options.Prompt == nil {
		return s, err
	}
	for _, user := range slices.Concat(s.Helped, s.Hurt) {
		s.PromptUser = user.UserID
		s.Prompt, err = options.Prompt(user.UserID)
		break
	}
	return s, err
}

// mixture says how the two models' scores were mixed, and on what that was chosen.
func mixture(path string) (string, error) {
	f, err := rank.ReadFusion(path)
	switch {
	case fail.IsUsage(err):
		return "How fusion mixes the two is not known: " + rank.FusionFile + " is not in this run folder.", nil
	case err != nil || f.FittedOn == 0:
		return "", err
	case f.RetrieverWeight == 1:
		return fmt.Sprintf("Fusion leaves the ranker out: no mixture of the two was clearly better on the %d validation lists that hold the answer (NDCG@10 of the retriever %.4f, of the ranker %.4f).",
			f.FittedOn, f.Retriever, f.Ranker), nil
	default:
		return fmt.Sprintf("Fusion takes %.2f of the retriever's score and %.2f of the ranker's, by the %d validation lists that hold the answer: NDCG@10 of both %.4f, of the retriever %.4f, of the ranker %.4f.",
			f.RetrieverWeight, 1-f.RetrieverWeight, f.FittedOn, f.Fused, f.Retriever, f.Ranker), nil
	}
}

// comparison counts whom the ranker helped and hurt among the users of the test split whose answer is a candidate.
type comparison struct {
	retrieved, better, worse int
	helped, hurt             []moved // largest changes first
}

func compareLists(ctx context.Context, candidates, rankings string) (*comparison, error) {
	c := &comparison{}
	for pair, err := range rank.Pairs(candidates, rankings) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if pair.Split == sampleSplit && slices.Contains(pair.Items, pair.Label) {
			c.add(pair)
		}
	}
	return c, nil
}

func (c *comparison) add(pair rank.Pair) {
	items, scores := pair.ByRanker()
	before, after := metric.RankIn(pair.Items, pair.Label), metric.RankIn(items, pair.Label)
	change := metric.Discount(after) - metric.Discount(before)
	c.retrieved++
	m := moved{change, before, table.Candidates{UserID: pair.User, Split: pair.Split, Label: pair.Label, Items: items, Scores: scores}}
	switch {
	case change > 0:
		c.better++
		c.helped = keepLargest(c.helped, m, 1)
	case change < 0:
		c.worse++
		c.hurt = keepLargest(c.hurt, m, -1)
	}
}

// keepLargest adds a user and keeps the few with the largest change in the direction of sign; of equal ones the first.
func keepLargest(list []moved, m moved, sign float64) []moved {
	list = append(list, m)
	slices.SortStableFunc(list, func(a, b moved) int { return cmp.Compare(sign*b.change, sign*a.change) })
	return list[:min(len(list), movedShown)]
}

func (c *comparison) text() string {
	return fmt.Sprintf("On the test split the answer is among the candidates of %s users. The ranker moved it up for %s of them and down for %s.",
		comma(c.retrieved), comma(c.better), comma(c.worse))
}

// showMoved looks up histories and titles.
func showMoved(ctx context.Context, dir string, list []moved) ([]movedUser, error) {
	lists := map[int32]table.Candidates{}
	for _, m := range list {
		lists[m.list.UserID] = m.list
	}
	rows := map[int32]table.Sequence{}
	err := eachRow(ctx, filepath.Join(dir, sequencesFile), func(row table.Sequence) {
		if _, ok := lists[row.UserID]; ok {
			rows[row.UserID] = row
		}
	})
	if err != nil {
		return nil, err
	}
	var sample []table.Sequence
	for _, row := range rows {
		sample = append(sample, row)
	}
	titles, err := readTitles(ctx, filepath.Join(dir, itemsFile), wantedItems(sample, lists))
	if err != nil {
		return nil, err
	}
	var users []movedUser
	for _, m := range list {
		user, err := newSampleUser(rows[m.list.UserID], m.list, titles)
		if err != nil {
			return nil, err
		}
		users = append(users, movedUser{user, m.before})
	}
	return users, nil
}
