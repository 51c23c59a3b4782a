package configs

import (
	"reflect"
	"strings"
)

// Key is one setting of a Config, as the struct declares it.
type Key struct {
	// Name is the dotted path, such as "retriever.dropout".
	Name string
	// Type is what a recipe may hold there.
	Type reflect.Type
	// Check is the validator's rule, Doc what the key means.
	Check, Doc string
	// Section says that the key holds other keys and no value.
	Section bool
	index   []int
}

// Keys lists every key, sections before what they hold, in the order of the struct.
func Keys() []Key { return keysOf(reflect.TypeFor[Config](), "", nil) }

func keysOf(t reflect.Type, prefix string, index []int) []Key {
	var keys []Key
	for i := range t.NumField() {
		field := t.Field(i)
		key := Key{
			Name: prefix + field.Tag.Get("key"), Type: field.Type, Check: field.Tag.Get("check"), Doc: field.Tag.Get("doc"),
			Section: field.Type.Kind() == reflect.Struct, index: append(append([]int(nil), index...), i),
		}
		keys = append(keys, key)
		if key.Section {
			keys = append(keys, keysOf(field.Type, key.Name+".", key.index)...)
		}
	}
	return keys
}

// valueOf is what config holds under the key.
func (k Key) valueOf(config *Config) any {
	return reflect.ValueOf(config).Elem().FieldByIndex(k.index).Interface()
}

// TypeName says in a user's words what the key takes.
func (k Key) TypeName() string { return typeName(k.Type) }

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of " + strings.TrimSuffix(typeName(t.Elem()), "s") + "s"
	case reflect.Struct:
		return "section"
	default:
		return "text"
	}
}

// EnvName is the environment variable of the key: MLLM4REC_RETRIEVER_DROPOUT.
func (k Key) EnvName() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

const envPrefix = "MLLM4REC_"
