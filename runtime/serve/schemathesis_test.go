package serve_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mllm4rec/runtime/serve/servetest"
)

// TestSchemathesisFindsNothing lets schemathesis (4.x) send what the OpenAPI document allows and forbids, and compares what
// comes back with it. `make schemathesis` installs and runs it.
func TestSchemathesisFindsNothing(t *testing.T) {
	program := os.Getenv("MLLM4REC_SCHEMATHESIS")
	if program == "" {
		t.Skip("MLLM4REC_SCHEMATHESIS names no program")
	}
	picture := filepath.Join(t.TempDir(), "p")
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(&servetest.Fake{Slots: 64, PicturePath: picture})
	o.Admin = true
	server := start(t, o)
	command := exec.Command(program, "run", server.URL+"/openapi.json", "--checks=all", "--exclude-checks=positive_data_acceptance",
		"--seed=1", "--max-examples=100", "--generation-database=none", "--no-color")
	command.Dir = t.TempDir()
	began := time.Now()
	text, err := command.CombinedOutput()
	t.Logf("%v\n%s", time.Since(began), text)
	if err != nil {
		t.Error(err)
	}
}
