package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/llama/llamatest"
)

// TestMain lets this test binary be the program: as "mllm4rec" it runs main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mllm4rec": main, fakeServe: serveFake})
}

// TestCommandLine runs the transcripts in testdata. Beside testscript's commands they have
//
//	exits CODE COMMAND…   run and want this exit code
//	logs FOLDER           write a small log of interactions, ratings.csv and movies.csv, into FOLDER
//	model FOLDER SEED     write a tiny language model of random weights into FOLDER
//	captioner FOLDER SEED write a tiny BLIP-2 model of random weights into FOLDER
//	pictures FOLDER N     write N small pictures into FOLDER, and cut.png, which is damaged
//	posters FOLDER N      the same, called by the ids of the films of logs: 1.png and so on, N+1.png damaged
//	waitfile FILE         wait until a process in the background has made FILE
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			root, err := repository()
			if err != nil {
				return err
			}
			env.Setenv("MLLM4REC_ORT_LIBRARY", filepath.Join(root, ".deps/onnxruntime/capi"))
			env.Setenv("MLLM4REC_TRAIN", filepath.Join(root, "bin/mllm4rec-train"))
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "worker" {
				return builtWorker() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "logs": logs, "model": model, "captioner": captioner, "pictures": pictures, "posters": posters, "waitfile": waitFile},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func logs(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(writeLogs(ts.MkAbs(args[0])))
}

func captioner(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	ts.Check(blip2test.Write(ts.MkAbs(args[0]), seed))
}

func pictures(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(writePictures(ts.MkAbs(args[0]), n))
}

func posters(ts *testscript.TestScript, _ bool, args []string) {
	pictures(ts, false, args)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n + 1 {
		from := fmt.Sprintf("p%d.png", i)
		if i == n {
			from = "cut.png"
		}
		ts.Check(os.Rename(ts.MkAbs(filepath.Join(args[0], from)), ts.MkAbs(filepath.Join(args[0], fmt.Sprintf("%d.png", i+1)))))
	}
}

// writePictures writes n different pictures, p0.png and so on, and cut.png, which is one of them cut short.
func writePictures(dir string, n int) error {
	err := os.MkdirAll(dir, 0o755)
	for i := range n + 1 {
		m := image.NewGray(image.Rect(0, 0, 16, 16))
		for at := range m.Pix {
			m.Pix[at] = byte(at * (1 + 37*i))
		}
		var file bytes.Buffer
		err = errors.Join(err, png.Encode(&file, m))
		name, data := fmt.Sprintf("p%d.png", i), file.Bytes()
		if i == n {
			name, data = "cut.png", data[:len(data)/2]
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return err
}

func model(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	ts.Check(llamatest.Write(ts.MkAbs(args[0]), seed))
}

// writeLogs makes a data set as MovieLens has it: 40 users, 60 films, 12 to 20 ratings each.
func writeLogs(dir string) error {
	var ratings, films strings.Builder
	ratings.WriteString("userId,movieId,rating,timestamp\n")
	for user := 1; user <= 40; user++ {
		for i := range 12 + user%9 {
			_, _ = fmt.Fprintf(&ratings, "%d,%d,%d.0,%d\n", user, 1+(user*7+i*(1+user%3))%60, 1+(user+i)%5, 1_000_000_000+i*60+user)
		}
	}
	films.WriteString("movieId,title,genres\n")
	for film := 1; film <= 60; film++ {
		_, _ = fmt.Fprintf(&films, "%d,\"Film %d, The (1999)\",Drama|Comedy\n", film, film)
	}
	return errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "ratings.csv"), []byte(ratings.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "movies.csv"), []byte(films.String()), 0o644))
}

// repository is the root of the checkout.
func repository() (string, error) { return filepath.Abs("../..") }

// builtWorker says why a whole run is not possible here, if it is not.
func builtWorker() error {
	root, err := repository()
	if err != nil {
		return err
	}
	for _, need := range []string{"bin/mllm4rec-train", ".deps/onnxruntime/capi"} {
		if _, err := os.Stat(filepath.Join(root, need)); err != nil {
			return fmt.Errorf("%s is missing: run `make build`", need)
		}
	}
	return nil
}

func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%s did not appear", args[0])
		case <-tick.C:
		}
	}
}
