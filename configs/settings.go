package configs

import (
	"reflect"
	"strings"
)

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
