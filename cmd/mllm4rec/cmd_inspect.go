package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mllm4rec/data/table"
	"mllm4rec/export/onnx"
	"mllm4rec/export/weights"
	"mllm4rec/internal/fail"
)

type inspectOptions struct{ rows int }

func newInspect(a *app) *cobra.Command {
	var options inspectOptions
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Show what a Parquet, safetensors or ONNX file holds", Args: oneArg("file"),
		Long: "Show the schema, the row count and the first rows of a Parquet table, the tensors of a safetensors file, or the\n" +
			"nodes of an ONNX file. The content decides what a file is, not its name. Nothing in it is executed.",
		RunE: func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, args[0], options) },
	}
	cmd.Flags().IntVar(&options.rows, "rows", 5, "first rows of a table to show")
	return cmd
}

func runInspect(_ context.Context, a *app, path string, options inspectOptions) error {
	if options.rows < 0 {
		return fail.Usagef("--rows %d: must not be negative", options.rows)
	}
	head, err := readHead(path)
	if err != nil {
		return err
	}
	switch kindOf(head) {
	case "parquet":
		err = table.Describe(a.sys.stdout, path, options.rows, a.json)
	case "safetensors":
		err = weights.Describe(a.sys.stdout, path, a.json)
	case "onnx":
		err = onnx.Describe(a.sys.stdout, path, a.json)
	default:
		err = fmt.Errorf("%s is neither a Parquet table, a safetensors file nor an ONNX model", path)
	}
	if err != nil {
		return fail.Usagef("%w", err)
	}
	return nil
}

// headBytes is enough of a file to tell what it is.
const headBytes = 16

func readHead(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fail.Usagef("%w", err)
	case !info.Mode().IsRegular():
		return nil, fail.Usagef("%s is not a file", path)
	case info.Size() == 0:
		return nil, fail.Usagef("%s is empty", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fail.Usagef("%w", err)
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(file, head)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// kindOf tells a file by its first bytes: Parquet by its magic, safetensors by the JSON header after eight bytes of
// length, ONNX by the tag of ModelProto's first field (ir_version, a small varint).
func kindOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "parquet"
	case len(head) > 8 && head[8] == '{':
		return "safetensors"
	case len(head) > 2 && head[0] == 0x08 && head[1] > 0 && head[1] < 0x80:
		return "onnx"
	}
	return ""
}
