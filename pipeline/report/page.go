package report

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path/filepath"
	"time"
)

// page is everything that report.gohtml shows.
type page struct {
	Style template.CSS
	Title string
	Facts []fact
	Note  string

	Tiles    []tile
	Metrics  metricsSection
	Beside   besideSection
	Dataset  datasetSection
	Prepared preparedSection
	Training trainingSection
	Pictures picturesSection
	Ranker   rankerSection
	Time     timeSection
	Samples  samplesSection
}

// fact is a name and what it is, as text.
type fact struct{ Name, Value string }

// figure is a chart with what it shows in words. Keys name its curves in the order of their colours.
type figure struct {
	Title, Caption string
	Chart          template.HTML
	Keys           []string
}

// load builds the page from the run folder.
func load(ctx context.Context, dir string, options Options) (*page, error) {
	if options.SampleUsers <= 0 {
		options.SampleUsers = defaultSampleUsers
	}
	p := &page{Style: template.CSS(styleSource), Title: options.Title, Facts: header(options), Note: options.Note}
	if p.Title == "" {
		p.Title = filepath.Base(dir)
	}
	scan, err := scanSequences(ctx, dir, options)
	if err != nil {
		return nil, err
	}
	var errs [8]error
	p.Dataset, errs[0] = newDatasetSection(scan)
	p.Prepared, errs[1] = loadPrepared(dir)
	p.Training, errs[2] = loadTraining(dir, trainLogFile, "By step, over all users, the history not excluded (the tables above exclude it): ")
	p.Metrics, errs[3] = loadMetrics(dir, options.Published, scan.users)
	p.Samples, errs[4] = loadSamples(ctx, dir, scan)
	if measured(p.Metrics.rows, rankerModel) {
		p.Ranker, errs[5] = loadRanker(ctx, dir, options)
	}
	p.Pictures, errs[6] = loadPictures(ctx, dir, options)
	p.Beside, errs[7] = loadBeside(ctx, dir, p.Metrics.rows, options)
	p.Tiles = tiles(p.Metrics)
	p.Time = newTimeSection(options.Stages)
	return p, errors.Join(errs[:]...)
}

func header(o Options) []fact {
	facts := []fact{{"Seed", fmt.Sprint(o.Seed)}}
	if !o.Date.IsZero() {
		facts = append(facts, fact{"Date", o.Date.UTC().Format("2 January 2006, 15:04 UTC")})
	}
	if o.Machine != "" {
		facts = append(facts, fact{"Machine", o.Machine})
	}
	if o.Version != "" {
		facts = append(facts, fact{"Version", o.Version})
	}
	return facts
}

// missing turns "no such file" into a sentence for the page. Other errors stay errors.
func missing(err error, sentence string) (string, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return sentence, nil
	}
	return "", err
}

// timeSection shows where the time went.
type timeSection struct {
	Missing string
	Total   time.Duration
	Stages  []stageBar
}

// stageBar is a stage with its share of the whole, in percent.
type stageBar struct {
	Stage
	Percent float64
}

func newTimeSection(stages []Stage) timeSection {
	var section timeSection
	for _, s := range stages {
		section.Total += s.Duration
	}
	if section.Total <= 0 {
		section.Missing = "No stage times were recorded for this run."
		return section
	}
	for _, s := range stages {
		section.Stages = append(section.Stages, stageBar{s, 100 * s.Duration.Seconds() / section.Total.Seconds()})
	}
	return section
}
