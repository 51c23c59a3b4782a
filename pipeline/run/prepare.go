package run

import (
	"context"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"mllm4rec/data/prepare"
	"mllm4rec/data/source"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/stage"
)

// notOfThePrepared are the keys that say where the data is, not what it is: the files' contents count instead.
var notOfThePrepared = map[string]bool{"data.path": true, "data.urls": true, "data.sha256": true, "data.downloads": true}

func (p *pipeline) prepare() stage.Stage {
	config := p.Config.Section("data")
	maps.DeleteFunc(config, func(key string, _ any) bool { return notOfThePrepared[key] })
	s := stage.Stage{
		Name: Prepare, Version: 3, Config: config, Inputs: p.dataFiles, Run: p.prepareTables, Room: p.dataBytes(),
		Outputs: []string{"items.parquet", "users.parquet", "interactions.parquet", "sequences.parquet", "rejects.csv", "prepare.json"},
	}
	if p.Config.Data.Path != "" {
		s.Check = p.checkData
	}
	return s
}

// checkData makes sure that the data is there and may be read.
func (p *pipeline) checkData() error {
	files, err := p.dataFiles()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := unix.Access(file, unix.R_OK); err != nil {
			return fail.Usagef("%s cannot be read: %w; make it readable, or check data.path", file, err)
		}
	}
	return nil
}

func (p *pipeline) prepareTables(ctx context.Context) error {
	src, err := p.openSource()
	if err != nil {
		return err
	}
	data := p.Config.Data
	options := prepare.Options{MinRating: data.MinRating, MinUser: data.MinUserInteractions, MinItem: data.MinItemInteractions, Log: p.log}
	stats, err := prepare.Run(ctx, src, options, p.dir, p.Progress)
	if err != nil {
		return err
	}
	p.log.Info("prepared", "rows", stats.RawRows, "users", stats.Users, "items", stats.Items, "interactions", stats.Interactions,
		"dropped_by_rating", stats.DroppedByRating, "dropped_by_metadata", stats.DroppedByMetadata, "dropped_by_k_core", stats.DroppedByKCore)
	if stats.MissingTitles > 0 {
		p.log.Warn("items without a title are called by their source id", "items", stats.MissingTitles)
	}
	p.warnOfRejects("interactions", stats.Rejected)
	p.warnOfRejects("items", stats.RejectedItems)
	return nil
}

func (p *pipeline) warnOfRejects(file string, rejected map[string]int64) {
	for _, reason := range slices.Sorted(maps.Keys(rejected)) {
		p.log.Warn("rows rejected", "of", file, "rows", rejected[reason], "reason", reason, "listed_in", p.path("rejects.csv"))
	}
}

// openSource finds the data set's files, in data.path or where download put them.
func (p *pipeline) openSource() (source.Source, error) {
	data := p.Config.Data
	options := source.Options{
		Kind: data.Source, Path: data.Path, Interactions: data.Interactions, Items: data.Items,
		Delimiter: data.Delimiter, NoHeader: data.NoHeader, CleanTitles: data.CleanTitles,
		Columns: source.Columns{
			User: data.Columns.User, Item: data.Columns.Item, Rating: data.Columns.Rating,
			Timestamp: data.Columns.Timestamp, TimestampUnit: data.TimestampUnit,
		},
		ItemColumns: source.ItemColumns{
			ID: data.Columns.ItemID, Title: data.Columns.Title, ImageURL: data.Columns.ImageURL, ImagePath: data.Columns.ImagePath,
			Categories: data.Columns.Categories, Separator: data.Columns.Separator, CategoryFlags: data.Columns.CategoryFlags,
		},
	}
	if options.Path == "" {
		options.Path = p.downloads()
	}
	return source.Open(options)
}

func (p *pipeline) dataFiles() ([]string, error) {
	src, err := p.openSource()
	if err != nil {
		return nil, err
	}
	return src.Files(), nil
}

// dataBytes is the size of the data set's files, as far as they are there.
func (p *pipeline) dataBytes() (total int64) {
	files, err := p.dataFiles()
	if err != nil {
		return 0
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			total += info.Size()
		}
	}
	return total
}
