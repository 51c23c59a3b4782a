package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mllm4rec/internal/fail"
)

func TestNewestLibraryOfAFolderIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"libonnxruntime.so.1.9.2", "libonnxruntime.so.1.27.0", "libonnxruntime_providers_shared.so"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := FindLibrary(dir)
	if want := filepath.Join(dir, "libonnxruntime.so.1.27.0"); err != nil || got != want {
		t.Errorf("found %s, %v, want %s", got, err, want)
	}
}

func TestLibraryOfTheEnvironmentVariable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.so")
	t.Setenv(LibraryVariable, path)
	if _, err := FindLibrary(""); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), LibraryVariable) {
		t.Errorf("a variable that points nowhere: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := FindLibrary(""); err != nil || got != path {
		t.Errorf("found %s, %v, want %s", got, err, path)
	}
}

func TestLibraryThatIsNoneIsExplained(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(path, []byte("not an ELF file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkVersion(path); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), "no shared library for this machine") {
		t.Errorf("error %v", err)
	}
}

func TestStrictRunLearnsAtTheStartThatAProviderIsMissing(t *testing.T) {
	t.Parallel()
	o := Options{Library: testLibrary(t), Providers: []string{"cuda", "cpu"}}
	if err := Check(o); err != nil {
		t.Errorf("not strict: %v", err)
	}
	o.Strict = true
	if err := Check(o); err != nil && (!fail.IsUsage(err) || !strings.Contains(err.Error(), "provider cuda: ") || !strings.Contains(err.Error(), "runtime.strict")) {
		t.Errorf("strict: %v", err)
	}
	o.Providers = []string{"cpu"}
	if err := Check(o); err != nil {
		t.Errorf("strict on the CPU: %v", err)
	}
}

// testLibrary is the library that make deps unpacks.
func testLibrary(t *testing.T) string {
	t.Helper()
	library, err := FindLibrary(filepath.Join("..", "..", ".deps", "onnxruntime", "capi"))
	if err != nil {
		t.Skipf("needs ONNX Runtime: %v", err)
	}
	return library
}

func TestAnotherLibraryIsNotTakenForONNXRuntime(t *testing.T) {
	t.Parallel()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skipf("needs a C compiler to make a library: %v", err)
	}
	source, library := filepath.Join(t.TempDir(), "a.c"), filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(source, []byte("int other(void) { return 0; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(compiler, "-shared", "-o", library, source).CombinedOutput(); err != nil {
		t.Skipf("cc makes no library here: %s", out)
	}
	if err := checkVersion(library); err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), "not ONNX Runtime") {
		t.Errorf("error %v", err)
	}
}

func TestLibraryOfAnotherVersionIsExplained(t *testing.T) {
	t.Parallel()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skipf("needs a C compiler to make an old library: %v", err)
	}
	dir := t.TempDir()
	source, script, library := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.map"), filepath.Join(dir, "libonnxruntime.so.1.16.3")
	for path, text := range map[string]string{source: "int OrtGetApiBase(void) { return 0; }", script: "VERS_1.16.3 { global: OrtGetApiBase; local: *; };"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(compiler, "-shared", "-o", library, source, "-Wl,--version-script="+script).CombinedOutput(); err != nil {
		t.Skipf("cc makes no versioned library here: %s", out)
	}
	err = checkVersion(library)
	if err == nil || !fail.IsUsage(err) || !strings.Contains(err.Error(), "is ONNX Runtime 1.16.3, but 1.24 or later is needed") {
		t.Errorf("error %v", err)
	}
}
