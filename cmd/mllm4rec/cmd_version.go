package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the Makefile with -ldflags "-X main.version=…".
var version = "development"

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of the program and of Go", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runVersion(cmd.Context(), a) },
	}
}

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func runVersion(_ context.Context, a *app) error {
	info := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Commit = s.Value
			case "vcs.modified":
				info.Modified = s.Value == "true"
			}
		}
	}
	text := fmt.Sprintf("mllm4rec %s", info.Version)
	if info.Commit != "" {
		text += fmt.Sprintf(" (commit %.12s)", info.Commit)
	}
	return a.print(fmt.Sprintf("%s, %s, %s\n", text, info.Go, info.Platform), info)
}
