package source

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

// readTexts reads a table of rows with the columns id (before other) and text.
func readTexts[T any](t *testing.T, rows ...T) (got, rejects []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "texts.parquet")
	if err := table.WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	log := Log{Reject: func(r Reject) { rejects = append(rejects, fmt.Sprintf("%d: %s", r.Row, r.Reason)) }}
	err = TextTable{Path: path, IDs: []string{"id", "other"}, Text: "text"}.Rows(t.Context(), log, func(id []byte, text string) error {
		got = append(got, fmt.Sprintf("%s=%s", id, text))
		return nil
	})
	return got, rejects, err
}

func TestTextTables(t *testing.T) {
	t.Parallel()
	type words struct {
		ID   string `parquet:"id"`
		Text string `parquet:"text,optional"`
	}
	got, rejects, err := readTexts(t, words{"B1", "a cat "}, words{"", "nobody's"}, words{"B2", ""}, words{"B3", "bad \xff"}, words{"B1", "again"})
	if want := []string{"B1=a cat", "B2=", "B1=again"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if want := []string{"2: no item", "4: invalid UTF-8"}; !slices.Equal(rejects, want) {
		t.Errorf("%q", rejects)
	}
	type numbers struct {
		Other int64  `parquet:"other"`
		Text  []byte `parquet:"text"`
	}
	if got, _, err := readTexts(t, numbers{7, []byte("seven")}); err != nil || !slices.Equal(got, []string{"7=seven"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTextTablesRefuse(t *testing.T) {
	t.Parallel()
	type noID struct {
		Text string `parquet:"text"`
	}
	type noText struct {
		ID string `parquet:"id"`
	}
	type number struct {
		ID   string `parquet:"id"`
		Text int64  `parquet:"text"`
	}
	type list struct {
		ID   string   `parquet:"id"`
		Text []string `parquet:"text,list"`
	}
	_, _, none := readTexts[number](t)
	_, _, missing := readTexts(t, noID{"x"})
	_, _, silent := readTexts(t, noText{"x"})
	_, _, typed := readTexts(t, number{"x", 3})
	_, _, lists := readTexts(t, list{"x", []string{"y"}})
	_, absent := TextTable{Path: "nowhere.parquet"}.Check()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no id":   {missing, `no column "other"; the file has: text`},
		"no text": {silent, `no column "text"; the file has: id`},
		"numbers": {typed, `column "text" holds INT(64,true), wanted text`},
		"no rows": {none, `column "text" holds`},
		"lists":   {lists, `column "text" holds lists or groups, wanted one value a row`},
		"no file": {absent, "nowhere.parquet"},
	} {
		if !fail.IsUsage(c.err) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}
