package configs

import (
	"fmt"
	"slices"
	"strings"
)

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
