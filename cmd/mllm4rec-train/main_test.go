package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/weights"
	"mllm4rec/pipeline/worker"
)

// TestMain makes this test binary the worker itself, so that tests can kill it.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && (os.Args[1] == "retriever" || os.Args[1] == "ranker") {
		main()
	}
	os.Exit(m.Run())
}

// prepare writes a small data set and returns a spec for it.
func prepare(t *testing.T) worker.RetrieverSpec {
	t.Helper()
	var rows []table.Sequence
	for u := range int32(40) {
		row := table.Sequence{UserID: u + 1, Val: (u+9)%25 + 1, Test: (u+10)%25 + 1}
		for i := range 2 + u%7 {
			row.Train = append(row.Train, (u+i)%25+1)
		}
		rows = append(rows, row)
	}
	spec := worker.DefaultRetriever()
	spec.Sequences, spec.Out = filepath.Join(t.TempDir(), "sequences.parquet"), t.TempDir()
	if err := table.WriteAll(spec.Sequences, rows); err != nil {
		t.Fatal(err)
	}
	spec.NumItems, spec.Hidden, spec.MaxLength, spec.Batch, spec.Threads = 25, 8, 6, 8, 2
	spec.MaxSteps, spec.ValidateEvery, spec.CheckpointEvery, spec.LogEvery = 120, 40, 9, 3
	return spec
}

// weightsOf are all tensors of the published weights and of the last checkpoint.
func weightsOf(t *testing.T, dir, published string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{published, "checkpoint/last.safetensors"} {
		file, err := weights.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, tensor := range file.Names() {
			values, err := file.Tensor(tensor)
			if err != nil {
				t.Fatal(err)
			}
			all[name+": "+tensor] = values.Data
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestKilledAndResumedRunGivesTheSameBits(t *testing.T) {
	t.Parallel()
	spec := prepare(t)
	if _, err := worker.TrainRetriever(t.Context(), os.Args[0], spec, nil); err != nil {
		t.Fatal(err)
	}
	whole := weightsOf(t, spec.Out, "retriever.safetensors")
	spec.Out = t.TempDir()
	killAndResume(t, "retriever", spec.Out, spec)
	compare(t, weightsOf(t, spec.Out, "retriever.safetensors"), whole)
}

// killAndResume runs the worker until it ends by itself; each life ends a little later, by SIGKILL.
func killAndResume(t *testing.T, command, out string, spec any) {
	t.Helper()
	litter := filepath.Join(out, "checkpoint", ".last.safetensors.tmp-1") // as of a writer that was killed before
	if err := os.MkdirAll(filepath.Dir(litter), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(litter, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for kill := 3; !lifeEnds(t, command, out, spec, kill); kill += 5 {
		killed++
	}
	if killed < 4 {
		t.Errorf("the run was killed %d times only", killed)
	}
	if left, _ := filepath.Glob(filepath.Join(out, "checkpoint", ".*.tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func compare(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// begin starts the worker with a specification, which goes into out.
func begin(t *testing.T, command, out string, spec any) (*exec.Cmd, io.ReadCloser) {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "spec.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], command, path)
	cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

// lifeEnds runs the worker and kills it at that event; it reports whether the worker had finished before.
func lifeEnds(t *testing.T, command, out string, spec any, kill int) bool {
	t.Helper()
	cmd, stdout := begin(t, command, out, spec)
	events := json.NewDecoder(stdout)
	var last worker.Event
	for n := 1; events.Decode(&last) == nil; n++ {
		if n == kill {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if last.Kind == worker.Failed {
		t.Fatal(last.Error)
	}
	return last.Kind == worker.Finished
}

func TestStoppedByASignalItExitsWith130AfterACheckpoint(t *testing.T) {
	t.Parallel()
	spec := prepare(t)
	spec.MaxSteps, spec.CheckpointEvery, spec.ValidateEvery, spec.Patience = 1<<29, 0, 1<<29, 0
	ctx, cancel := context.WithCancel(t.Context())
	var last worker.Event
	_, err := worker.TrainRetriever(ctx, os.Args[0], spec, func(e worker.Event) {
		if last = e; e.Kind == worker.Progress {
			cancel()
		}
	})
	if err == nil || ctx.Err() == nil || last.Kind != worker.Failed || !strings.Contains(last.Error, "checkpoint") {
		t.Errorf("error %v, last event %+v", err, last)
	}
	if _, err := weights.Open(filepath.Join(spec.Out, "checkpoint", "last.safetensors")); err != nil {
		t.Error(err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ranker := `{"base":"none","out":"` + t.TempDir() + `","sequences":"s","items":"i","validation":"v",`
	for name, args := range map[string][]string{
		"usage":          {},
		"no such file":   {"retriever", filepath.Join(dir, "none.json")},
		"unknown field":  {"retriever", write("a.json", `{"hiden": 3}`)},
		"must be set":    {"retriever", write("b.json", `{}`)},
		"must be one of": {"retriever", write("c.json", `{"sequences":"s","out":"o","num_items":9,"loss":"mse"}`)},
		"ranker: ":       {"ranker", write("d.json", `{}`)},
		"rank is 0":      {"ranker", write("e.json", ranker+`"rank":0}`)},
		" GPU":           {"gpu", "99"},
		"no number":      {"gpu", "first"},
		"no such model":  {"ranker", write("f.json", ranker+`"rank":8}`)},
	} {
		var out bytes.Buffer
		code := execute(t.Context(), args, &out)
		var event worker.Event
		if err := json.Unmarshal(out.Bytes(), &event); err != nil || code != 2 || !event.Usage || !strings.Contains(event.Error, name) {
			t.Errorf("%s: exit code %d, output %s", name, code, out.Bytes())
		}
	}
}

// A parent that is killed takes the other end of the worker's standard output along: what the worker says then must not end it
// before its checkpoint is written.
func TestAWorkerThatNobodyHearsWritesACheckpoint(t *testing.T) {
	t.Parallel()
	spec := prepare(t)
	spec.MaxSteps, spec.CheckpointEvery, spec.ValidateEvery, spec.Patience = 1<<29, 0, 1<<29, 0
	cmd, stdout := begin(t, "retriever", spec.Out, spec)
	var event worker.Event
	for events := json.NewDecoder(stdout); event.Kind != worker.Progress; {
		if err := events.Decode(&event); err != nil {
			t.Fatal(err)
		}
	}
	_ = stdout.Close()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("ended with %v", err)
	}
	if _, err := weights.Open(filepath.Join(spec.Out, "checkpoint", "last.safetensors")); err != nil {
		t.Error(err)
	}
}
