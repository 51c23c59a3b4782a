package configs

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problem is what is wrong at a line of a recipe; line 0 means that there are no lines.
type problem struct {
	line int
	text string
}

func (p problem) Error() string { return p.text }

func problemf(node *yaml.Node, format string, args ...any) error {
	return problem{node.Line, fmt.Sprintf(format, args...)}
}

// decode turns a YAML node into a value of type t. It is strict: no 1.5 for a whole number, no null, no aliases.
func decode(node *yaml.Node, t reflect.Type, name string) (reflect.Value, error) {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return reflect.Value{}, problemf(node, "%s: anchors and aliases are not taken; write the value out", name)
	case t.Kind() == reflect.Slice:
		return decodeList(node, t, name)
	case t.Kind() == reflect.Struct:
		return decodeEntry(node, t, name)
	case node.Kind != yaml.ScalarNode:
		return reflect.Value{}, problemf(node, "%s: takes one value (%s), not a list or a section", name, typeName(t))
	case node.Tag == "!!null":
		return reflect.Value{}, problemf(node, `%s: has no value; write "" for an empty text, or leave the key out for its default`, name)
	}
	value, err := parse(node.Value, t)
	if err != nil {
		return value, problemf(node, "%s: %v", name, err)
	}
	return value, nil
}

func decodeList(node *yaml.Node, t reflect.Type, name string) (reflect.Value, error) {
	if node.Kind != yaml.SequenceNode {
		return reflect.Value{}, problemf(node, "%s: takes a %s, such as [a, b]", name, typeName(t))
	}
	list := reflect.MakeSlice(t, 0, len(node.Content))
	for i, child := range node.Content {
		value, err := decode(child, t.Elem(), fmt.Sprintf("%s[%d]", name, i))
		if err != nil {
			return list, err
		}
		list = reflect.Append(list, value)
	}
	return list, nil
}

func decodeEntry(node *yaml.Node, t reflect.Type, name string) (reflect.Value, error) {
	entry := reflect.New(t).Elem()
	err := eachPair(node, name+".", keysOf(t, name+".", nil), func(key Key, child *yaml.Node) error {
		value, err := decode(child, key.Type, key.Name)
		if err == nil {
			entry.FieldByIndex(key.index).Set(value)
		}
		return err
	})
	return entry, err
}

// eachPair calls visit for every key of a mapping, and refuses unknown and repeated ones.
func eachPair(node *yaml.Node, prefix string, keys []Key, visit func(Key, *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return problemf(node, "%s: takes a section of keys", strings.TrimSuffix(prefix, "."))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := prefix + node.Content[i].Value
		key, ok := findKey(keys, name)
		switch {
		case !ok:
			return problemf(node.Content[i], "%s", unknownKey(keys, name))
		case seen[name]:
			return problemf(node.Content[i], "%s is given twice", name)
		}
		seen[name] = true
		if err := visit(key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// parse turns the text of one value, from a recipe, the environment or the command line, into a value of type t.
func parse(text string, t reflect.Type) (reflect.Value, error) {
	value := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		n, err := parseWhole(text)
		if err != nil {
			return value, err
		}
		value.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return value, fmt.Errorf("%q is not a number", text)
		}
		value.SetFloat(x)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return value, fmt.Errorf("%q is not true or false", text)
		}
		value.SetBool(text == "true")
	case reflect.String:
		value.SetString(text)
	default:
		return value, errors.New("can be set in a recipe only")
	}
	return value, nil
}

// parseWhole takes 100000, 100_000 and 1e5.
func parseWhole(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err == nil {
		return n, nil
	}
	x, ferr := strconv.ParseFloat(text, 64)
	switch {
	case ferr != nil || x != math.Trunc(x):
		return 0, fmt.Errorf("%q is not a whole number", text)
	case math.Abs(x) > 1<<53:
		return 0, fmt.Errorf("%q is too large a number", text)
	}
	return int64(x), nil
}

// parseText is parse for the environment and --set, where a list is written a,b or [a, b].
func parseText(text string, key Key) (any, error) {
	if key.Type.Kind() != reflect.Slice {
		value, err := parse(text, key.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key.Name, err)
		}
		return value.Interface(), nil
	}
	if key.Type.Elem().Kind() == reflect.Struct {
		return nil, fmt.Errorf("%s: can be set in a recipe only", key.Name)
	}
	if !strings.HasPrefix(text, "[") {
		if text == "" {
			return []string{}, nil
		}
		return strings.Split(text, ","), nil
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || len(document.Content) != 1 {
		return nil, fmt.Errorf("%s: %q is not a list", key.Name, text)
	}
	value, err := decode(document.Content[0], key.Type, key.Name)
	if err != nil {
		return nil, err
	}
	return value.Interface(), nil
}
