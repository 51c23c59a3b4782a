// Package images is the stage that fetches the items' pictures: items.parquet flows in, the pictures and images.parquet,
// which says of every item what became of its picture, flow out. Pictures come from the items' addresses, from a folder, or
// from TMDb, and lie under the SHA-256 of their bytes: what two items share is there once. Whether something is a picture
// says what it decodes to, whatever it is called.
//
// A run that was killed goes on where it was: what came is noted in a journal beside the pictures, which stays, so that a
// later run over other items fetches new pictures only.
package images

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"mllm4rec/data/table"
	"mllm4rec/internal/progress"
)

// The names of what Run writes into Options.Out.
const (
	TableFile = "images.parquet"
	// Folder holds the pictures, and the journal.
	Folder = "images"
)

// The sources of pictures.
const (
	FromURL    = "url"
	FromFolder = "folder"
	FromTMDb   = "tmdb"
)

// Options say what to fetch, from where, and how hard.
type Options struct {
	// Items is items.parquet, Out the run folder.
	Items, Out string
	// Source is FromURL, FromFolder or FromTMDb; Path is the folder of FromFolder, TMDbKey the API key of FromTMDb.
	Source, Path, TMDbKey string
	// Parallel is how many pictures are fetched at once, PerHost how many of them from one host.
	Parallel, PerHost int
	// Timeout is how long one try may take.
	Timeout time.Duration
	// MaxBytes is the largest file that is taken; each of the Parallel is held in memory.
	MaxBytes int64
	// AllowPrivate lets pictures come from addresses that are not public.
	AllowPrivate bool
	// Placeholders are SHA-256 sums, in hex, of pictures that say that there is none.
	Placeholders []string

	tmdbBase string                            // where tests have TMDb
	shorten  func(time.Duration) time.Duration // see web.Options
}

// Run fetches what no run before has fetched and writes the table. A picture that does not come is a row of the table;
// that none comes at all is an error. When ctx ends, Run stops within one picture and keeps those that came.
func Run(ctx context.Context, o Options, p *progress.Printer) (stats Stats, err error) {
	items, err := table.ReadAll[table.Item](o.Items)
	if err != nil {
		return Stats{}, err
	}
	from, err := open(o)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	keep, err := openStore(filepath.Join(o.Out, Folder), o.Placeholders)
	if err != nil {
		return Stats{}, err
	}
	rows, jobs := plan(items, from)
	j, err := openJournal(filepath.Join(keep.dir, journalFile), keep)
	if err != nil {
		return Stats{}, err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	f := &fetcher{from: from, keep: keep, journal: j, rows: rows, queue: newQueue(jobs, o.PerHost)}
	if err := f.fetch(ctx, o.Parallel, len(jobs), p); err != nil {
		return Stats{}, err
	}
	if err := table.WriteAll(filepath.Join(o.Out, TableFile), rows); err != nil {
		return Stats{}, err
	}
	stats = sum(rows, f.resumed)
	return stats, stats.check()
}

// plan makes a row for every item and a job for every picture; items with the same picture share one.
func plan(items []table.Item, from origin) ([]table.Image, []*job) {
	rows := make([]table.Image, len(items))
	known := map[string]*job{}
	var jobs []*job
	for i, item := range items {
		rows[i].ItemID = item.ItemID
		key, host, why := from.find(item)
		if why != nil {
			rows[i].Source = key
			describe(&rows[i], why)
			continue
		}
		if known[key] == nil {
			known[key] = &job{key: key, host: host}
			jobs = append(jobs, known[key])
		}
		known[key].rows = append(known[key].rows, i)
	}
	return rows, jobs
}

// fetcher does the jobs.
type fetcher struct {
	from    origin
	keep    *store
	journal *journal
	queue   *queue
	rows    []table.Image // each is written by the one who does its job

	mu      sync.Mutex
	failure error // the first one that ends the run
	resumed int64
}

// fetch does all jobs, parallel at once. An error ends those under way, which may wait for slow servers.
func (f *fetcher) fetch(ctx context.Context, parallel, jobs int, p *progress.Printer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bar := p.Start("fetch images", int64(jobs), "pictures")
	defer bar.Finish()
	var workers sync.WaitGroup
	for range min(parallel, jobs) {
		workers.Go(func() {
			for job := f.queue.take(); job != nil; job = f.queue.take() {
				down, err := f.do(ctx, job)
				f.queue.done(job, down)
				if err != nil {
					f.stop(err)
					cancel()
					return
				}
				bar.Add(1)
			}
		})
	}
	workers.Wait()
	return f.failure
}

// stop ends the run.
func (f *fetcher) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.failure = err
	}
	f.queue.stop()
}

// do does one job. down says that its host does not answer; an error is no matter of this picture and ends the run.
func (f *fetcher) do(ctx context.Context, job *job) (down bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	got, err := f.get(ctx, job)
	var why *problem
	if err != nil && !errors.As(err, &why) {
		return false, err
	}
	for _, i := range job.rows {
		got.fill(&f.rows[i])
		if why != nil {
			describe(&f.rows[i], why)
		}
	}
	return why != nil && why.hostDown, nil
}

// get is the picture of a job, from an earlier run if there is one. Beside a problem it is what is known of it.
func (f *fetcher) get(ctx context.Context, job *job) (picture, error) {
	if old, ok := f.journal.find(job.key); ok {
		f.mu.Lock()
		f.resumed++
		f.mu.Unlock()
		return old, f.keep.checkPlaceholder(old)
	}
	if job.refused {
		return picture{Source: job.key}, &problem{status: Failed, reason: "host given up", detail: "it did not answer for other pictures"}
	}
	source, data, err := f.from.get(ctx, job.key)
	if err != nil {
		return picture{Source: source}, err
	}
	got, err := f.keep.put(data)
	got.Source = source
	if why, ok := errors.AsType[*problem](err); err != nil && (!ok || why.status != Skipped) {
		return got, err
	}
	if f.from.remote() {
		if err := f.journal.add(job.key, got); err != nil {
			return got, err
		}
	}
	return got, err
}
