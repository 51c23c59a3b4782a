package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/stage"
)

// written are the contents that a version of a stage makes of the inputs below. The stages after these depend on the
// processor in the last digits.
var written = map[string]struct {
	version int
	sha256  string
}{
	Prepare: {3, "3506f753b8c9cc92b936746444eb3d88d8567e986cb079945491b7397869fb25"},
	Export:  {2, "bdd85f6f8a999b80855b57d28f0ef4a78dc09f25608264fb0a95e58cbe119f1a"},
}

// TestOtherOutputsNeedAnotherVersion guards the promise of stage.Stage.Version: who changes what a stage writes, and leaves
// its version, leaves users with run folders that are "up to date" with what an older program made.
func TestOtherOutputsNeedAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := load(t, "data.source=csv", "data.path="+dir, "data.interactions=log.csv", "data.items=items.csv",
		"data.columns.title=title", "data.columns.categories=tags")
	p.dir, p.log = dir, slog.New(slog.DiscardHandler)
	writeLog(t, dir)
	writeModel(t, dir)
	for _, s := range []stage.Stage{p.prepare(), p.export()} {
		if err := s.Run(t.Context()); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		sum := sha256.New()
		for _, name := range s.Outputs {
			writeContents(t, sum, filepath.Join(dir, name))
		}
		got, want := hex.EncodeToString(sum.Sum(nil)), written[s.Name]
		if s.Version != want.version || got != want.sha256 {
			t.Errorf("%s, version %d, writes %s; noted here are version %d and %s. Raise the stage's Version if its outputs differ, then note both",
				s.Name, s.Version, got, want.version, want.sha256)
		}
	}
}

// writeLog makes 12 users with 6 to 11 of 12 items each, and a bad row.
func writeLog(t *testing.T, dir string) {
	t.Helper()
	log, items := "user,item,rating,timestamp\n", "item,title,tags\n"
	for user := range 12 {
		for i := range 6 + user%6 {
			log += fmt.Sprintf("u%d,i%d,%d.5,%d\n", user, (user+i)%12, i%5, 1_000_000_000+60*(i*7%11))
		}
		items += fmt.Sprintf("i%d,\"Film, %d\",a|b%d\n", user, user, user%3)
	}
	for name, text := range map[string]string{"log.csv": log + "u1,i1,many,5\n", "items.csv": items} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// writeModel writes a golden's parameters as the training leaves them.
func writeModel(t *testing.T, dir string) {
	t.Helper()
	f, err := weights.Open(filepath.Join("..", "train", "lrurec", "testdata", "small.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var parameters []weights.Tensor
	for _, name := range f.Names() {
		if bare, ok := strings.CutPrefix(name, "param."); ok {
			tensor, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			tensor.Name = bare
			parameters = append(parameters, tensor)
		}
	}
	if err := weights.Write(filepath.Join(dir, "retriever.safetensors"), parameters, nil); err != nil {
		t.Fatal(err)
	}
	config := `{"architecture": "lrurec", "num_items": 50, "hidden": 16, "lru_hidden": 32, "blocks": 2, "max_length": 13}`
	if err := os.WriteFile(filepath.Join(dir, "retriever.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeContents writes what a file says: the rows of a table, however they are compressed, and other files as they are.
func writeContents(t *testing.T, to io.Writer, path string) {
	t.Helper()
	var err error
	switch name := filepath.Base(path); name {
	case "items.parquet":
		err = writeRows[table.Item](to, path)
	case "users.parquet":
		err = writeRows[table.User](to, path)
	case "interactions.parquet":
		err = writeRows[table.Interaction](to, path)
	case "sequences.parquet":
		err = writeRows[table.Sequence](to, path)
	default:
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			_, err = to.Write(data)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeRows[T any](to io.Writer, path string) error {
	rows, err := table.ReadAll[T](path)
	_, _ = fmt.Fprintf(to, "%+v\n", rows)
	return err
}
