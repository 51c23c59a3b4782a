package configs

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// YAML writes every effective value as a recipe, in the order of the struct. Loading it gives the same Config.
func (l *Loaded) YAML() ([]byte, error) {
	root, err := nodeOf(reflect.ValueOf(l.Config))
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(root)
}

func nodeOf(v reflect.Value) (*yaml.Node, error) {
	switch {
	case v.Kind() == reflect.Struct:
		return mappingOf(v)
	case v.Kind() == reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			child, err := nodeOf(v.Index(i))
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, child)
		}
		return list, nil
	default:
		node := &yaml.Node{}
		return node, node.Encode(v.Interface())
	}
}

func mappingOf(v reflect.Value) (*yaml.Node, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, key := range keysOf(v.Type(), "", nil) {
		if len(key.index) > 1 {
			continue
		}
		child, err := nodeOf(v.FieldByIndex(key.index))
		if err != nil {
			return nil, err
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Name}
		mapping.Content = append(mapping.Content, name, child)
	}
	return mapping, nil
}
