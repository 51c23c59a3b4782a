package main

import (
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/data/table"
	"mllm4rec/export/blip2/blip2test"
	"mllm4rec/export/matrix"
	"mllm4rec/pipeline/caption"
	"mllm4rec/runtime/ort/orttest"
)

func TestRunCaptionsTheItemsPictures(t *testing.T) {
	t.Parallel()
	s, library := newShop(t), orttest.Options(t).Library
	model := filepath.Join(s.dir, "captioner.onnx")
	if err := blip2test.Write(filepath.Join(s.dir, "blip"), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := caption.Export(t.Context(), caption.ExportOptions{Model: filepath.Join(s.dir, "blip"), Out: model, Precision: matrix.FP32}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := s.call(nil, "run", "--until", "caption"); code != exitUsage || !strings.Contains(stderr, "the recipe has no captioner; name one in captioner.model") {
		t.Errorf("without a captioner: exit code %d\n%s", code, stderr)
	}
	until := func(more ...string) []string {
		return append([]string{"run", "--until", "caption", "--set", "captioner.model=" + model, "--set", "runtime.library=" + library}, more...)
	}
	code, stdout, stderr := s.call(nil, until()...)
	if code != exitOK || !strings.Contains(stdout, "caption ") || !strings.Contains(stderr, "msg=captioned items=9 pictures=9") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	pictures, err := table.ReadAll[table.Image](filepath.Join(s.dir, "run", "images.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	captions, err := table.ReadAll[table.Caption](filepath.Join(s.dir, "run", "captions.parquet"))
	if err != nil || len(captions) != 9 {
		t.Fatalf("%d captions, %v", len(captions), err)
	}
	for _, c := range captions {
		if p := pictures[c.ItemID-1]; p.Status != "ok" || p.SHA256 != c.ImageSHA256 || c.Caption == "" || len(c.Model) != 32 {
			t.Errorf("%+v of %+v", c, p)
		}
	}
	if code, stdout, _ := s.call(nil, until("--set", "captioner.batch=2")...); code != exitOK || strings.Contains(stdout, "changed") {
		t.Errorf("the second time: exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ := s.call(nil, until("--set", "captioner.max_tokens=3")...); code != exitOK || !strings.Contains(stdout, "changed in the recipe: captioner.max_tokens") {
		t.Errorf("shorter captions: exit code %d\n%s", code, stdout)
	}
	wrong := until("--set", "captioner.model="+filepath.Join(s.dir, "items.csv"))
	if code, _, stderr := s.call(nil, wrong...); code != exitUsage || !strings.Contains(stderr, "items.csv: ") {
		t.Errorf("a table for a captioner: exit code %d\n%s", code, stderr)
	}
}
