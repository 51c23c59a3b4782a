package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// comma writes 12345 as 12,345.
func comma[T int | int32 | int64](n T) string { return humanize.Comma(int64(n)) }

// share writes a value from 0 to 1 with four decimals, as tables of metrics do.
func share(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// score writes a model's score.
func score(v float32) string {
	return strings.Replace(strconv.FormatFloat(float64(v), 'f', 2, 32), "-", "−", 1)
}

// seconds writes a duration as a person would say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", math.Floor(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// percent writes a share as 12.3%.
func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + "%" }

// maxTitleRunes keeps an advertising text that a shop calls a title from filling the page.
const maxTitleRunes = 120

// shorten cuts a title and makes it valid UTF-8.
func shorten(title string) string {
	title = strings.ToValidUTF8(strings.Join(strings.Fields(title), " "), "\uFFFD")
	if utf8.RuneCountInString(title) <= maxTitleRunes {
		return title
	}
	runes := []rune(title)
	return strings.TrimRight(string(runes[:maxTitleRunes-1]), " ,;-") + "…"
}
