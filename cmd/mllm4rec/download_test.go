package main

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// zippedLogs is the archive that GroupLens would serve: a folder with the two files.
func zippedLogs(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := writeLogs(dir); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range []string{"ratings.csv", "movies.csv"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		entry, err := w.Create("ml-small/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestPrepareDownloadsOnceAndUnpacks(t *testing.T) {
	t.Parallel()
	archive := zippedLogs(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(archive)
	}))
	defer server.Close()
	dir := t.TempDir()
	prepare := func(extra ...string) (code int, stdout, stderr string) {
		out, errs := &sink{}, &sink{}
		args := append([]string{"prepare", "-c", "ml-latest-small", "--run", filepath.Join(dir, "run"),
			"--set", "data.urls=" + server.URL + "/ml-small.zip", "--set", "data.downloads=" + filepath.Join(dir, "downloads")}, extra...)
		code = execute(&system{args: args, stdout: out, stderr: errs})
		return code, out.text.String(), errs.text.String()
	}
	if code, stdout, stderr := prepare(); code != exitOK || !strings.Contains(stdout, "download") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := prepare(); code != exitOK || strings.Count(stdout, "up to date") != 2 || asked.Load() != 1 {
		t.Errorf("exit code %d, asked the server %d times\n%s%s", code, asked.Load(), stdout, stderr)
	}
	ratings := filepath.Join(dir, "downloads", "ml-latest-small", "ml-small", "ratings.csv")
	if err := os.Remove(ratings); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := prepare(); code != exitOK || !strings.Contains(stdout, "ratings.csv is gone") || !strings.Contains(stdout, "prepare   up to date") || asked.Load() != 1 {
		t.Errorf("exit code %d, asked the server %d times\n%s%s", code, asked.Load(), stdout, stderr)
	}
	if code, _, stderr := prepare("--set", "data.sha256="+strings.Repeat("0", 64)); code != exitFailed || !strings.Contains(stderr, "ml-small.zip") {
		t.Errorf("wrong sum: exit code %d\n%s", code, stderr)
	}
}
