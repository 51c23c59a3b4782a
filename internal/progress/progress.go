// Package progress shows how far long work is: a bar with rate and ETA on a terminal, a plain line every few seconds
// otherwise, nothing at all for a nil Printer.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Printer makes bars. The zero value of *Printer (nil) makes silent ones.
type Printer struct {
	// Out is where bars and lines go, usually standard error.
	Out io.Writer
	// Terminal picks bars over lines.
	Terminal bool
	// Every is the time between two plain lines; 0 means 10 seconds.
	Every time.Duration
}

// Bar is one piece of work. Its methods may be called from several goroutines.
type Bar struct {
	mu      sync.Mutex
	printer *Printer
	bar     *progressbar.ProgressBar
	label   string
	unit    string
	note    string
	done    int64
	total   int64
	start   time.Time
	last    time.Time
	timed   bool          // the caller tells the time left
	left    time.Duration // as told; 0 before
}

// Start begins a bar. total is -1 where it is not known; unit names what is counted ("rows", "steps").
func (p *Printer) Start(label string, total int64, unit string) *Bar {
	return p.begin(&Bar{label: label, unit: unit, total: total})
}

// StartTimed is Start for work that may end before its total: the caller says by Left how long it still takes.
func (p *Printer) StartTimed(label string, total int64, unit string) *Bar {
	return p.begin(&Bar{label: label, unit: unit, total: total, timed: true})
}

func (p *Printer) begin(b *Bar) *Bar {
	b.printer, b.start, b.last = p, time.Now(), time.Now()
	if p != nil && p.Terminal {
		b.bar = progressbar.NewOptions64(b.total,
			progressbar.OptionSetWriter(p.Out), progressbar.OptionSetDescription(b.label), progressbar.OptionSetItsString(b.unit),
			progressbar.OptionShowIts(), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(!b.timed), progressbar.OptionUseANSICodes(true))
	}
	return b
}

// Left says how long the work of a timed bar still takes.
func (b *Bar) Left(left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = left
}

// Add counts n more.
func (b *Bar) Add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(b.done + n)
}

// Set says that done are done, with a short note such as "loss 5.31".
func (b *Bar) Set(done int64, note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note = note
	if b.left > 0 && b.bar != nil {
		note = b.left.Round(time.Second).String() + " left, " + note
	}
	if b.bar != nil && note != "" {
		b.bar.Describe(b.label + " " + note)
	}
	b.set(done)
}

func (b *Bar) set(done int64) {
	b.done = done
	switch {
	case b.printer == nil:
	case b.bar != nil:
		_ = b.bar.Set64(done)
	case time.Since(b.last) >= b.printer.every():
		b.last = time.Now()
		b.line()
	}
}

// Finish ends the bar. Without a terminal it prints a last line, unless the work was so short that nobody waited.
func (b *Bar) Finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.printer == nil:
	case b.bar != nil:
		_ = b.bar.Exit()
		_, _ = fmt.Fprintln(b.printer.Out)
	case time.Since(b.start) >= b.printer.every():
		b.line()
	}
}

func (b *Bar) line() {
	elapsed := time.Since(b.start)
	rate := float64(b.done) / elapsed.Seconds()
	text := fmt.Sprintf("%s: %d %s", b.label, b.done, b.unit)
	if b.total > 0 {
		text = fmt.Sprintf("%s: %d of %d %s (%.0f%%)", b.label, b.done, b.total, b.unit, 100*float64(b.done)/float64(b.total))
	}
	text += fmt.Sprintf(", %.4g %s/s", rate, b.unit)
	if left := b.eta(rate); left > 0 {
		text += fmt.Sprintf(", ETA %s", left.Round(time.Second))
	}
	if b.note != "" {
		text += ", " + b.note
	}
	_, _ = fmt.Fprintln(b.printer.Out, text)
}

// eta is how long the work still takes, 0 where nobody knows.
func (b *Bar) eta(rate float64) time.Duration {
	left := b.total - b.done
	switch {
	case b.timed:
		return b.left
	case left > 0 && rate > 0:
		return time.Duration(float64(left) / rate * float64(time.Second))
	}
	return 0
}

func (p *Printer) every() time.Duration {
	if p.Every > 0 {
		return p.Every
	}
	return 10 * time.Second
}
