package main

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"

	"mllm4rec/internal/doctor"
	"mllm4rec/runtime/ort"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at what is installed, and say what each missing thing disables", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), a) },
	}
}

func runDoctor(ctx context.Context, a *app) error {
	loaded, err := a.load(false)
	if err != nil {
		return err
	}
	findings := doctor.Check(ctx, doctor.Options{
		Library: func() (path, version string, err error) {
			if path, err = ort.FindLibrary(loaded.Runtime.Library); err == nil {
				version, err = ort.LibraryVersion(path)
			}
			return path, version, err
		},
		Worker: a.worker(), RunDir: loaded.Out, Terminal: a.sys.terminal,
	})
	var text bytes.Buffer
	if err := doctor.Print(&text, findings); err != nil {
		return err
	}
	return a.print(text.String(), map[string]any{"findings": findings})
}
