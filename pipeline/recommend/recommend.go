// Package recommend is a run folder opened for live use: histories flow in, items in order flow out. It is the Backend of
// runtime/serve, and what another Go program takes that wants a run's recommendations without a service between.
//
// Of the folder it needs items.parquet, users.parquet, sequences.parquet and retriever.onnx. Captions, pictures, ranker.onnx
// and fusion.json are used where Options say that they are the run's and there are any; Info says what there is. What is broken
// fails Open, never a request.
package recommend

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/caption"
	"mllm4rec/pipeline/images"
	"mllm4rec/pipeline/rank"
	"mllm4rec/runtime/ort"
	"mllm4rec/runtime/retrieve"
	"mllm4rec/runtime/serve"
)

// Options say what to open.
type Options struct {
	// Dir is the run's folder, Name what the run is called.
	Dir, Name string
	// K is how many of the retriever's candidates the language model ranks, as in the run (candidates.k).
	K int
	// Captions and Pictures say that captions.parquet and images.parquet in the folder are this run's. An earlier recipe may have
	// left them, about other items.
	Captions, Pictures bool
	// Ranker says how the run's language model is asked; nil does not ask it. Captions that are not there are left out.
	Ranker *rank.ModelOptions
	// Captioner says what captions pictures; nil is nothing.
	Captioner *caption.ModelOptions
	// CacheBytes bounds the keys and values of the histories that are kept for users who return; 0 keeps none.
	CacheBytes int64
	// ORT says what the retriever runs on. Threads is how many batches run at once.
	ORT ort.Options
	// Observe hears what is done, for metrics; nil functions hear nothing.
	Observe serve.Observer
}

// What requests may ask for.
const (
	maxK          = 100    // items of an answer, or Options.K where that is more
	maxHistory    = 10_000 // items of a history, and of what is excluded
	maxCandidates = 200    // items or texts to rank: in rounds of 20, that takes 21 prompts
	maxPixels     = 25_000_000
)

// Backend is an opened run. Its methods may be called from several goroutines at once, but for Close.
type Backend struct {
	options   Options
	items     *catalogue
	people    *people
	titles    *titles
	retriever *retrieve.Retriever
	batcher   *retrieve.Batcher
	ranker    *rank.Model // nil: there is none
	fusion    *rank.Fusion
	captioner *caption.Captioner // nil: there is none
	captions  chan struct{}      // one place: the model works on one picture
	pictures  *os.Root           // nil: there are none
	models    serve.Models       // the fingerprints of all
	cached    *cached
}

var _ serve.Backend = (*Backend)(nil)

// Open opens a run folder. It asks each model once, so that the first request finds it ready.
func Open(ctx context.Context, o Options) (*Backend, error) {
	b := &Backend{options: o, captions: make(chan struct{}, 1), cached: &cached{}}
	if b.options.Observe.Batch == nil {
		b.options.Observe.Batch = func(string, int, int) {}
	}
	if b.options.Observe.Cache == nil {
		b.options.Observe.Cache = func(string, int, int) {}
	}
	for _, open := range []func(context.Context) error{b.openTables, b.openRetriever, b.openRanker, b.openCaptioner} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// openTables reads the catalogue and the users.
func (b *Backend) openTables(ctx context.Context) (err error) {
	for _, name := range []string{"items.parquet", "users.parquet", "sequences.parquet", "retriever.onnx"} {
		if there, err := exists(b.path(name)); err != nil {
			return err
		} else if !there {
			return fail.Usagef("%s is not there: a run folder is needed, which `mllm4rec run` makes", b.path(name))
		}
	}
	if b.options.K < 1 {
		return fail.Usagef("candidates: k is %d, want 1 or more", b.options.K)
	}
	if b.items, err = readCatalogue(b.options); err != nil {
		return err
	}
	if b.people, err = readPeople(ctx, b.options.Dir, b.items); err != nil {
		return err
	}
	b.items.rankByPopularity()
	b.titles = indexTitles(b.items)
	return b.openPictures()
}

// openPictures opens the folder of pictures, if it is there: who has captions may delete it.
func (b *Backend) openPictures() (err error) {
	folder := b.path(images.Folder)
	there, err := exists(folder)
	if err != nil || !there {
		b.items.pictures = nil
		return err
	}
	b.pictures, err = os.OpenRoot(folder)
	return err
}

// Close frees the models.
func (b *Backend) Close() (err error) {
	if b.batcher != nil {
		b.batcher.Close()
	}
	if b.retriever != nil {
		err = b.retriever.Close()
	}
	if b.ranker != nil {
		err = errors.Join(err, b.ranker.Close())
	}
	if b.captioner != nil {
		err = errors.Join(err, b.captioner.Close())
	}
	if b.pictures != nil {
		err = errors.Join(err, b.pictures.Close())
	}
	return err
}

// path is a file in the run folder.
func (b *Backend) path(name string) string { return filepath.Join(b.options.Dir, name) }

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
