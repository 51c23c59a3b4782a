package table

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python runs a script that needs a module, or skips.
func python(t *testing.T, module, script string, args ...string) string {
	t.Helper()
	name := os.Getenv("MLLM4REC_PYTHON")
	if name == "" {
		name = "python3"
	}
	if err := exec.Command(name, "-c", "import "+module).Run(); err != nil {
		t.Skipf("no %s in %s; MLLM4REC_PYTHON names another Python", module, name)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(name, append([]string{"-c", script}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// written is a folder with one table of each kind.
func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(WriteAll(filepath.Join(dir, "items.parquet"), []Item{
		{ItemID: 1, SourceID: "B1", Title: "Häuser", ImageURL: "http://x", Categories: []string{"a", "b"}}, {ItemID: 2, SourceID: "B2", Title: "t"}}))
	must(WriteAll(filepath.Join(dir, "interactions.parquet"), []Interaction{{1, 2, 4.5, 1_500_000_000_123}}))
	must(WriteAll(filepath.Join(dir, "sequences.parquet"), []Sequence{{1, []int32{3, 4, 5}, 6, 7}, {2, []int32{}, 1, 2}}))
	must(WriteAll(filepath.Join(dir, "candidates.parquet"), []Candidates{{1, "val", 3, []int32{3, 4}, []float32{0.5, 0.25}}}))
	return dir
}

func TestPandasReadsOurTables(t *testing.T) {
	t.Parallel()
	got := python(t, "pandas, pyarrow", `
import sys, pandas as pd
read = lambda name: pd.read_parquet(sys.argv[1] + "/" + name + ".parquet")
items = read("items")
print(items.item_id.dtype, items.title.tolist(), items.image_url.isna().tolist(), list(items.categories[0]))
i = read("interactions")
print(i.timestamp[0].isoformat(), i.rating.dtype, i.rating[0])
s = read("sequences")
print([list(map(int, x)) for x in s.train], s.val.tolist(), s.test.dtype)
c = read("candidates")
print(c.split[0], list(map(float, c.scores[0])))
import pyarrow.parquet as pq
print(pq.read_schema(sys.argv[1] + "/sequences.parquet").field("train").type)
`, written(t))
	want := `int32 ['Häuser', 't'] [False, True] ['a', 'b']
2017-07-14T02:40:00.123000+00:00 float32 4.5
[[3, 4, 5], []] [6, 1] int32
val [0.5, 0.25]
list<element: int32 not null>`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDuckDBReadsOurTables(t *testing.T) {
	t.Parallel()
	got := python(t, "duckdb", `
import sys, duckdb
q = lambda sql: print(duckdb.sql(sql.replace("DIR", sys.argv[1])).fetchall())
q("select sum(len(train)), max(test) from 'DIR/sequences.parquet'")
q("select epoch_ms(timestamp), rating from 'DIR/interactions.parquet'")
q("select unnest(categories) from 'DIR/items.parquet'")
q("select typeof(items), typeof(scores) from 'DIR/candidates.parquet'")
`, written(t))
	want := "[(3, 7)]\n[(1500000000123, 4.5)]\n[('a',), ('b',)]\n[('INTEGER[]', 'FLOAT[]')]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWeReadWhatOthersWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, module, script string }{
		{"pandas", "pandas, pyarrow", `
import sys, pandas as pd, numpy as np
s = pd.DataFrame({"user_id": np.arange(1, 1001, dtype="int32"), "train": [np.arange(i % 9, dtype="int32") for i in range(1000)], "val": np.int32(8), "test": np.int32(9)})
s.to_parquet(sys.argv[1])`},
		{"every compression and page version", "pandas, pyarrow", `
import sys, pandas as pd, numpy as np, pyarrow.parquet as pq, pyarrow as pa, itertools
s = pd.DataFrame({"extra": "x", "test": np.int32(9), "val": np.int32(8), "user_id": np.arange(1, 1001, dtype="int32"), "train": [np.arange(i % 9, dtype="int32") for i in range(1000)]})
t = pa.Table.from_pandas(s)
for codec, version in itertools.product(["none", "snappy", "gzip", "brotli", "zstd", "lz4"], ["1.0", "2.0"]):
    pq.write_table(t, sys.argv[1] + codec + version, compression=codec, data_page_version=version, row_group_size=300)`},
		{"duckdb", "duckdb", `
import sys, duckdb
duckdb.sql("copy (select (i+1)::int as user_id, range(0, i % 9)::int[] as train, 8::int as val, 9::int as test from range(1000) t(i)) to '" + sys.argv[1] + "' (format parquet, compression zstd)")`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.parquet")
			python(t, c.module, c.script, path)
			paths, _ := filepath.Glob(path + "*")
			for _, path := range paths {
				checkRange(t, path)
			}
			if len(paths) == 0 {
				t.Error("nothing written")
			}
		})
	}
}

// checkRange checks the 1,000 rows that the scripts write.
func checkRange(t *testing.T, path string) {
	t.Helper()
	rows, err := ReadAll[Sequence](path)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1000 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, s := range rows {
		if int(s.UserID) != i+1 || len(s.Train) != i%9 || s.Val != 8 || s.Test != 9 {
			t.Fatalf("row %d: %+v", i+1, s)
		}
		for j, item := range s.Train {
			if int(item) != j {
				t.Fatalf("row %d: %+v", i+1, s)
			}
		}
	}
}

func TestNullWhereNoneMayBeIsAnError(t *testing.T) {
	t.Parallel()
	type nullable struct {
		UserID   *int32 `parquet:"user_id,optional"`
		SourceID string `parquet:"source_id"`
	}
	one := int32(1)
	path := filepath.Join(t.TempDir(), "users.parquet")
	if err := WriteAll(path, []nullable{{&one, "a"}, {nil, "b"}}); err != nil {
		t.Fatal(err)
	}
	_, err := ReadAll[User](path)
	if want := "users.parquet: row 2: user_id is null"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// scatter is a number that does not compress.
func scatter(i, j int) int64 { return int64(i*1000+j) * 0x1e3779b97f4a7c15 }

func TestReaderStreamsInBoundedMemory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "i.parquet")
	w, err := Create[Interaction](path)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1_000_000
	rows := make([]Interaction, 1000)
	for i := range n / len(rows) {
		for j := range rows {
			rows[j] = Interaction{UserID: int32(i), ItemID: int32(j), Timestamp: scatter(i, j)}
		}
		if err := w.Write(rows...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := Open[Interaction](path)
	if err != nil {
		t.Fatal(err)
	}
	if groups := len(r.file.Parquet.RowGroups()); groups < 2 || r.NumRows() != n {
		t.Errorf("%d row groups, %d rows", groups, r.NumRows())
	}
	i := 0
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if want := (Interaction{UserID: int32(i / 1000), ItemID: int32(i % 1000), Timestamp: scatter(i/1000, i%1000)}); row != want {
			t.Fatal(fmt.Sprint(i, row, want))
		}
		if i++; i == n/2 {
			break // stopping early is allowed
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
