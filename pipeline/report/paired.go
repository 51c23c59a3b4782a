package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"mllm4rec/data/metric"
	"mllm4rec/data/table"
)

// pairedCutoff is the k of the NDCG that two runs are compared by.
const pairedCutoff = 10

// difference is what users gained from one run over another, each compared with itself.
type difference struct {
	users        int
	sum, squares float64 // of the gains of NDCG
}

func (d *difference) add(gain float64) {
	d.users++
	d.sum += gain
	d.squares += gain * gain
}

func (d *difference) mean() float64 { return d.sum / float64(d.users) }

// deviation is the standard error of the mean.
func (d *difference) deviation() float64 {
	n := float64(d.users)
	return math.Sqrt(max(0, d.squares/n-d.mean()*d.mean()) / (n - 1))
}

func (d *difference) text(model string) string {
	if d.users < 2 {
		return fmt.Sprintf("Too few lists of the %s to compare.", model)
	}
	mean, deviation := d.mean(), d.deviation()
	text := fmt.Sprintf("NDCG@%d of the %s over the %s test users that both ranked, this run less that one: %+.4f, with a standard error of %.4f",
		pairedCutoff, model, comma(d.users), mean, deviation)
	if math.Abs(mean) < 2*deviation || mean == 0 {
		text += ", which may be chance"
	}
	return strings.Replace(text, "-", "−", 1) + "."
}

// pairedGain reads two tables of rankings in step. Both are in the order of users; users that one of them lacks are left out.
func pairedGain(ctx context.Context, ours, theirs string) (d difference, err error) {
	a, err := table.Open[table.Ranking](ours)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := table.Open[table.Ranking](theirs)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	next, stop := iter.Pull2(b.Rows())
	defer stop()
	var other table.Ranking
	more := true
	for row, err := range a.Rows() {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return d, err
		}
		if row.Split != sampleSplit {
			continue
		}
		for more && (other.UserID < row.UserID || other.UserID == row.UserID && other.Split != row.Split) {
			if other, err, more = next(); err != nil {
				return d, err
			}
		}
		if more && other.UserID == row.UserID {
			d.add(gain(row) - gain(other))
		}
	}
	return d, nil
}

// gain is a list's NDCG at pairedCutoff.
func gain(row table.Ranking) float64 {
	place := metric.RankIn(row.Items, row.Label)
	if place == metric.Missing || place > pairedCutoff {
		return 0
	}
	return metric.Discount(place)
}
