package fail_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"mllm4rec/internal/fail"
)

func TestUsageIsFoundInsideWrappedErrors(t *testing.T) {
	t.Parallel()
	usage := fail.Usagef("data.path: %w; check it", fs.ErrNotExist)
	if !fail.IsUsage(fmt.Errorf("prepare: %w", usage)) || !errors.Is(usage, fs.ErrNotExist) {
		t.Error("wrapping loses the kind or the cause")
	}
	if fail.IsUsage(fs.ErrNotExist) || fail.IsUsage(nil) {
		t.Error("other errors count as the caller's")
	}
}
