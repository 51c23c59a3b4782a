// Package orttest finds ONNX Runtime for tests, which run in their package's folder and not in the repository's root.
package orttest

import (
	"os"
	"path/filepath"
	"testing"

	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
)

// Options returns options that run on the CPU with the library of MLLM4REC_ORT_LIBRARY or of .deps in the repository's
// root. It skips the test where there is none.
func Options(t testing.TB) ort.Options {
	t.Helper()
	if os.Getenv(ort.LibraryVariable) != "" {
		return ort.Options{}
	}
	library, err := ort.FindLibrary(filepath.Join(testkit.Root(t), ".deps", "onnxruntime", "capi"))
	if err != nil {
		t.Skipf("needs ONNX Runtime: %v", err)
	}
	return ort.Options{Library: library}
}
