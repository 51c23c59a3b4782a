package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"
)

// damagedFiles are cuts and single changed bytes of a good file.
func damagedFiles(data []byte) (files map[string][]byte) {
	files = map[string][]byte{"empty": {}, "text": []byte(strings.Repeat("no parquet ", 9)), "frame only": []byte("PAR1\x00\x00\x00\x00PAR1")}
	for _, n := range []int{1, 4, 8, 11, len(data) / 2, len(data) - 9, len(data) - 1} {
		files["cut at "+string(rune('a'+n%26))] = data[:n]
	}
	footer := bytes.Clone(data)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 0xffffffff)
	files["footer of 4 GB"] = footer
	return files
}

func goodFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "good.parquet")
	var rows []Candidates
	for i := range int32(20) {
		rows = append(rows, Candidates{UserID: i, Split: "val", Label: i, Items: []int32{i, i + 1, i * i}, Scores: []float32{1, 2, float32(i)}})
	}
	if err := WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// use reads a file in every way, and reports a panic.
func use(t testing.TB, path string) error {
	t.Helper()
	_, err := ReadAll[Candidates](path)
	if describeErr := Describe(io.Discard, path, 3, false); err == nil {
		err = describeErr
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %q", err)
	}
	return err
}

func TestDamagedFilesGiveErrors(t *testing.T) {
	t.Parallel()
	for name, data := range damagedFiles(goodFile(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bad.parquet")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := use(t, path); err == nil {
				t.Error("no error")
			} else if !strings.HasPrefix(err.Error(), "bad.parquet: ") {
				t.Errorf("%q does not begin with the file's name", err)
			}
		})
	}
}

func TestEveryChangedByteIsSurvivedInBoundedMemory(t *testing.T) {
	good := goodFile(t)
	path := filepath.Join(t.TempDir(), "bad.parquet")
	for i := range good {
		for _, flip := range []byte{0xff, 0x01} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = use(t, path) // some changes are harmless
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 600<<20 {
				t.Errorf("byte %d ^ %x: %d MB allocated", i, flip, used>>20)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	good := goodFile(f)
	f.Add(good)
	for _, data := range damagedFiles(good) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = use(t, path)
	})
}

// TestClaimsOfMetadataTakeNoMemory does not run beside other tests: it counts bytes.
func TestClaimsOfMetadataTakeNoMemory(t *testing.T) {
	list := func(size uint64, elements ...byte) []byte { // FileMetaData: version 1, schema
		return append(binary.AppendUvarint([]byte{0x15, 0x02, 0x19, 0xfc}, size), elements...)
	}
	for name, c := range map[string]struct {
		metadata []byte
		want     string
	}{
		"a list of 2^31 structs": {list(1<<31-1, make([]byte, 100)...), "a length of 2147483647 where 100 bytes are left"},
		"empty structs":          {list(4<<20, make([]byte, 4<<20)...), "more than a gigabyte"},
		"short lists in a list":  {list(142_000, bytes.Repeat(append([]byte{0x19, 0xec}, make([]byte, 15)...), 142_000)...), "more than a gigabyte"},
		"a long text":            {list(1, 0x48, 0xff, 0xff, 0xff, 0xff, 0x07), "a length of 2147483647 where 0 bytes are left"},
		"structs without an end": {bytes.Repeat([]byte{0x1c}, 1<<20), "more than 32 deep"},
		"lists without an end":   {append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1<<20)...), "more than 32 deep"},
	} {
		file := append([]byte("PAR1"), c.metadata...)
		file = append(binary.LittleEndian.AppendUint32(file, uint32(len(c.metadata))), "PAR1"...)
		path := filepath.Join(t.TempDir(), "bad.parquet")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenFile(path)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 {
			t.Errorf("%s: took %d bytes to refuse it", name, taken)
		}
	}
}

// TestPagesThatTheMetadataHideAreChecked damages the second of two equal columns, and has its metadata lead elsewhere. The
// library reads it all the same.
func TestPagesThatTheMetadataHideAreChecked(t *testing.T) {
	t.Parallel()
	type row struct {
		First  string `parquet:"first"`
		Second string `parquet:"second"`
	}
	var rows []row
	for i := range 200_000 {
		text := fmt.Sprint(i)
		rows = append(rows, row{text, text})
	}
	path := filepath.Join(t.TempDir(), "hidden.parquet")
	if err := WriteAll(path, rows); err != nil {
		t.Fatal(err)
	}
	for name, hide := range map[string]func(first, second *format.ColumnMetaData){
		"nothing":                     func(_, _ *format.ColumnMetaData) {},
		"fewer values than there are": func(_, second *format.ColumnMetaData) { second.NumValues = 1 },
		"a dictionary behind the data": func(first, second *format.ColumnMetaData) {
			second.DictionaryPageOffset, second.DataPageOffset = second.DataPageOffset, first.DataPageOffset
		},
	} {
		f, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		group := &f.Parquet.Metadata().RowGroups[0]
		first, second := &group.Columns[0].MetaData, &group.Columns[1].MetaData
		if err := checkGroup(f.file, f.size, group); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		clear(data[second.DataPageOffset+second.TotalCompressedSize/2:][:1000])
		hide(first, second)
		if err := checkGroup(bytes.NewReader(data), f.size, group); err == nil || !strings.Contains(err.Error(), "column second: page") {
			t.Errorf("%s: %v, want the page", name, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
