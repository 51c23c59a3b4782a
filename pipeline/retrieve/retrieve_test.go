package retrieve_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
	"mllm4rec/runtime/ort/orttest"
)

// users makes n sequences over the 30 items of the tiny retriever, some longer than it looks at.
func users(n int) []table.Sequence {
	rows := make([]table.Sequence, n)
	for u := range rows {
		train := make([]int32, 1+u%15)
		for i := range train {
			train[i] = int32(1 + (u*7+i)%28)
		}
		rows[u] = table.Sequence{UserID: int32(u + 1), Train: train, Val: 29, Test: 30}
	}
	return rows
}

func options(t *testing.T, rows []table.Sequence) retrieve.Options {
	t.Helper()
	dir := t.TempDir()
	o := retrieve.Options{Sequences: filepath.Join(dir, "sequences.parquet"), Out: filepath.Join(dir, "candidates.parquet"), K: 20}
	o.Model, o.ORT = orttest.OpenTiny(t).Path, orttest.Options(t)
	if err := table.WriteAll(o.Sequences, rows); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnswersFromTheHistoryAreCounted(t *testing.T) {
	t.Parallel()
	rows := users(3)
	rows[0].Val = rows[0].Train[0] // a repeat in val
	rows[1].Test = rows[1].Val     // and one in test
	stats, err := retrieve.Run(t.Context(), options(t, rows), nil)
	if err != nil || stats.Repeats != 2 {
		t.Errorf("stats %+v, error %v; want 2 repeats", stats, err)
	}
}

func TestEveryUserGetsAListASplit(t *testing.T) {
	t.Parallel()
	rows := users(5000) // more than a chunk
	o := options(t, rows)
	stats, err := retrieve.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := table.ReadAll[table.Candidates](o.Out)
	if err != nil {
		t.Fatal(err)
	}
	short := int64(0)
	for i, c := range got {
		row := rows[i/2]
		history, split, label := row.Train, retrieve.Val, row.Val
		if i%2 == 1 {
			history, split, label = append(slices.Clone(row.Train), row.Val), retrieve.Test, row.Test
		}
		if c.UserID != row.UserID || c.Split != split || c.Label != label {
			t.Fatalf("row %d is user %d, %s, label %d; want %d, %s, %d", i, c.UserID, c.Split, c.Label, row.UserID, split, label)
		}
		if want := min(20, 30-len(history)); len(c.Items) != want || len(c.Scores) != want {
			t.Fatalf("user %d: %d items, want %d", c.UserID, len(c.Items), want)
		}
		if len(c.Items) < 20 {
			short++
		}
		for _, item := range c.Items {
			if slices.Contains(history, item) {
				t.Fatalf("user %d is proposed %d of the history %v", c.UserID, item, history)
			}
		}
	}
	if len(got) != 2*len(rows) || stats.Users != int64(len(rows)) || stats.Short != short || stats.Provider != "cpu" {
		t.Errorf("%d rows, stats %+v, want %d rows and %d short", len(got), stats, 2*len(rows), short)
	}
}

func TestThreadsDoNotChangeTheBytes(t *testing.T) {
	t.Parallel()
	o := options(t, users(300))
	var files [][]byte
	for _, threads := range []int{1, 3, 1} {
		o.ORT.Threads = threads
		if _, err := retrieve.Run(t.Context(), o, nil); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, raw)
	}
	if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Error("one thread and three write different files")
	}
}

func TestRunRefusesAndLeavesNoFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*retrieve.Options, []table.Sequence)
		want   string
	}{
		{"an item that the model does not know", func(_ *retrieve.Options, rows []table.Sequence) { rows[3].Train[0] = 31 }, "sequences.parquet: user 4 has item 31, but the model knows 1…30"},
		{"a label that the model does not know", func(_ *retrieve.Options, rows []table.Sequence) { rows[3].Test = 31 }, "user 4 has item 31"},
		{"a user without train items", func(_ *retrieve.Options, rows []table.Sequence) { rows[2].Train = nil }, "user 3 has no train items"},
		{"no items wanted", func(o *retrieve.Options, _ []table.Sequence) { o.K = 0 }, "k is 0"},
		{"no model", func(o *retrieve.Options, _ []table.Sequence) { o.Model += ".none" }, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows := users(10)
			o := retrieve.Options{}
			c.change(&o, rows)
			o = options(t, rows)
			c.change(&o, users(10))
			_, err := retrieve.Run(t.Context(), o, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !fail.IsUsage(err) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Out), "*candidates*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	t.Parallel()
	o := options(t, users(10))
	if err := os.WriteFile(o.Out, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := retrieve.Run(ctx, o, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if raw, _ := os.ReadFile(o.Out); string(raw) != "old" {
		t.Error("the old table is gone")
	}
}

func TestHistoryDoesNotTouchTheRow(t *testing.T) {
	t.Parallel()
	train := append(make([]int32, 0, 8), 1, 2)
	row := table.Sequence{Train: train, Val: 3, Test: 4}
	if got := retrieve.History(row, retrieve.Test); !slices.Equal(got, []int32{1, 2, 3}) {
		t.Errorf("history %v", got)
	}
	if spare := train[:3][2]; spare != 0 {
		t.Errorf("it wrote %d behind the row's train items", spare)
	}
}
