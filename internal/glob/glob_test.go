package glob_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mllm4rec/internal/glob"
)

func TestTheNameOfAFolderIsNoPattern(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[work] *")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b.so", "a.so", "a.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{filepath.Join(dir, "a.so"), filepath.Join(dir, "b.so")}
	if got, err := glob.In(dir, "*.so"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := glob.In(filepath.Join(dir, "none"), "*"); err != nil || len(got) != 0 {
		t.Errorf("of a folder that is not there: %v, %v", got, err)
	}
	if _, err := glob.In(dir, "["); err == nil {
		t.Error("a wrong pattern was taken")
	}
}
