package table

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestNullsInListsAreRefused(t *testing.T) {
	t.Parallel()
	type foreign struct {
		UserID int32    `parquet:"user_id"`
		Train  []*int32 `parquet:"train,optional,list"`
		Val    int32    `parquet:"val"`
		Test   int32    `parquet:"test"`
	}
	item := func(n int32) *int32 { return &n }
	for want, train := range map[string][]*int32{
		"row 3: train has null in it": {item(1), nil, item(3)},
		"row 3: train is null":        nil,
	} {
		path := filepath.Join(t.TempDir(), "sequences.parquet")
		rows := []foreign{{1, []*int32{item(1), item(2)}, 3, 4}, {2, []*int32{}, 3, 4}, {3, train, 3, 4}}
		if err := WriteAll(path, rows); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll[Sequence](path)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
	}
}
