package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"
)

// Charts are drawn three times as large as they are shown, because the library rounds to whole pixels, and scale with the
// page.
const (
	chartWidth    = 3 * 420
	chartHeight   = 3 * 215
	chartFontSize = 3 * 9.0 // points
	seriesColours = 5
)

// point is the value at a training step.
type point struct {
	Step  int64
	Value float64
}

// series is a named curve, its points in order of their steps.
type series struct {
	Name   string
	Points []point
}

// barChart draws bars. label says for those who cannot see it what the chart shows; labels name the bars.
func barChart(label string, labels []string, values []float64) (template.HTML, error) {
	p := newPainter()
	option := charts.NewBarChartOptionWithData([][]float64{values})
	option.Theme = theme
	option.Padding = chartPadding
	option.CategoryAxis.Labels = labels
	option.CategoryAxis.LabelCount = len(labels)
	option.CategoryAxis.LabelFontStyle = fontStyle
	option.CategoryAxis.BoundaryGap = charts.Ptr(true)
	option.ValueAxis[0] = valueAxis(values)
	option.BarMargin = charts.Ptr(0.0)
	option.BarSize = 0.82
	if err := p.BarChart(option); err != nil {
		return "", fmt.Errorf("chart %q: %w", label, err)
	}
	return svg(p, label)
}

// lineChart draws curves over training steps, from step 0.
func lineChart(label string, curves []series) (template.HTML, error) {
	end, ticks := stepAxis(curves)
	cells := ticks * (120 / ticks)
	data := make([][]float64, len(curves))
	var all []float64
	for i, curve := range curves {
		data[i] = resample(curve.Points, end, cells)
		for _, p := range curve.Points {
			all = append(all, p.Value)
		}
	}
	labels := make([]string, cells+1)
	for tick := range ticks + 1 {
		labels[tick*cells/ticks] = comma(end * int64(tick) / int64(ticks))
	}
	return drawLines(label, lines{data, labels, valueAxis(all)})
}

// lines is a line chart: data [curve][position] and the positions' labels, most of them empty. The curves' names stand
// above the chart, as text of the page.
type lines struct {
	data   [][]float64
	labels []string
	axis   charts.YAxisOption
}

func drawLines(label string, l lines) (template.HTML, error) {
	p := newPainter()
	option := charts.NewLineChartOptionWithData(l.data)
	option.Theme = theme
	option.Padding = chartPadding
	option.XAxis.Labels = l.labels
	option.XAxis.LabelCount = len(l.labels)
	option.XAxis.LabelFontStyle = fontStyle
	option.XAxis.BoundaryGap = charts.Ptr(true) // centres the labels under their ticks
	option.YAxis[0] = l.axis
	option.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	option.LineStrokeWidth = 2
	if err := p.LineChart(option); err != nil {
		return "", fmt.Errorf("chart %q: %w", label, err)
	}
	return svg(p, label)
}

// resample brings points to cells+1 positions from step 0 to end: the mean where several points fall on one position, a
// straight line where none does, nothing before the first point and after the last.
func resample(points []point, end int64, cells int) []float64 {
	sums, counts := make([]float64, cells+1), make([]float64, cells+1)
	for _, p := range points {
		at := int(math.Round(float64(p.Step) / float64(end) * float64(cells)))
		at = min(max(at, 0), cells)
		sums[at] += p.Value
		counts[at]++
	}
	values := make([]float64, cells+1)
	last := -1
	for i := range values {
		values[i] = charts.GetNullValue()
		if counts[i] == 0 {
			continue
		}
		values[i] = sums[i] / counts[i]
		for j := last + 1; last >= 0 && j < i; j++ {
			values[j] = values[last] + (values[i]-values[last])*float64(j-last)/float64(i-last)
		}
		last = i
	}
	return values
}

// stepAxis is where the step axis ends and how many parts it has: of the round steps that give 4 to 8 parts, the one that
// leaves the least room after the last point.
func stepAxis(curves []series) (end int64, ticks int) {
	last := int64(1)
	for _, c := range curves {
		if len(c.Points) > 0 {
			last = max(last, c.Points[len(c.Points)-1].Step)
		}
	}
	for parts := 8; parts >= 4; parts-- {
		step := int64(math.Max(1, niceStep(float64(last)/float64(parts))))
		needed := (last + step - 1) / step
		if end == 0 || needed*step < end {
			end, ticks = needed*step, int(needed)
		}
	}
	return end, ticks
}

// valueAxis is an axis with about four parts and round labels. It starts at 0 unless the values are far from it.
func valueAxis(values []float64) charts.ValueAxisOption {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = math.Min(low, v), math.Max(high, v)
	}
	flat := high-low <= 1e-6*math.Max(math.Abs(low), math.Abs(high))
	if low > 0 && (low < high/2 || flat) {
		low = 0
	} else if flat {
		high = math.Max(high, 0)
	}
	step := niceStep(math.Max(high-low, 1e-9) / 4)
	from, to := math.Floor(low/step)*step, math.Ceil(high/step)*step
	if to <= from {
		to = from + step
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	return charts.ValueAxisOption{
		Min: charts.Ptr(from), Max: charts.Ptr(to), LabelCount: int(math.Round((to-from)/step)) + 1,
		RangeValuePaddingScale: charts.Ptr(0.0), LabelFontStyle: fontStyle,
		ValueFormatter: func(v float64) string { return axisLabel(v, decimals) },
	}
}

// axisLabel writes 15000 as 15,000 and 0.05 with as many decimals as the axis needs.
func axisLabel(v float64, decimals int) string {
	if decimals == 0 {
		return comma(int64(math.Round(v)))
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', decimals, 64), "-", "−", 1)
}

// niceStep is the smallest of 1, 2, 5 × a power of ten that is at least v.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= v*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}
