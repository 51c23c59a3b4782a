package images

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
)

func TestPicturesComeFromAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := picturePNG(5, 1)
	write("in/a/1.whatever", good)
	write("in/B00A.PNG", good)
	write("in/i.10.jpg", good)
	write("in/notes.txt", good)
	write("in/page.jpg", []byte("<html>"))
	write("in/large.jpg", make([]byte, 2<<20))
	write("outside.png", good)
	in := filepath.Join(dir, "in")
	if err := syscall.Mkfifo(filepath.Join(in, "pipe.jpg"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside.png", filepath.Join(in, "link.png")); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		item           table.Item
		status, reason string
	}{
		{table.Item{ImagePath: "a/1.whatever"}, OK, ""},
		{table.Item{ImagePath: "./a/../a/1.whatever"}, OK, ""},
		{table.Item{ImagePath: filepath.Join(in, "a/1.whatever")}, OK, ""},
		{table.Item{SourceID: "B00A"}, OK, ""},
		{table.Item{SourceID: "i.10"}, OK, ""},
		{table.Item{SourceID: "notes"}, Missing, "no image_path, and no file of the item's name"},
		{table.Item{SourceID: "../outside"}, Missing, "no image_path"},
		{table.Item{ImagePath: "nowhere.jpg"}, Missing, "no such file"},
		{table.Item{ImagePath: "../outside.png"}, Failed, "outside of images.path"},
		{table.Item{ImagePath: filepath.Join(dir, "outside.png")}, Failed, "outside of images.path"},
		{table.Item{ImagePath: "link.png"}, Failed, "cannot be read: path escapes"},
		{table.Item{ImagePath: "a"}, Failed, "not a file"},
		{table.Item{ImagePath: "pipe.jpg"}, Failed, "not a file"},
		{table.Item{ImagePath: "page.jpg"}, Failed, "no picture: text/html"},
		{table.Item{ImagePath: "large.jpg"}, Failed, "too large"},
	}
	var all []table.Item
	for _, c := range cases {
		all = append(all, c.item)
	}
	o := writeItems(t, all...)
	o.Source, o.Path = FromFolder, in
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	for i, row := range readTable(t, o) {
		if c := cases[i]; row.Status != c.status || !strings.HasPrefix(row.Reason, c.reason) || row.Status == OK && row.SHA256 != sha(good) {
			t.Errorf("%+v: got %+v, want %s: %s", c.item, row, c.status, c.reason)
		}
	}
	write("in/a/1.whatever", picturePNG(6, 1)) // files are read again: they are near, and may have changed
	if _, err := Run(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	if row := readTable(t, o)[0]; row.Width != 6 {
		t.Errorf("got %+v", row)
	}
}

func TestFolderMustBeThere(t *testing.T) {
	t.Parallel()
	o := writeItems(t, table.Item{})
	o.Source, o.Path = FromFolder, filepath.Join(o.Out, "nowhere")
	if _, err := Run(t.Context(), o, nil); !fail.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}
