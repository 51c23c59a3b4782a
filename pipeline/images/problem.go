package images

import (
	"errors"

	"mllm4rec/data/table"
	"mllm4rec/internal/web"
)

// Statuses of a row of images.parquet.
const (
	// OK means that the picture is there.
	OK = "ok"
	// Missing means that there is none: no address, no file, or the server does not know it.
	Missing = "missing"
	// Failed means that there should be one and it did not come, or is no picture that can be read.
	Failed = "failed"
	// Skipped means that what came is a known placeholder.
	Skipped = "skipped"
)

// problem says why an item has no picture.
type problem struct {
	status string
	// reason is the same for equal causes; detail may say more about this one.
	reason, detail string
	// hostDown says that other pictures of the host will hardly fare better.
	hostDown bool
}

func (p *problem) Error() string {
	if p.detail == "" {
		return p.reason
	}
	return p.reason + ": " + p.detail
}

// webProblem makes a problem of an address that gave nothing. Other errors stay as they are.
func webProblem(err error) error {
	e, ok := errors.AsType[*web.Error](err)
	if !ok {
		return err
	}
	status := Failed
	if e.Reason == web.NotFound {
		status = Missing
	}
	return &problem{status: status, reason: e.Reason, detail: e.Detail, hostDown: e.HostDown}
}

// describe writes a problem into a row.
func describe(row *table.Image, why *problem) {
	row.Status, row.Reason = why.status, why.Error()
	row.Path, row.Width, row.Height = "", 0, 0
}
