// Package orttest finds ONNX Runtime for tests, which run in their package's folder and not in the repository's root.
package orttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/internal/testkit"
	"mllm4rec/runtime/ort"
)

// ProvidersVariable names the environment variable that lets tests run on other providers than the CPU, "cuda,cpu" for one: on a
// machine with a GPU what holds on the CPU can be tested there (bench/gpu.sh).
const ProvidersVariable = "MLLM4REC_TEST_PROVIDERS"

// Options returns options that run on the CPU, or on the providers of MLLM4REC_TEST_PROVIDERS, with the library of
// MLLM4REC_ORT_LIBRARY or of .deps in the repository's root. It skips the test where there is none.
func Options(t testing.TB) ort.Options {
	t.Helper()
	o := ort.Options{}
	if providers := os.Getenv(ProvidersVariable); providers != "" {
		o.Providers, o.Strict = strings.Split(providers, ","), true
	}
	if os.Getenv(ort.LibraryVariable) != "" {
		return o
	}
	library, err := ort.FindLibrary(filepath.Join(testkit.Root(t), ".deps", "onnxruntime", "capi"))
	if err != nil {
		t.Skipf("needs ONNX Runtime: %v", err)
	}
	o.Library = library
	return o
}
