package caption_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mllm4rec/data/tokenizer"
	"mllm4rec/export/blip2"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/export/onnx"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/caption"
	"mllm4rec/runtime/ort/orttest"
)

// exported writes a captioner of the folder's model, its vocabulary in it.
func exported(t testing.TB, dir string) string {
	t.Helper()
	ck := testkit.Must(blip2.Open(dir))(t)
	defer ck.Close()
	out := filepath.Join(t.TempDir(), "captioner.onnx")
	vocabulary := testkit.Must(os.ReadFile(filepath.Join(dir, "tokenizer.json")))(t)
	if err := blip2.Export(t.Context(), ck, out, blip2.Options{Precision: matrix.FP32, Vocabulary: vocabulary}); err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t testing.TB, path string) *caption.Captioner {
	t.Helper()
	options := orttest.Options(t)
	options.Threads = 1
	c := testkit.Must(caption.Open(path, options))(t)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// openRandom opens a tiny captioner of random weights.
func openRandom(t testing.TB) *caption.Captioner {
	t.Helper()
	dir := t.TempDir()
	if err := blip2test.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	return open(t, exported(t, dir))
}

// pictures draws pixel values.
func pictures(n int) []float32 {
	random := rand.New(rand.NewPCG(7, 7))
	pixels := make([]float32, n*3*blip2test.Size*blip2test.Size)
	for i := range pixels {
		pixels[i] = float32(random.NormFloat64())
	}
	return pixels
}

func one(pixels []float32, i int) []float32 {
	const size = 3 * blip2test.Size * blip2test.Size
	return pixels[i*size : (i+1)*size]
}

func TestNeighboursInABatchMakeNoDifference(t *testing.T) {
	t.Parallel()
	c, pixels := openRandom(t), pictures(6)
	free := testkit.Must(c.Generate(t.Context(), pixels, caption.Options{}))(t)
	// A token that ends some captions early and others not.
	end := free[2][5]
	for _, o := range []caption.Options{{}, {Ends: []int32{end}}, {Beams: 3}, {Beams: 4, Ends: []int32{end, free[0][3]}}, {Prompt: []int32{60, 61}, MaxTokens: 5}} {
		together := testkit.Must(c.Generate(t.Context(), pixels, o))(t)
		for i, want := range together {
			if got := testkit.Must(c.Generate(t.Context(), one(pixels, i), o))(t)[0]; !slices.Equal(got, want) {
				t.Errorf("%+v: picture %d alone is %v, among others %v", o, i, got, want)
			}
		}
	}
}

func TestCaptionsEndWhereTheyEnd(t *testing.T) {
	t.Parallel()
	c, pixels := openRandom(t), pictures(6)
	free := testkit.Must(c.Generate(t.Context(), pixels, caption.Options{}))(t)
	end := free[2][5]
	for i, got := range testkit.Must(c.Generate(t.Context(), pixels, caption.Options{Ends: []int32{end}}))(t) {
		want := free[i]
		if at := slices.Index(want, end); at >= 0 {
			want = want[:at+1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("picture %d: %v, want %v", i, got, want)
		}
	}
	if got := testkit.Must(c.Generate(t.Context(), pixels, caption.Options{Ends: []int32{}, MaxTokens: 30}))(t); len(got[5]) != 30 || !slices.Equal(got[0][:len(free[0])], free[0]) {
		t.Errorf("without an end: %d tokens, %v", len(got[5]), got[0])
	}
}

func TestManyCallersShareOneCaptioner(t *testing.T) {
	t.Parallel()
	c, pixels := openRandom(t), pictures(4)
	want := testkit.Must(c.Generate(t.Context(), pixels, caption.Options{}))(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if got, err := c.Generate(context.Background(), pixels, caption.Options{}); err != nil || !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	group.Wait()
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	c := openRandom(t)
	for _, x := range []struct {
		name string
		o    caption.Options
		want string
	}{
		{"more than the positions", caption.Options{MaxTokens: 61}, "a picture's 4 places, a prompt of 1 tokens and a caption of 61"},
		{"a negative length", caption.Options{MaxTokens: -1}, "captions of -1 tokens"},
		{"more beams than words", caption.Options{Beams: 130}, "130 beams: give 1 to 256, and 129 or fewer for a vocabulary of 258"},
		{"negative beams", caption.Options{Beams: -2}, "-2 beams"},
		{"a prompt of another vocabulary", caption.Options{Prompt: []int32{3, 258}}, "token 258 of the prompt"},
		{"an end of another vocabulary", caption.Options{Ends: []int32{-1}}, "token -1 of the prompt or the ends"},
	} {
		if _, err := c.Generate(t.Context(), pictures(1), x.o); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: error %v, want a usage error with %q", x.name, err, x.want)
		}
	}
	if _, err := c.Generate(t.Context(), make([]float32, 100), caption.Options{}); err == nil || !strings.Contains(err.Error(), "no whole number of pictures") {
		t.Errorf("a part of a picture: %v", err)
	}
	if got, err := c.Generate(t.Context(), nil, caption.Options{}); err != nil || len(got) != 0 {
		t.Errorf("no picture: %v, %v", got, err)
	}
}

func TestPicturesThatAreNoNumbersAreAnError(t *testing.T) {
	t.Parallel()
	c, pixels := openRandom(t), pictures(2)
	pixels[17] /= 0 * pixels[3]
	for _, beams := range []int{1, 3} {
		if got, err := c.Generate(t.Context(), pixels, caption.Options{Beams: beams}); err == nil || !strings.Contains(err.Error(), "no numbers") {
			t.Errorf("%d beams: %v, %v", beams, got, err)
		}
	}
}

func TestGenerateStopsWithItsContext(t *testing.T) {
	t.Parallel()
	c, pixels := openRandom(t), pictures(64)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Generate(ctx, pixels, caption.Options{MaxTokens: 59, Beams: 8, Ends: []int32{}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Generate(t.Context(), one(pixels, 0), caption.Options{}); err != nil {
		t.Errorf("the captioner is of no more use after a stop: %v", err)
	}
}

func TestCaptionerTellsWhatItIs(t *testing.T) {
	t.Parallel()
	c := openRandom(t)
	want := caption.Pictures{Size: blip2test.Size, Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.25, .25, .25}}
	if c.Pictures() != want || c.Provider() != "cpu" || c.Info().Metadata["mllm4rec.precision"] != "fp32" {
		t.Errorf("%v on %s, %v", c.Pictures(), c.Provider(), c.Info().Metadata)
	}
	if tok := testkit.Must(tokenizer.Parse(c.Vocabulary()))(t); tok.VocabSize() != 258 {
		t.Errorf("%d words", tok.VocabSize())
	}
}

func TestMemoryGrowsWithBeamsAndLength(t *testing.T) {
	t.Parallel()
	c := openRandom(t)
	said := c.Info().Metadata
	picture, token := testkit.Must(strconv.ParseInt(said["mllm4rec.picture_bytes"], 10, 64))(t), testkit.Must(strconv.ParseInt(said["mllm4rec.token_bytes"], 10, 64))(t)
	for _, x := range []struct {
		o    caption.Options
		want int64
	}{
		{caption.Options{}, picture + 3*(4+1+20)*token + 3*4*258},
		{caption.Options{MaxTokens: 5, Beams: 3, Prompt: []int32{60, 61}}, picture + 3*(3*(4+1+2+5)*token+3*4*258)},
	} {
		if got := c.PictureBytes(x.o); got != x.want {
			t.Errorf("%+v: %d bytes, want %d", x.o, got, x.want)
		}
	}
}

func TestFingerprintsTellCaptionersApart(t *testing.T) {
	t.Parallel()
	prints := map[string]bool{}
	for _, seed := range []uint64{1, 2} {
		dir := t.TempDir()
		if err := blip2test.Write(dir, seed); err != nil {
			t.Fatal(err)
		}
		first, again := open(t, exported(t, dir)).Fingerprint(), open(t, exported(t, dir)).Fingerprint()
		if first != again || len(first) != 32 {
			t.Errorf("%q, and exported again %q", first, again)
		}
		prints[first] = true
	}
	if len(prints) != 2 {
		t.Errorf("two models, fingerprints %v", prints)
	}
}

func TestOpenRefusesGraphsOfAnotherForm(t *testing.T) {
	t.Parallel()
	options := orttest.Options(t)
	for _, c := range []struct {
		name, key, value, want string
	}{
		{"another version", "format", "2", `mllm4rec.format is "2", but this program reads "1"`},
		{"another kind", "kind", "ranker", "this is a ranker model, but a captioner is needed here"},
		{"memory beyond all bounds", "picture_bytes", "9999999999999", "mllm4rec.picture_bytes"},
		{"no picture size", "image_size", "0", "mllm4rec.image_size"},
		{"pictures beyond all bounds", "image_size", "99999999", "mllm4rec.image_size"},
		{"two colours", "image_mean", "1 2", `mllm4rec.image_mean is "1 2", want a number for red, green and blue each`},
		{"a colour that is none", "image_mean", "1 2 NaN", "mllm4rec.image_mean"},
		{"a deviation of nothing", "image_std", "1 0 1", "mllm4rec.image_std"},
		{"an end of another vocabulary", "eos", "64", `mllm4rec.eos holds "64", want tokens below 64`},
		{"padding of another vocabulary", "pad", "64", "mllm4rec.pad 64, want tokens below 64"},
		{"other inputs", "kind", "captioner", "a captioner takes pixels, prompt, blank, ends and gives tokens; this one takes x and gives y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := onnx.New("odd")
			for key, value := range map[string]string{
				"format": "1", "kind": "captioner", "image_size": "28", "queries": "4", "vocabulary": "64", "max_length": "9", "bos": "2", "pad": "1",
				"picture_bytes": "9", "token_bytes": "9", "eos": "2", "image_mean": "1 1 1", "image_std": "1 1 1",
			} {
				g.Metadata("mllm4rec."+key, value)
			}
			g.Metadata("mllm4rec."+c.key, c.value)
			g.Output("y", g.Input("x", onnx.Float32, onnx.Sym("batch")))
			path := filepath.Join(t.TempDir(), "odd.onnx")
			if err := testkit.Must(g.Finish())(t).Write(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			if _, err := caption.Open(path, options); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

// spelt is a vocabulary of bytes that are given.
type spelt []string

func (s spelt) Encode(string) []int32 { return nil }

func (s spelt) Decode(ids []int32) string {
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(s[id])
	}
	return text.String()
}

func TestWordsAreStrippedAndSound(t *testing.T) {
	t.Parallel()
	v := spelt{" a", " dog", "\n", "\xf0\x9f", "\xe6", "\x1f", "\u00a0", "b", "\xff"}
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{[]int32{0, 1, 2}, "a dog"},
		{[]int32{2, 6, 5, 1, 5, 6}, "dog"},
		{[]int32{7, 3}, "b�"},         // one for what began a character
		{[]int32{7, 4, 8, 7}, "b��b"}, // one each
		{nil, ""},
	} {
		if got := caption.Words(v, c.ids); got != c.want {
			t.Errorf("%v: %q, want %q", c.ids, got, c.want)
		}
	}
}

// TestMemoryStaysFlat captions a thousand batches, some of which are stopped, and looks at the resident set. It owns the
// process while it measures.
func TestMemoryStaysFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand batches take seconds")
	}
	c, pixels := openRandom(t), pictures(4)
	round := func(i int) {
		ctx, cancel := context.WithCancel(t.Context())
		if i%5 == 0 {
			cancel()
		}
		_, err := c.Generate(ctx, pixels[:(1+i%4)*len(pixels)/4], caption.Options{Beams: 1 + i%3, MaxTokens: 1 + i%7})
		if (err != nil) != (i%5 == 0) {
			t.Fatal(err)
		}
		cancel()
	}
	for i := range 300 {
		round(i)
	}
	orttest.Flat(t, 16<<20, func() {
		for i := range 1000 {
			round(i)
		}
	})
}

// golden is the folder of the tiny checkpoint that Hugging Face's numbers are of.
func golden(t testing.TB) string {
	t.Helper()
	return testkit.Shared(t, "goldens", "blip2", "tiny")
}

func TestWordsEqualHuggingFace(t *testing.T) {
	t.Parallel()
	dir := golden(t)
	tok := testkit.Must(tokenizer.Parse(open(t, exported(t, dir)).Vocabulary()))(t)
	var captions map[string]struct {
		IDs     []int32
		Caption string
	}
	if err := json.Unmarshal(testkit.Must(os.ReadFile(filepath.Join(dir, "captions.json")))(t), &captions); err != nil {
		t.Fatal(err)
	}
	for name, c := range captions {
		if got := caption.Words(tok, c.IDs); got != c.Caption {
			t.Errorf("%s: %q, want %q", name, got, c.Caption)
		}
	}
}

// The vocabulary of data/tokenizer is one.
var _ caption.Vocabulary = (*tokenizer.Tokenizer)(nil)

func TestRangesFitTheModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := blip2test.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	orttest.CheckRanges(t, exported(t, dir), caption.Ranges)
}
