package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/images"
	"mllm4rec/pipeline/stage"
)

// imagesRoom is about what a thousand pictures take, in bytes; nobody says before the download how much it is.
const imagesRoom = 100e6

// images fetches the items' pictures. What came stays when the stage runs again, and is not fetched again: there is no
// half-done work to drop. The pictures themselves are no outputs: who has captions may delete them.
func (p *pipeline) images() stage.Stage {
	config := p.Config.Section("images")
	for _, key := range []string{"parallel", "per_host", "path"} {
		delete(config, "images."+key) // of no effect on what comes, or by its contents
	}
	if p.Config.Images.Source == images.FromFolder {
		config["files of images.path"] = listing(p.Config.Images.Path)
	}
	return stage.Stage{
		Name: Images, Version: 3, Config: config,
		Inputs: p.paths("items.parquet"), Outputs: []string{images.TableFile}, Room: imagesRoom,
		Check: p.checkImages, Run: p.fetchImages,
	}
}

func (p *pipeline) checkImages() error {
	switch c := p.Config.Images; c.Source {
	case images.FromFolder:
		if info, err := os.Stat(c.Path); err != nil || !info.IsDir() {
			return fail.Usagef("images.path: %s is no folder; name the one with the pictures", c.Path)
		}
	case images.FromTMDb:
		if p.TMDbKey == "" {
			return fail.Usagef("images.source tmdb needs an API key of TMDb in the environment variable %s", images.TMDbKey)
		}
	}
	return nil
}

func (p *pipeline) fetchImages(ctx context.Context) error {
	stats, err := images.Run(ctx, p.imageOptions(), p.Progress)
	if err != nil {
		return err
	}
	p.log.Info("fetched images", "items", stats.Items, "ok", stats.OK, "missing", stats.Missing, "failed", stats.Failed, "skipped", stats.Skipped,
		"pictures", stats.Pictures, "bytes", stats.Bytes, "from_before", stats.Resumed)
	if stats.OK < stats.Items {
		p.log.Warn("items without a picture", "items", stats.Items-stats.OK, "why", stats.Why(), "listed_in", p.path(images.TableFile),
			"to_ask_again", "--force "+Images)
	}
	return nil
}

func (p *pipeline) imageOptions() images.Options {
	c := p.Config.Images
	return images.Options{
		Items: p.path("items.parquet"), Out: p.dir, Source: c.Source, Path: c.Path, TMDbKey: p.TMDbKey,
		Parallel: c.Parallel, PerHost: c.PerHost, Timeout: time.Duration(c.TimeoutSeconds * float64(time.Second)),
		MaxBytes: c.MaxBytes, AllowPrivate: c.AllowPrivate, Placeholders: c.Placeholders,
	}
}

// listing is a digest of the names, sizes and times of a folder's files: hashing their contents would take as long as the
// stage does.
func listing(dir string) string {
	sum := sha256.New()
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target // WalkDir goes through no link
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error { // what cannot be read, Check or Run tells
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			name, _ := filepath.Rel(dir, path) // path is in dir
			_, _ = fmt.Fprintf(sum, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil))
}
