package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
)

// runWithSQL runs the statements of the file argv[1] in the folder argv[2], as DuckDB's own shell does.
const runWithSQL = `
import os, sys, duckdb
text = open(sys.argv[1]).read()
os.chdir(sys.argv[2])
for statement in duckdb.extract_statements(text):
    for row in duckdb.execute(statement).fetchall():
        print(*row, sep="|")
`

func TestPandasExampleReadsTheTables(t *testing.T) {
	t.Parallel()
	interpreter := python(t, "pandas", "pyarrow")
	got := output(t, interpreter, "examples/read_tables.py", smallRun(t))
	want := `The most popular items
       3  Brazil (1985)
       2  Alien (1979)
       2  Chinatown (1974)
       1  Delicatessen (1991)
The latest items of user 1, the one held out for test last
  Alien (1979)
  Brazil (1985)
  Chinatown (1974)
What the retriever proposes to user 1
    1.50  Delicatessen (1991)
    0.25  Chinatown (1974)  (held out)
Recall of the candidate lists
  test  0.5000
  val   0.0000
`
	if got != want {
		t.Errorf("the example prints\n%s\nwant\n%s", got, want)
	}
}

func TestDuckDBExampleReadsTheTables(t *testing.T) {
	t.Parallel()
	interpreter := python(t, "duckdb")
	got := output(t, interpreter, "-c", runWithSQL, "examples/read_tables.sql", smallRun(t))
	want := `Brazil (1985)|3
Alien (1979)|2
Chinatown (1974)|2
Delicatessen (1991)|1
1|1.5|Delicatessen (1991)|False
2|0.25|Chinatown (1974)|True
test|0.5
val|0.0
`
	if got != want {
		t.Errorf("the example prints\n%s\nwant\n%s", got, want)
	}
}

// smallRun writes the tables of two users and four items.
func smallRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "items.parquet", []table.Item{
		{ItemID: 1, SourceID: "a", Title: "Alien (1979)"}, {ItemID: 2, SourceID: "b", Title: "Brazil (1985)"},
		{ItemID: 3, SourceID: "c", Title: "Chinatown (1974)"}, {ItemID: 4, SourceID: "d", Title: "Delicatessen (1991)"},
	})
	write(t, dir, "interactions.parquet", []table.Interaction{
		{UserID: 1, ItemID: 1}, {UserID: 1, ItemID: 2}, {UserID: 1, ItemID: 3},
		{UserID: 2, ItemID: 2}, {UserID: 2, ItemID: 1}, {UserID: 2, ItemID: 2}, {UserID: 2, ItemID: 3}, {UserID: 2, ItemID: 4},
	})
	write(t, dir, "sequences.parquet", []table.Sequence{
		{UserID: 1, Train: []int32{1}, Val: 2, Test: 3}, {UserID: 2, Train: []int32{2, 1, 2}, Val: 3, Test: 4},
	})
	write(t, dir, "candidates.parquet", []table.Candidates{
		{UserID: 1, Split: "val", Label: 2, Items: []int32{4}, Scores: []float32{1}},
		{UserID: 1, Split: "test", Label: 3, Items: []int32{4, 3}, Scores: []float32{1.5, 0.25}},
		{UserID: 2, Split: "test", Label: 4, Items: []int32{1}, Scores: []float32{1}},
	})
	return dir
}

func write[T any](t *testing.T, dir, name string, rows []T) {
	t.Helper()
	if err := table.WriteAll(filepath.Join(dir, name), rows); err != nil {
		t.Fatal(err)
	}
}

// python finds an interpreter that has the modules.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	name := os.Getenv("MLLM4REC_PYTHON")
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no Python to run the example with: %v (set MLLM4REC_PYTHON)", err)
	}
	if err := exec.Command(path, "-c", "import "+strings.Join(modules, ", ")).Run(); err != nil {
		t.Skipf("%s lacks one of %s (set MLLM4REC_PYTHON to one that has them)", path, strings.Join(modules, ", "))
	}
	return path
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.Command(program, args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return string(out)
}
