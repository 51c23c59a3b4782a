package serve

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Schema documents a Ref: a number or a string.
func (Ref) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A number is an id of the run's tables, a string one of the source",
		OneOf: []*huma.Schema{
			{Type: huma.TypeInteger, Minimum: new(1.0), Maximum: new(float64(1<<31 - 1))},
			{Type: huma.TypeString, MinLength: new(1)},
		},
	}
}

// Schema documents a Document: a text, or an object that holds one.
func (Document) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{OneOf: []*huma.Schema{
		text, {Type: huma.TypeObject, Required: []string{"text"}, Properties: map[string]*huma.Schema{"text": text}},
	}}
}

// Schema documents a RankBy.
func (RankBy) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{string(ByRetriever), string(ByLLM), string(ByFusion), string(ByPopularity)}}
}

// mend makes the schemas that the struct tags give say what the code takes and gives: lists in answers are never null, null in a
// request is as good as nothing, and the limits are those of the models that are open.
func mend(registry huma.Registry, limits Limits) {
	for name, schema := range registry.Map() {
		request := strings.HasSuffix(name, "Request") || name == "RerankBody"
		for field, property := range schema.Properties {
			nullable(property, request && !slices.Contains(schema.Required, field))
		}
		if k := schema.Properties["k"]; request && k != nil && limits.K > 0 {
			k.Maximum = new(float64(limits.K))
		}
		if history := schema.Properties["history"]; request && history != nil && limits.History > 0 {
			history.MaxItems = new(limits.History)
		}
	}
	if recommend := registry.Map()["RecommendRequest"]; recommend != nil {
		recommend.Properties["rank"].Enum = []any{string(ByRetriever), string(ByLLM), string(ByFusion), nil} // no request asks for popularity
	}
}

// nullable says whether a property may be null.
func nullable(property *huma.Schema, may bool) {
	switch {
	case len(property.OneOf) > 0 && may:
		property.OneOf = append(property.OneOf, &huma.Schema{Type: "null"})
	case property.Type != "" && property.Ref == "":
		property.Nullable = may
	}
}

// schemaOf is the schema of a body.
func schemaOf(registry huma.Registry, c content) *huma.Schema {
	switch {
	case c.schema != nil:
		return c.schema
	case len(c.oneOf) > 0:
		one := &huma.Schema{}
		for i, value := range c.oneOf {
			schema := registry.Schema(reflect.TypeOf(value), true, fmt.Sprintf("OneOf%d", i))
			schema.Nullable = false
			one.OneOf = append(one.OneOf, schema)
		}
		return one
	default:
		return registry.Schema(reflect.TypeOf(c.value), true, "")
	}
}
