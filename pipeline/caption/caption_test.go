package caption_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mllm4rec/data/picture"
	"mllm4rec/data/table"
	"mllm4rec/data/tokenizer"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
	"mllm4rec/pipeline/caption"
	model "mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort/orttest"
)

// exported writes a captioner of the folder's model.
func exported(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "captioner.onnx")
	if _, err := caption.Export(t.Context(), caption.ExportOptions{Model: dir, Out: out, Precision: matrix.FP32}); err != nil {
		t.Fatal(err)
	}
	return out
}

// newOptions are those of a tiny captioner and a folder without pictures.
func newOptions(t *testing.T) caption.Options {
	t.Helper()
	runtime := orttest.Options(t)
	runtime.Threads = 1
	return caption.Options{
		Images: t.TempDir(), Out: filepath.Join(t.TempDir(), "captions.parquet"),
		Model: caption.ModelOptions{File: exported(t, folder(t)), ORT: runtime},
	}
}

// put writes a file into the folder with the pictures.
func put(t *testing.T, o caption.Options, name string, data []byte) {
	t.Helper()
	path := filepath.Join(o.Images, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// painted is a PNG, another one for another seed.
func painted(t *testing.T, seed uint64) []byte {
	t.Helper()
	random, m := rand.New(rand.NewPCG(seed, 0)), image.NewNRGBA(image.Rect(0, 0, 9, 7))
	for i := range m.Pix {
		m.Pix[i] = byte(random.Uint32()) | 15
	}
	var file bytes.Buffer
	if err := png.Encode(&file, m); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// album fills the folder: 12 files of 7 different pictures, two of them damaged.
func album(t *testing.T, o caption.Options) {
	t.Helper()
	for i, seed := range []uint64{1, 2, 1, 3, 0, 2, 4, 5, 6, 0, 3, 7} {
		data := painted(t, seed)
		if seed == 0 {
			data = data[:len(data)/2]
		}
		put(t, o, fmt.Sprintf("p%02d.png", i), data)
	}
}

func run(t *testing.T, o caption.Options) ([]caption.Row, caption.Stats) {
	t.Helper()
	stats, err := caption.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := table.ReadAll[caption.Row](o.Out)
	if err != nil {
		t.Fatal(err)
	}
	return rows, stats
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFilesToWordsEqualHuggingFace goes the whole way: Pillow's resize, greedy decoding, 20 tokens, words.
func TestFilesToWordsEqualHuggingFace(t *testing.T) {
	t.Parallel()
	shared := testkit.Shared(t)
	tiny := filepath.Join(shared, "goldens", "blip2", "tiny")
	text, err := os.ReadFile(filepath.Join(tiny, "captions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct{ Caption string }
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	o := newOptions(t)
	o.Images, o.Model.File = filepath.Join(shared, "goldens", "preprocess", "images"), exported(t, tiny)
	for _, o.Model.Batch = range []int{0, 3} {
		rows, _ := run(t, o)
		found := 0
		for _, row := range rows {
			if c, ok := want[row.Image]; ok {
				found++
				if row.Caption != c.Caption {
					t.Errorf("%s: %q, want %q", row.Image, row.Caption, c.Caption)
				}
			}
			if row.Reason != "" {
				t.Errorf("%s: %s", row.Image, row.Reason)
			}
		}
		if found != len(want) || found == 0 {
			t.Errorf("%d of %d pictures found among %d", found, len(want), len(rows))
		}
	}
}

func TestEveryFileHasARow(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	good := painted(t, 1)
	put(t, o, "good.png", good)
	put(t, o, "B/deep/UPPER.PNG", painted(t, 2))
	put(t, o, "empty.jpg", nil)
	put(t, o, "page.gif", []byte("<html>no such picture</html>"))
	put(t, o, "cut.png", good[:len(good)/2])
	put(t, o, "odd\xff.webp", good) // what it is says its content; its name is no UTF-8
	put(t, o, "notes.txt", []byte("no picture, and not called one"))
	put(t, o, ".hidden.png", good)
	put(t, o, ".hidden/x.png", good)
	err := errors.Join(
		syscall.Mkfifo(filepath.Join(o.Images, "pipe.png"), 0o600), os.Symlink("nowhere", filepath.Join(o.Images, "lost.png")),
		os.Symlink("good.png", filepath.Join(o.Images, "link.png")), os.Symlink("B", filepath.Join(o.Images, "folder.png")))
	if err != nil {
		t.Fatal(err)
	}
	rows, stats := run(t, o)
	want := []struct{ image, reason string }{
		{"B/deep/UPPER.PNG", ""}, {"cut.png", "PNG: "}, {"empty.jpg", "the file is empty"}, {"good.png", ""}, {"link.png", ""},
		{"lost.png", "cannot be read: no such file or directory"}, {"odd\uFFFD.webp", ""}, {"page.gif", "no JPEG, PNG"}, {"pipe.png", "not a file"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, row := range rows {
		w := want[i]
		if row.Image != w.image || !strings.HasPrefix(row.Reason, w.reason) || (row.Reason == "") != (w.reason == "") || (row.Caption == "") != (w.reason != "") {
			t.Errorf("%+v, want %+v", row, w)
		}
		if row.Model == "" || row.Model != rows[0].Model {
			t.Errorf("%s: captioned by %q", row.Image, row.Model)
		}
	}
	sum := sha256.Sum256(good)
	if got := rows[3].ImageSHA256; got != hex.EncodeToString(sum[:]) || rows[5].ImageSHA256 != "" || len(rows[1].ImageSHA256) != 64 {
		t.Errorf("sums %q, %q, %q", got, rows[5].ImageSHA256, rows[1].ImageSHA256)
	}
	if stats.Pictures != 9 || stats.Captioned != 4 || stats.Asked != 2 || stats.Batch != caption.DefaultBatch || !strings.Contains(stats.Text(), "5 without a caption") {
		t.Errorf("%+v", stats)
	}
}

func TestTheSamePictureIsCaptionedOnceWhateverTheBatch(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	album(t, o)
	want, _ := run(t, o)
	different := map[string]string{}
	for _, row := range want {
		if row.Reason == "" {
			different[row.ImageSHA256] = row.Caption
		}
	}
	if texts := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, text := range different {
			if !yield(text) {
				return
			}
		}
	})); len(different) != 7 || len(texts) < 4 {
		t.Errorf("%d different pictures, captions %q: does the model look at them?", len(different), texts)
	}
	for _, o.Model.Batch = range []int{1, 2, 5, 100} {
		rows, stats := run(t, o)
		if !slices.Equal(rows, want) || stats.Asked != 7 || stats.Batch != o.Model.Batch {
			t.Errorf("%+v\n%v, want\n%v", stats, rows, want)
		}
	}
}

func TestStoppedRunsEndAsUnbrokenOnes(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	o.Model.Batch = 2
	album(t, o)
	var heard []caption.Row
	o.Each = func(row caption.Row) error { heard = append(heard, row); return nil }
	want, _ := run(t, o)
	whole := read(t, o.Out)
	if !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	for stop := range len(want) {
		o.Out = filepath.Join(t.TempDir(), "captions.parquet")
		ctx, cancel := context.WithCancel(t.Context())
		stopped, rows := o, 0
		stopped.Each = func(caption.Row) error {
			if rows++; rows > stop {
				cancel()
			}
			return nil
		}
		_, err := caption.Run(ctx, stopped, nil)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err != nil { // what a kill leaves half written
			if err := os.WriteFile(filepath.Join(o.Out+".parts", ".part-000009.parquet.tmp-1"), []byte("PAR1"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		heard = nil
		_, stats := run(t, o)
		if err != nil && stats.Resumed <= int64(stop) {
			t.Errorf("stopped after %d rows, and %d were kept", stop+1, stats.Resumed)
		}
		if !slices.Equal(heard, want) {
			t.Errorf("stopped after %d rows, heard %v", stop+1, heard)
		}
		if again := read(t, o.Out); !bytes.Equal(again, whole) {
			t.Errorf("stopped after %d rows: %d other bytes, %d without a stop", stop+1, len(again), len(whole))
		}
		if left, _ := os.ReadDir(filepath.Dir(o.Out)); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
	}
}

var errStop = errors.New("stop")

// stop leaves a run behind its first part.
func stop(t *testing.T, o caption.Options) {
	t.Helper()
	o.Each = func(caption.Row) error { return errStop }
	if _, err := caption.Run(t.Context(), o, nil); !errors.Is(err, errStop) {
		t.Fatalf("error %v", err)
	}
}

func TestOtherWorkBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *caption.Options){
		"the same":        func(*testing.T, *caption.Options) {},
		"another prompt":  func(_ *testing.T, o *caption.Options) { o.Model.Prompt = "a" },
		"other lengths":   func(_ *testing.T, o *caption.Options) { o.Model.MaxTokens = 3 },
		"more beams":      func(_ *testing.T, o *caption.Options) { o.Model.Beams = 2 },
		"another batch":   func(_ *testing.T, o *caption.Options) { o.Model.Batch = 3 },
		"another picture": func(t *testing.T, o *caption.Options) { put(t, *o, "p00.png", painted(t, 99)) },
		"one more":        func(t *testing.T, o *caption.Options) { put(t, *o, "p00a.png", painted(t, 99)) },
		"another captioner": func(t *testing.T, o *caption.Options) {
			dir := t.TempDir()
			if err := blip2test.Write(dir, 8); err != nil {
				t.Fatal(err)
			}
			o.Model.File = exported(t, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOptions(t)
			o.Model.Batch = 2
			album(t, o)
			stop(t, o)
			change(t, &o)
			_, stats := run(t, o)
			if (stats.Resumed > 0) != (name == "the same") {
				t.Errorf("%d rows were taken over", stats.Resumed)
			}
			rest := read(t, o.Out)
			if run(t, o); !bytes.Equal(read(t, o.Out), rest) {
				t.Error("an unbroken run gives another table")
			}
		})
	}
}

func TestPromptLengthAndBeamsReachTheModel(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	data := painted(t, 5)
	put(t, o, "p.png", data)
	c, err := model.Open(o.Model.File, o.Model.ORT)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tok, err := tokenizer.Parse(c.Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := picture.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 3*blip2test.Size*blip2test.Size)
	if err := decoded.Resize(blip2test.Size).Normalise(pixels, [3]float64{.5, .5, .5}, [3]float64{.25, .25, .25}); err != nil {
		t.Fatal(err)
	}
	o.Model.Prompt, o.Model.MaxTokens, o.Model.Beams = "Question: what? Answer:", 7, 3
	want, err := c.Caption(t.Context(), pixels, tok, o.Model.Prompt, model.Options{MaxTokens: 7, Beams: 3})
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := run(t, o)
	if rows[0].Caption != want[0] || rows[0].Model != c.Fingerprint() {
		t.Errorf("%+v, want %q by %s", rows[0], want[0], c.Fingerprint())
	}
}

func TestOnlyOneRunWritesATable(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	album(t, o)
	second := o
	o.Each = func(caption.Row) error {
		if _, err := caption.Run(t.Context(), second, nil); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("error %v", err)
		}
		return nil
	}
	run(t, o)
}

func TestWhatCannotBeIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*caption.Options)
		usage  bool
		want   string
	}{
		{"a folder without pictures", func(o *caption.Options) { o.Images = filepath.Dir(o.Out) }, true, "holds no pictures, which are files that end in .jpg"},
		{"no folder", func(o *caption.Options) { o.Images = "nowhere" }, true, "nowhere: no such folder"},
		{"a picture for a folder", func(o *caption.Options) { o.Images = filepath.Join(o.Images, "p00.png") }, true, "no such folder"},
		{"no captioner", func(o *caption.Options) { o.Model.File = "nowhere.onnx" }, true, "nowhere.onnx"},
		{"a picture for a captioner", func(o *caption.Options) { o.Model.File = filepath.Join(o.Images, "p00.png") }, true, "p00.png"},
		{"a folder for a table", func(o *caption.Options) { o.Out = o.Images }, true, "is no file that can be written anew"},
		{"the captioner for a table", func(o *caption.Options) { o.Out = o.Model.File }, true, "is the captioner itself"},
		{"a table in a file", func(o *caption.Options) { o.Out = filepath.Join(o.Images, "p00.png", "c.parquet") }, true, "not a directory; name another file"},
		{"a batch of fewer than none", func(o *caption.Options) { o.Model.Batch = -1 }, true, "a batch of -1 pictures"},
		{"a batch beyond all bounds", func(o *caption.Options) { o.Model.Batch = 1025 }, true, "a batch of 1025 pictures: give 1 to 1024, or 0 for as many as 2.0 GiB allow"},
		{"longer than the model", func(o *caption.Options) { o.Model.MaxTokens = 100 }, true, "has 64 positions"},
		{"a prompt longer than the model", func(o *caption.Options) { o.Model.Prompt = strings.Repeat("why? ", 20) }, true, "has 64 positions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newOptions(t)
			album(t, o)
			c.change(&o)
			if _, err := caption.Run(t.Context(), o, nil); err == nil || fail.IsUsage(err) != c.usage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Out), "captions.parquet*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestAFolderOfDamagedPicturesFailsAndSaysWhy(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	put(t, o, "a.png", nil)
	put(t, o, "b.png", []byte("x"))
	if _, err := caption.Run(t.Context(), o, nil); err == nil || fail.IsUsage(err) || !strings.Contains(err.Error(), "not one of 2 pictures got a caption; a.png: the file is empty") {
		t.Errorf("error %v", err)
	}
	if rows, err := table.ReadAll[caption.Row](o.Out); err != nil || len(rows) != 2 || rows[1].Reason == "" {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestASilentModelIsAReason: of every picture the tiny model says the same first word, which its vocabulary here calls a space.
func TestASilentModelIsAReason(t *testing.T) {
	t.Parallel()
	o, dir := newOptions(t), folder(t)
	path := filepath.Join(dir, "tokenizer.json")
	swapped := strings.NewReplacer(`"Ê": 202`, `"Ê": 32`, `"Ġ": 32`, `"Ġ": 202`).Replace(string(read(t, path)))
	if err := os.WriteFile(path, []byte(swapped), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Model.File, o.Model.MaxTokens, o.Model.Batch = exported(t, dir), 1, 1
	put(t, o, "a.png", painted(t, 1))
	put(t, o, "b.png", painted(t, 1))
	put(t, o, "c.png", nil)
	stop(t, o)
	stats, err := caption.Run(t.Context(), o, nil)
	if err == nil || !strings.Contains(err.Error(), "not one of 3 pictures got a caption; a.png: the model says nothing of it") || stats.Resumed != 1 || stats.Asked != 0 {
		t.Errorf("%+v, error %v", stats, err)
	}
	rows, err := table.ReadAll[caption.Row](o.Out)
	if err != nil || len(rows) != 3 || rows[0].Reason != "the model says nothing of it" || rows[1].Reason != rows[0].Reason || rows[2].Reason != "the file is empty" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestADamagedPartSaysWhatToDo(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	o.Model.Batch = 2
	album(t, o)
	stop(t, o)
	if err := os.WriteFile(filepath.Join(o.Out+".parts", "part-000000.parquet"), []byte("no table, but long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := caption.Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "captions.parquet.parts to begin anew") {
		t.Errorf("error %v", err)
	}
}
