package run

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mllm4rec/configs"
	"mllm4rec/internal/download"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/unpack"
	"mllm4rec/pipeline/stage"
)

// maxDownloadBytes bounds one file; the largest Amazon file has 30 GB.
const maxDownloadBytes = 64 << 30

// downloadRoom is about what the files of the small recipes take, in bytes; nobody says before the download how much it is.
const downloadRoom = 200e6

// downloads is the folder that this run's downloads go to.
func (p *pipeline) downloads() string { return filepath.Join(p.Config.Data.Downloads, p.Config.Name) }

func (p *pipeline) download() stage.Stage {
	return stage.Stage{
		Name: Download, Version: 1, Config: p.Config.Section("data.urls", "data.sha256", "data.downloads", "name"),
		Found: p.dataFiles, Check: p.checkDownload, Run: p.fetch,
	}
}

func (p *pipeline) checkDownload() error {
	if len(p.Config.Data.URLs) == 0 {
		return fail.Usagef("the recipe names no data: set data.path to the folder that holds it, or name a built-in recipe with -c (%s)", strings.Join(configs.BuiltIn(), ", "))
	}
	names := map[string]bool{}
	for _, address := range p.Config.Data.URLs {
		name, err := fileName(address)
		if err != nil {
			return err
		}
		if names[name] {
			return fail.Usagef("data.urls: two files are called %s", name)
		}
		names[name] = true
	}
	if err := os.MkdirAll(p.downloads(), 0o755); err != nil {
		return fail.Usagef("folder %s cannot be made: %w; take another one with data.downloads", p.downloads(), err)
	}
	return stage.CheckFolder(p.downloads(), "data.downloads", downloadRoom)
}

func (p *pipeline) fetch(ctx context.Context) error {
	for i, address := range p.Config.Data.URLs {
		name, err := fileName(address)
		if err != nil {
			return err
		}
		request := download.Request{URL: address, MaxBytes: maxDownloadBytes}
		if len(p.Config.Data.SHA256) > 0 {
			request.SHA256 = p.Config.Data.SHA256[i]
		}
		file := filepath.Join(p.downloads(), name)
		if err := download.Fetch(ctx, request, file, p.Progress); err != nil {
			return err
		}
		if err := p.unpack(ctx, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// unpack takes archives apart beside themselves; other files are read as they are.
func (p *pipeline) unpack(ctx context.Context, file string) error {
	switch {
	case strings.HasSuffix(file, ".zip"):
		return unpack.Zip(ctx, file, p.downloads(), unpack.Limits{})
	case strings.HasSuffix(file, ".tar.gz"), strings.HasSuffix(file, ".tgz"):
		return unpack.TarGz(ctx, file, p.downloads(), unpack.Limits{})
	}
	return nil
}

// fileName is the last part of an address, as a name that stays in its folder.
func fileName(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fail.Usagef("data.urls: %w", err)
	}
	name := path.Base(u.Path)
	if name == "/" || name == "." || !filepath.IsLocal(name) || strings.HasPrefix(name, ".") {
		return "", fail.Usagef("data.urls: %s ends in no file name", address)
	}
	return name, nil
}
