package progress_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"mllm4rec/internal/progress"
)

func TestLinesTellRateAndETA(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bar := (&progress.Printer{Out: &out, Every: time.Nanosecond}).Start("train", 40, "steps")
	bar.Set(10, "loss 5.31")
	for _, want := range []string{"train: 10 of 40 steps (25%)", "steps/s", "ETA ", "loss 5.31\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestTimedWorkHasTheETAThatItIsTold(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bar := (&progress.Printer{Out: &out, Every: time.Nanosecond}).StartTimed("train", 1_000_000, "steps")
	bar.Set(1, "")
	if strings.Contains(out.String(), "ETA") {
		t.Errorf("an ETA that nobody told: %q", out.String())
	}
	bar.Left(90 * time.Second)
	bar.Set(2, "")
	if !strings.Contains(out.String(), "ETA 1m30s\n") {
		t.Errorf("got %q", out.String())
	}
}

func TestUnknownTotalHasNoETA(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bar := (&progress.Printer{Out: &out, Every: time.Nanosecond}).Start("read", -1, "rows")
	bar.Add(7)
	bar.Finish()
	if text := out.String(); !strings.Contains(text, "read: 7 rows") || strings.Contains(text, "ETA") || strings.Contains(text, "%") {
		t.Errorf("got %q", text)
	}
}

func TestShortWorkPrintsNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bar := (&progress.Printer{Out: &out, Every: time.Hour}).Start("read", 2, "rows")
	bar.Add(2)
	bar.Finish()
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}

func TestNoPrinterIsSilentAndBarsAreShared(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, printer := range []*progress.Printer{nil, {Out: &out, Every: time.Nanosecond}} {
		bar := printer.Start("read", 100, "rows")
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 25 {
					bar.Add(1)
				}
			})
		}
		group.Wait()
		bar.Finish()
	}
	if !strings.Contains(out.String(), "read: 100 of 100 rows (100%)") {
		t.Errorf("got %q", out.String())
	}
}

func TestTerminalGetsABar(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	bar := (&progress.Printer{Out: &out, Terminal: true}).Start("train", 4, "steps")
	bar.Set(4, "loss 1")
	bar.Finish()
	if !strings.Contains(out.String(), "train") || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("got %q", out.String())
	}
}
