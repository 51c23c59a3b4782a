package prepare

import (
	"encoding/csv"
	"log/slog"
	"strconv"
	"strings"

	"mllm4rec/data/source"
	"mllm4rec/internal/atomicfile"
)

const loggedRejects = 5

// rejects writes rejects.csv (file, row, reason, raw).
type rejects struct {
	file  *atomicfile.File
	csv   *csv.Writer
	log   *slog.Logger
	total int64
}

func createRejects(path string, log *slog.Logger) (*rejects, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	r := &rejects{file: f, csv: csv.NewWriter(f), log: log}
	return r, r.csv.Write([]string{"file", "row", "reason", "raw"})
}

// into is a source.Log.Reject that counts by reason. An error of the disk shows at commit.
func (r *rejects) into(counts map[string]int64) func(source.Reject) {
	return func(bad source.Reject) {
		counts[string(bad.Reason)]++
		r.add(bad)
	}
}

func (r *rejects) add(bad source.Reject) {
	raw := strings.ToValidUTF8(string(bad.Raw), "\uFFFD")
	if r.total++; r.total <= loggedRejects {
		r.log.Warn("row rejected", "file", bad.File, "row", bad.Row, "reason", string(bad.Reason), "raw", raw)
	}
	_ = r.csv.Write([]string{bad.File, strconv.FormatInt(bad.Row, 10), string(bad.Reason), raw})
}

func (r *rejects) commit() error {
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return err
	}
	return r.file.Commit()
}

func (r *rejects) abort() { r.file.Abort() }
