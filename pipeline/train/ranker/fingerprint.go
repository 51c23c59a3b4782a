package ranker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"mllm4rec/export/llama"
	"mllm4rec/pipeline/train/loop"
)

// options are the loop's. The fingerprint is of the spec, less what changes no weights, and of the content of every file.
func (t *task) options(base *llama.Checkpoint) (loop.Options, error) {
	spec := t.spec
	o := loop.Options{
		Out: spec.Out, Samples: t.negatives.samples(), Bounds: spec.Bounds, ValidateFirst: true, ValidateLast: true,
	}
	hash := sha256.New()
	files := []string{spec.Sequences, spec.Items, spec.Captions, spec.Validation, spec.NegativesTable}
	if spec.Init != "" {
		files = append(files, filepath.Join(spec.Init, "adapter_config.json"), filepath.Join(spec.Init, "adapter_model.safetensors"))
	}
	for _, path := range files {
		if err := addFile(hash, path); err != nil {
			return o, err
		}
	}
	spec.Base, spec.Tokenizer, spec.Template = base.Fingerprint(), t.prompts.tok.Fingerprint(), t.prompts.template.Fingerprint()
	spec.Init, spec.Out, spec.Sequences, spec.Items, spec.Captions, spec.Validation, spec.NegativesTable = "", "", "", "", "", "", ""
	spec.MaxMinutes, spec.CheckpointEvery, spec.LogEvery, spec.Patience, spec.ActivationBytes = 0, 0, 0, 0, 0
	if spec.GPU = 0; spec.Device == "cpu" {
		spec.Device = "" // as checkpoints have it that were made before there was a choice
	}
	if spec.Schedule == "constant" {
		spec.MaxSteps = 0
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return o, err
	}
	_, _ = hash.Write(text)
	o.Fingerprint = hex.EncodeToString(hash.Sum(nil))
	return o, nil
}

// addFile adds the digest of a file's content; no file has that of nothing.
func addFile(hash io.Writer, path string) error {
	content := sha256.New()
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if _, err := io.Copy(content, file); err != nil {
			return err
		}
	}
	_, _ = hash.Write(content.Sum(nil))
	return nil
}
