package configs

import (
	"fmt"
	"reflect"
	"slices"
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

func fromEnviron(request Request) ([]setting, error) {
	var settings []setting
	for _, entry := range request.Environ {
		name, text, _ := strings.Cut(entry, "=")
		key, ok, err := envKey(name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		value, err := parseText(text, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		settings = append(settings, setting{key, value, Origin{"environment", name}})
	}
	return settings, nil
}

// envKey finds the key of an environment variable. A variable that begins like a section but is no key is a typo; others
// with our prefix (MLLM4REC_TRAIN) are not settings.
func envKey(name string) (Key, bool, error) {
	if !strings.HasPrefix(name, envPrefix) {
		return Key{}, false, nil
	}
	keys := Keys()
	for _, key := range keys {
		if !key.Section && key.EnvName() == name {
			return key, true, nil
		}
	}
	for _, key := range keys {
		if key.Section && strings.HasPrefix(name, key.EnvName()+"_") {
			guess := key.Name + "." + strings.ToLower(strings.TrimPrefix(name, key.EnvName()+"_"))
			return key, false, fmt.Errorf("environment variable %s: %s", name, unknownKey(keys, guess))
		}
	}
	return Key{}, false, nil
}

func fromSet(request Request) ([]setting, error) {
	var settings []setting
	for _, text := range request.Set {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--set %s: write --set key=value", text)
		}
		s, err := fromText(name, value, Origin{From: "set"})
		if err != nil {
			return nil, fmt.Errorf("--set %s: %w", text, err)
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func fromFlags(request Request) ([]setting, error) {
	var settings []setting
	for _, flag := range request.Flags {
		s, err := fromText(flag.Key, flag.Value, Origin{"flag", flag.Name})
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag.Name, flag.Value, err)
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func fromText(name, text string, origin Origin) (setting, error) {
	keys := slices.DeleteFunc(Keys(), func(k Key) bool { return k.Section })
	key, ok := findKey(keys, name)
	if !ok {
		return setting{}, fmt.Errorf("%s", unknownKey(keys, name))
	}
	value, err := parseText(text, key)
	return setting{key, value, origin}, err
}

// Setting is one effective value, for `config show`.
type Setting struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Origin
}

// Settings lists every effective value in the order of the struct.
func (l *Loaded) Settings() []Setting {
	var settings []Setting
	for _, key := range Keys() {
		if !key.Section {
			value := key.valueOf(&l.Config)
			if v := reflect.ValueOf(value); v.Kind() == reflect.Slice && v.Len() == 0 {
				value = reflect.MakeSlice(v.Type(), 0, 0).Interface()
			}
			settings = append(settings, Setting{key.Name, value, l.origins[key.Name]})
		}
	}
	return settings
}

// Section is the effective values below the named keys or sections, by full key, for a stage's fingerprint.
func (l *Loaded) Section(names ...string) map[string]any {
	values := map[string]any{}
	for _, s := range l.Settings() {
		for _, name := range names {
			if s.Key == name || strings.HasPrefix(s.Key, name+".") {
				values[s.Key] = s.Value
			}
		}
	}
	return values
}
