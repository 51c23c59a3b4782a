package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mllm4rec/configs"
	"mllm4rec/internal/fail"
	"mllm4rec/internal/progress"
)

// app is what the subcommands share: the process and the global flags.
type app struct {
	sys         *system
	json        bool
	root        *cobra.Command
	recipe, run string
	set         []string
}

func (a *app) addFlags(root *cobra.Command) {
	a.root = root
	flags := root.PersistentFlags()
	flags.StringVarP(&a.recipe, "config", "c", "", "recipe: a file, or a built-in one ("+strings.Join(configs.BuiltIn(), ", ")+")")
	flags.StringVar(&a.run, "run", "", "run folder; without -c its own recipe.yaml is used")
	flags.StringArrayVar(&a.set, "set", nil, "set a key of the recipe, as key=value; may be repeated")
	flags.BoolVar(&a.json, "json", false, "write results to stdout, and errors to stderr, as JSON")
	_ = root.RegisterFlagCompletionFunc("config", cobra.FixedCompletions(configs.BuiltIn(), cobra.ShellCompDirectiveDefault))
	_ = root.RegisterFlagCompletionFunc("set", completeKeys)
}

// completeKeys offers the keys of a recipe to a shell; what a key takes is for the user to type.
func completeKeys(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var keys []string
	for _, key := range configs.Keys() {
		if !key.Section {
			keys = append(keys, cobra.CompletionWithDesc(key.Name+"=", key.Doc))
		}
	}
	return keys, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// load merges the recipe, the environment and the flags, those of the command among them. mustName says that the defaults
// alone are not enough.
func (a *app) load(mustName bool, flags ...configs.Flag) (*configs.Loaded, error) {
	for _, name := range []string{"config", "run"} {
		if flag := a.root.PersistentFlags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return nil, fail.Usagef("--%s is empty; leave it out, or name one", name) // an unset variable of a script
		}
	}
	request := configs.Request{Recipe: a.recipe, Environ: a.sys.environ, Set: a.set, Flags: flags}
	if a.run != "" {
		request.Flags = append(request.Flags, configs.Flag{Name: "--run", Key: "out", Value: a.run})
		if own := filepath.Join(a.run, "recipe.yaml"); a.recipe == "" {
			if _, err := os.Stat(own); err != nil {
				return nil, fail.Usagef("run folder %s holds no recipe.yaml; name the recipe with -c", a.run)
			}
			request.Recipe = own
		}
	}
	if mustName && request.Recipe == "" {
		return nil, fail.Usagef("no recipe; name one with -c FILE (built in: %s), or a run folder with --run DIR", strings.Join(configs.BuiltIn(), ", "))
	}
	return configs.Load(request)
}

// printer shows progress on stderr; with --json and no terminal it is silent.
func (a *app) printer() *progress.Printer {
	if a.json && !a.sys.terminal {
		return nil
	}
	return &progress.Printer{Out: a.sys.stderr, Terminal: a.sys.terminal}
}

// print writes a result: text, or value as JSON with --json.
func (a *app) print(text string, value any) error {
	if !a.json {
		_, err := fmt.Fprint(a.sys.stdout, text)
		return err
	}
	encoder := json.NewEncoder(a.sys.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

type jsonError struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

func (a *app) reportError(err error, code int) {
	text := strings.ReplaceAll(err.Error(), "\n", "; ") // joined errors come in lines
	if code == exitInterrupted {
		text = "interrupted"
	}
	if a.json || wantsJSON(a.sys.args) {
		line, merr := json.Marshal(jsonError{text, code})
		if merr == nil {
			_, _ = fmt.Fprintf(a.sys.stderr, "%s\n", line)
			return
		}
	}
	_, _ = fmt.Fprintf(a.sys.stderr, "mllm4rec: %s\n", text)
}

// wantsJSON finds --json where the flags could not be parsed.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--json" || arg == "--json=true" {
			return true
		}
	}
	return false
}
