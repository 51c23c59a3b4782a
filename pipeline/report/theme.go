package report

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"

	"github.com/go-analyze/charts"
)

// A chart's colours are the page's: the library draws in colours that stand for style.css's variables, and svg puts the
// variables in their place, so that one chart serves the light and the dark page.
var (
	textColour = charts.Color{R: 1, G: 1, B: 1, A: 255}
	axisColour = charts.Color{R: 2, G: 2, B: 2, A: 255}
	gridColour = charts.Color{R: 3, G: 3, B: 3, A: 255}
)

// seriesColour stands for the variable --series-1, --series-2, …
func seriesColour(i int) charts.Color {
	v := uint8(11 + i)
	return charts.Color{R: v, G: v, B: v, A: 255}
}

var theme = charts.MakeTheme(charts.ThemeOption{
	AxisStrokeColor: axisColour, AxisSplitLineColor: gridColour, BackgroundColor: charts.ColorTransparent,
	TextColor: textColour, TextColorLegend: textColour, SeriesColors: allSeriesColours(),
})

func allSeriesColours() []charts.Color {
	colours := make([]charts.Color, seriesColours)
	for i := range colours {
		colours[i] = seriesColour(i)
	}
	return colours
}

var (
	fontStyle    = charts.FontStyle{FontSize: chartFontSize, FontColor: textColour}
	chartPadding = charts.Box{Top: 24, Right: 60, Bottom: 12, Left: 6, IsSet: true}
)

// themed replaces the stand-ins, and the library's font by the page's.
var themed = strings.NewReplacer(func() []string {
	pairs := []string{
		"'Roboto Medium',sans-serif", "inherit",
		textColour.String(), "var(--chart-text)", axisColour.String(), "var(--chart-axis)", gridColour.String(), "var(--chart-grid)",
	}
	for i := range seriesColours {
		pairs = append(pairs, seriesColour(i).String(), fmt.Sprintf("var(--series-%d)", i+1))
	}
	return pairs
}()...)

// axisLine is a straight line in the axis's colour: the axis itself, or a tick, which the library draws at every position,
// labelled or not.
var axisLine = regexp.MustCompile(`<path d="M (\d+) \d+\nL (\d+) \d+" style="[^"]*stroke:` + regexp.QuoteMeta(axisColour.String()) + `[^"]*"/>`)

// dropTick drops upright lines.
func dropTick(path string) string {
	if x := axisLine.FindStringSubmatch(path); x[1] == x[2] {
		return ""
	}
	return path
}

func newPainter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: chartHeight, Theme: theme,
	})
}

// svg returns what was painted, to stand in a page. Everything in it is ours: numbers and the names of metrics, which
// the library escapes.
func svg(p *charts.Painter, label string) (template.HTML, error) {
	raw, err := p.Bytes()
	if err != nil {
		return "", fmt.Errorf("chart %q: %w", label, err)
	}
	text := axisLine.ReplaceAllStringFunc(string(raw), dropTick)
	text = strings.Replace(text, "<svg ", `<svg role="img" aria-label="`+html.EscapeString(label)+`" `, 1)
	return template.HTML(themed.Replace(text)), nil
}
