package serve

import (
	"bytes"
	_ "embed" // the page's text and style
	"encoding/json"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html.tmpl
var docsText string

//go:embed docs.css
var docsStyle []byte

var docsTemplate = template.Must(template.New("docs").Funcs(template.FuncMap{
	"json": func(value any) (string, error) {
		text, err := json.MarshalIndent(value, "", "  ")
		return string(text), err
	},
	"lower": strings.ToLower,
	"type":  typeWords,
	"has":   func(list []string, entry string) bool { return slices.Contains(list, entry) },
}).Parse(docsText))

// docsPage is what the template shows.
type docsPage struct {
	*huma.OpenAPI
	Operations []*huma.Operation
	Schemas    []namedSchema
}

type namedSchema struct {
	Name string
	*huma.Schema
}

// readable is the OpenAPI document for people. It loads nothing but its style, from here.
func readable(api *huma.OpenAPI) []byte {
	shown := docsPage{OpenAPI: api}
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		for _, op := range []*huma.Operation{api.Paths[path].Get, api.Paths[path].Post} {
			if op != nil {
				shown.Operations = append(shown.Operations, op)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(api.Components.Schemas.Map())) {
		shown.Schemas = append(shown.Schemas, namedSchema{name, api.Components.Schemas.Map()[name]})
	}
	var out bytes.Buffer
	if err := docsTemplate.Execute(&out, shown); err != nil {
		panic(err) // of a template and types that are all ours
	}
	return out.Bytes()
}

// typeWords says what a schema takes, with links to those that have a name.
func typeWords(s *huma.Schema) template.HTML {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		name := template.HTMLEscapeString(s.Ref[strings.LastIndex(s.Ref, "/")+1:])
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	case len(s.OneOf) > 0:
		var words []string
		for _, one := range s.OneOf {
			words = append(words, string(typeWords(one)))
		}
		return template.HTML(strings.Join(words, " or "))
	case s.Type == huma.TypeArray:
		return "list of " + typeWords(s.Items)
	case len(s.Enum) > 0:
		text, _ := json.Marshal(s.Enum) // strings
		return template.HTML(template.HTMLEscapeString(string(text)))
	default:
		return template.HTML(template.HTMLEscapeString(s.Type))
	}
}
