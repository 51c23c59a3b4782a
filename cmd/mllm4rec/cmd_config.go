package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mllm4rec/configs"
	"mllm4rec/internal/atomicfile"
)

func newConfig(a *app) *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show every effective setting and where it came from", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runConfigShow(cmd.Context(), a) },
	}
	var options configDocsOptions
	docs := &cobra.Command{
		Use: "docs", Short: "Write the documentation of every recipe key, as Markdown", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runConfigDocs(cmd.Context(), a, options) },
	}
	docs.Flags().StringVar(&options.write, "write", "", "file to write instead of stdout")
	return group("config", "Show settings, and document them", show, docs)
}

func runConfigShow(_ context.Context, a *app) error {
	loaded, err := a.load(false)
	if err != nil {
		return err
	}
	settings := loaded.Settings()
	var text strings.Builder
	for _, s := range settings {
		value, err := json.Marshal(s.Value)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&text, "%-32s %-24s # %s\n", s.Key, value, s.Origin)
	}
	return a.print(text.String(), map[string]any{"settings": settings})
}

type configDocsOptions struct{ write string }

func runConfigDocs(_ context.Context, a *app, options configDocsOptions) error {
	if options.write != "" {
		return atomicfile.WriteFile(options.write, []byte(configs.Docs()))
	}
	return a.print(configs.Docs(), map[string]string{"markdown": configs.Docs()})
}
