package configs

import (
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"mllm4rec/internal/fail"
)

// Request is what Load merges. Everything is optional.
type Request struct {
	// Recipe is a file, or the name of a built-in recipe.
	Recipe string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// Set holds key=value texts, the last of a key wins.
	Set []string
	// Flags holds what flags of their own say; they win over everything.
	Flags []Flag
}

// Flag is a flag of the command line that stands for a key, such as --run for out.
type Flag struct{ Name, Key, Value string }

// Origin is where a value came from: default, recipe, environment, set or flag, and where exactly.
type Origin struct {
	From  string `json:"from"`
	Where string `json:"where,omitempty"`
}

func (o Origin) String() string { return strings.TrimSpace(o.From + " " + o.Where) }

// Loaded is a checked Config that knows where its values came from.
type Loaded struct {
	Config
	origins map[string]Origin
}

// setting is one value of a layer.
type setting struct {
	key    Key
	value  any
	origin Origin
}

// Load merges default < recipe < environment < --set < flags and checks the whole. Its errors are usage errors.
func Load(request Request) (*Loaded, error) {
	var layers []setting
	for _, read := range []func(Request) ([]setting, error){fromRecipe, fromEnviron, fromSet, fromFlags} {
		settings, err := read(request)
		if err != nil {
			return nil, fail.Usagef("%w", err)
		}
		layers = append(layers, settings...)
	}
	loaded, err := merge(layers)
	if err != nil {
		return nil, err
	}
	if err := check(loaded); err != nil {
		return nil, fail.Usagef("%w", err)
	}
	if loaded.Out == "" {
		loaded.Out = "runs/" + loaded.Name
	}
	return loaded, nil
}

func merge(layers []setting) (*Loaded, error) {
	loaded := &Loaded{origins: map[string]Origin{}}
	defaults := Default()
	v := viper.New()
	for _, key := range Keys() {
		if !key.Section {
			v.SetDefault(key.Name, key.valueOf(&defaults))
			loaded.origins[key.Name] = Origin{From: "default"}
		}
	}
	for _, s := range layers {
		v.Set(s.key.Name, s.value)
		loaded.origins[s.key.Name] = s.origin
	}
	err := v.UnmarshalExact(&loaded.Config, func(c *mapstructure.DecoderConfig) { c.TagName = "key" })
	return loaded, err
}
