package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"mllm4rec/configs"
	"mllm4rec/internal/fail"
	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/key"
)

// keysVariable names the environment variable that holds API keys, name:key each, commas between them.
const keysVariable = "MLLM4REC_API_KEYS"

// opener opens the models of a run folder.
type opener func(context.Context, *configs.Loaded, serve.Observer) (serve.Backend, error)

func newServe(a *app) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use: "serve", Short: "Answer over HTTP what comes next for a history", Args: noArgs,
		Long: "Answer over HTTP what comes next for a history, with the models and tables of a run folder, and show it on a page.\n" +
			"The settings are those of the section serve of the recipe; docs/serving.md describes routes, limits and metrics.\n\n" +
			"SIGTERM and Ctrl-C: not ready at once, requests under way are answered, exit code 0; a second one ends it at once.\n" +
			"SIGHUP: API keys and certificate are read anew, the models are opened anew and answer when they are there; settings stay those of the start.",
		Example: "  mllm4rec serve --run runs/ml-100k\n  mllm4rec serve --run runs/ml-100k --addr 0.0.0.0:8080 --set serve.keys=keys.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("addr") && addr == "" {
				return fail.Usagef("--addr is empty; leave it out, or name one")
			}
			return runServe(cmd.Context(), a, addr, a.openBackend)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "address to listen on, HOST:PORT (serve.addr)")
	return cmd
}

func runServe(ctx context.Context, a *app, addr string, open opener) error {
	var flags []configs.Flag
	if addr != "" {
		flags = append(flags, configs.Flag{Name: "--addr", Key: "serve.addr", Value: addr})
	}
	loaded, err := a.load(true, flags...)
	if err != nil {
		return err
	}
	options, err := serveOptions(a, loaded)
	if err != nil {
		return err
	}
	options.Open = func(ctx context.Context, watch serve.Observer) (serve.Backend, error) {
		return open(ctx, loaded, watch)
	}
	tracer, stopTracing, err := serve.Tracing(ctx, a.sys.lookup, options.Log)
	if err != nil {
		return fail.Usagef("traces: %w", err)
	}
	options.Tracer = tracer
	server, err := serve.New(options)
	if err != nil {
		return fail.Usagef("serve: %w", err)
	}
	err = server.Run(ctx)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, stopTracing(flush))
}

// serveOptions are those of the recipe's section serve.
func serveOptions(a *app, loaded *configs.Loaded) (serve.Options, error) {
	section := loaded.Serve
	host, port, err := net.SplitHostPort(section.Addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return serve.Options{}, fail.Usagef("serve.addr: %q: write HOST:PORT, such as 127.0.0.1:8080 or :8080", section.Addr)
	}
	keys, err := serveKeys(a, section)
	if err != nil {
		return serve.Options{}, err
	}
	log := serveLog(a, section.Log)
	if ip := net.ParseIP(host); keys == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		log.Warn("other machines may reach this address, and no API keys are set (serve.keys)", "addr", section.Addr)
	}
	options := serve.Options{
		Version: version, Addr: section.Addr, TLSCert: section.TLSCert, TLSKey: section.TLSKey, Origins: section.Origins, Admin: section.Admin,
		Queue: section.Queue, Timeout: seconds(section.TimeoutSeconds), Read: seconds(section.ReadSeconds), Drain: seconds(section.DrainSeconds),
		BodyBytes: section.BodyBytes, PictureBytes: section.PictureBytes, Log: log,
		Opened: func(opened serve.Opened) { a.sayServing(opened, section.Log) },
	}
	if keys != nil {
		options.Keys = func() (*key.Ring, error) { return serveKeys(a, section) }
	}
	if a.sys.hangups != nil {
		options.Reload = a.sys.hangups()
	}
	return options, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// serveKeys are those of the file or of the environment; nil where there are none.
func serveKeys(a *app, section configs.Serve) (*key.Ring, error) {
	text, given := a.sys.lookup(keysVariable)
	var keys *key.Ring
	var err error
	switch {
	case section.Keys != "" && given:
		return nil, fail.Usagef("API keys are in serve.keys and in %s; leave one out", keysVariable)
	case section.Keys != "":
		if keys, err = key.Load(section.Keys, section.RatePerSecond); err != nil {
			return nil, fail.Usagef("serve.keys: %w", err)
		}
	case given:
		if keys, err = key.Parse(text, section.RatePerSecond); err != nil {
			return nil, fail.Usagef("%s: %w", keysVariable, err)
		}
	case section.RatePerSecond > 0:
		return nil, fail.Usagef("serve.rate_per_second is that of an API key, and there are none; name their file in serve.keys")
	}
	return keys, nil
}

func serveLog(a *app, form string) *slog.Logger {
	if a.json || form == "json" {
		return slog.New(slog.NewJSONHandler(a.sys.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(a.sys.stderr, nil))
}

// sayServing tells people on stderr, or programs on stdout, that requests are answered. A log for programs says it itself.
func (a *app) sayServing(opened serve.Opened, form string) {
	switch {
	case a.json:
		_ = a.print("", opened) // of a closed stdout; requests are answered all the same
	case form != "json":
		_, _ = fmt.Fprintln(a.sys.stderr, opened)
	}
}
