package report

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// logLine is a line of train_log.jsonl: either a loss or a validation.
type logLine struct {
	Step    int64              `json:"step"`
	Loss    *float64           `json:"loss"`
	Seconds float64            `json:"seconds"`
	Val     map[string]float64 `json:"val"`
}

// trainingSection shows the loss and the validation curves.
type trainingSection struct {
	Missing string
	Text    string
	Figures []figure
}

// maxLogLine is the longest line of a training log that is read, in bytes.
const maxLogLine = 1 << 20

// loadTraining reads a log of the run folder; over says what a validation measures.
func loadTraining(dir, name, over string) (trainingSection, error) {
	lines, err := readTrainLog(dir, name)
	if err != nil {
		sentence, err := missing(err, "There is no training log ("+name+") in this run folder.")
		return trainingSection{Missing: sentence}, err
	}
	if len(lines) == 0 {
		return trainingSection{Missing: "The training log is empty."}, nil
	}
	return newTrainingSection(lines, over)
}

// readTrainLog reads a log of the run folder in order of steps. Where a resumed run trained steps a second time, what it says
// counts. A last line without its newline was cut off by a kill and is left out.
func readTrainLog(dir, name string) ([]logLine, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var lines []logLine
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, maxLogLine)
	scanner.Split(wholeLines)
	for number := 1; scanner.Scan(); number++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		var line logLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, number, err)
		}
		if err := line.check(); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, number, err)
		}
		lines = appendLine(lines, line)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return lines, nil
}

// maxLogValue bounds steps, losses and metrics that can be drawn.
const maxLogValue = 1e12

func (l logLine) check() error {
	if l.Step < 0 || l.Step > maxLogValue {
		return fmt.Errorf("step %d", l.Step)
	}
	if l.Loss != nil && math.Abs(*l.Loss) > maxLogValue {
		return fmt.Errorf("loss %g", *l.Loss)
	}
	for name, v := range l.Val {
		if math.Abs(v) > maxLogValue {
			return fmt.Errorf("%s %g", name, v)
		}
	}
	return nil
}

// wholeLines splits at newlines and drops what follows the last one.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := slices.Index(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF {
		return len(data), nil, nil
	}
	return 0, nil, nil
}

// appendLine adds a line and drops earlier ones of later steps.
func appendLine(lines []logLine, line logLine) []logLine {
	for len(lines) > 0 && lines[len(lines)-1].Step > line.Step {
		lines = lines[:len(lines)-1]
	}
	return append(lines, line)
}

func newTrainingSection(lines []logLine, over string) (trainingSection, error) {
	loss := series{Name: "loss"}
	val := map[string]*series{}
	var took time.Duration
	for _, line := range lines {
		if line.Loss != nil {
			loss.Points = append(loss.Points, point{line.Step, *line.Loss})
		}
		took = max(took, time.Duration(line.Seconds*float64(time.Second)))
		for name, v := range line.Val {
			if val[name] == nil {
				val[name] = &series{Name: metricLabel(name)}
			}
			val[name].Points = append(val[name].Points, point{line.Step, v})
		}
	}
	section := trainingSection{Text: trainingText(lines[len(lines)-1].Step, took)}
	if len(loss.Points) > 0 {
		chart, err := lineChart("Training loss by step", []series{loss})
		if err != nil {
			return section, err
		}
		last := loss.Points[len(loss.Points)-1]
		section.Figures = append(section.Figures, figure{"Training loss",
			fmt.Sprintf("Mean cross-entropy in nats, by step. %.4g at the start, %.4g at the end.", loss.Points[0].Value, last.Value), chart, nil})
	}
	return validationFigure(section, val, over)
}

func trainingText(steps int64, took time.Duration) string {
	text := comma(steps) + " steps"
	if took > 0 {
		text += " in " + seconds(took)
	}
	return text + "."
}

// validationFigure draws Recall@10 and NDCG@10 where the log has them, else whatever it has, up to as many curves as there are colours.
func validationFigure(section trainingSection, val map[string]*series, over string) (trainingSection, error) {
	names := []string{}
	for name := range val {
		names = append(names, name)
	}
	slices.Sort(names)
	if val["recall@10"] != nil && val["ndcg@10"] != nil {
		names = []string{"recall@10", "ndcg@10"}
	}
	var curves []series
	var best, keys []string
	for _, name := range names[:min(len(names), seriesColours)] {
		curves = append(curves, *val[name])
		keys = append(keys, metricLabel(name))
		top := slices.MaxFunc(val[name].Points, func(a, b point) int { return cmp.Compare(a.Value, b.Value) })
		best = append(best, fmt.Sprintf("best %s %s at step %s", metricLabel(name), share(top.Value), comma(top.Step)))
	}
	if len(curves) == 0 {
		return section, nil
	}
	chart, err := lineChart("Validation metrics by step", curves)
	section.Figures = append(section.Figures, figure{"Validation", over + strings.Join(best, ", ") + ".", chart, keys})
	return section, err
}

// metricLabel writes recall@10 as Recall@10 and ndcg@10 as NDCG@10.
func metricLabel(name string) string {
	base, k, found := strings.Cut(name, "@")
	switch base {
	case "mrr", "ndcg":
		base = strings.ToUpper(base)
	case "":
	default:
		base = strings.ToUpper(base[:1]) + base[1:]
	}
	if !found {
		return base
	}
	return base + "@" + k
}
