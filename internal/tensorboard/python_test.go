package tensorboard

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"
)

// readByTensorBoard prints {tag: [[step, value], …]} of the folder argv[1], as TensorBoard's own reader sees it.
const readByTensorBoard = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
a.Reload()
print(json.dumps({t: [[e.step, e.value] for e in a.Scalars(t)] for t in a.Tags()["scalars"]}))
`

// python finds an interpreter that has TensorBoard.
func python(t *testing.T) string {
	t.Helper()
	name := os.Getenv("MLLM4REC_PYTHON")
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no Python to check with: %v (set MLLM4REC_PYTHON)", err)
	}
	if err := exec.Command(path, "-c", "import tensorboard").Run(); err != nil {
		t.Skipf("%s has no tensorboard module (set MLLM4REC_PYTHON to one that has)", path)
	}
	return path
}

func TestTensorBoardReadsWhatAKilledAndResumedRunWrote(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	dir := t.TempDir()

	killed := create(t, dir)
	scalar(t, killed, "train/loss", 100, 5.5)
	scalar(t, killed, "train/loss", 200, 4.5)
	scalar(t, killed, "train/loss", 300, 99)
	scalar(t, killed, "val/recall@10", 200, 0.125)
	torn := appendRecord(nil, scalarEvent("train/loss", 400, 98, time.Now()))
	if _, err := killed.file.Write(torn[:len(torn)-3]); err != nil {
		t.Fatal(err)
	}

	resumed := create(t, dir)
	if err := resumed.Restart(200, time.Now()); err != nil {
		t.Fatal(err)
	}
	scalar(t, resumed, "train/loss", 300, 3.5)
	scalar(t, resumed, "train/loss", 400, 2.5)

	var stderr bytes.Buffer
	command := exec.Command(interpreter, "-c", readByTensorBoard, dir)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string][][2]float64{
		"train/loss":    {{100, 5.5}, {200, 4.5}, {300, 3.5}, {400, 2.5}},
		"val/recall@10": {{200, 0.125}},
	}
	if len(got) != len(want) {
		t.Fatalf("tags %v, want %v", got, want)
	}
	for tag, points := range want {
		if len(got[tag]) != len(points) {
			t.Errorf("%s: %v, want %v", tag, got[tag], points)
			continue
		}
		for i, p := range points {
			if got[tag][i][0] != p[0] || math.Abs(got[tag][i][1]-p[1]) > 1e-7 {
				t.Errorf("%s: point %d is %v, want %v", tag, i, got[tag][i], p)
			}
		}
	}
}
