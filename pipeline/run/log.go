package run

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// NewTextLog makes the handler for people: one short line a record, the time of day first.
func NewTextLog(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		switch {
		case attr.Key == slog.TimeKey:
			return slog.String(attr.Key, attr.Value.Time().Format("15:04:05"))
		case attr.Value.Kind() == slog.KindFloat64:
			return slog.String(attr.Key, fmt.Sprintf("%.4g", attr.Value.Float64()))
		}
		return attr
	}})
}

// openLog adds log.jsonl in the run folder to where the run tells what happens.
func (p *pipeline) openLog() (closeLog func() error, err error) {
	file, err := os.OpenFile(p.path("log.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	handler := slog.Handler(slog.NewJSONHandler(file, nil))
	p.fileLog = slog.New(handler)
	if p.Options.Log != nil {
		handler = slog.NewMultiHandler(handler, p.Options.Log)
	}
	p.log = slog.New(handler)
	return file.Close, nil
}
