package serve

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// document is the description of the routes, for programs and for people.
type document struct{ json, html []byte }

// document is made of the routes, with the limits of the models that are open.
func (s *Server) document(limits Limits) document {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	api := &huma.OpenAPI{
		OpenAPI:    "3.1.0",
		Info:       &huma.Info{Title: "mllm4rec", Version: s.options.Version, Description: "What comes next for a history: a retriever proposes items, a language model orders them."},
		Components: &huma.Components{Schemas: registry},
	}
	problem := registry.Schema(reflect.TypeFor[Problem](), true, "")
	for _, rt := range s.allRoutes {
		api.AddOperation(operation(registry, rt, problem, s.options.Keys != nil && needsKey(rt.path)))
	}
	if s.options.Keys != nil {
		api.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
			"bearer": {Type: "http", Scheme: "bearer"}, "header": {Type: "apiKey", In: "header", Name: "X-API-Key"},
		}
	}
	mend(registry, limits)
	text, err := json.MarshalIndent(api, "", "  ")
	if err != nil {
		panic(err) // of types that are all ours
	}
	return document{text, readable(api)}
}

func operation(registry huma.Registry, rt route, problem *huma.Schema, keys bool) *huma.Operation {
	op := &huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Summary: rt.summary, Description: rt.text,
		Parameters: slices.Clone(rt.params), Responses: map[string]*huma.Response{},
	}
	op.Parameters = append(op.Parameters, &huma.Param{Name: "X-Request-Timeout", In: "header", Description: "Time that the answer may take: seconds, or a duration such as 500ms", Schema: &huma.Schema{Type: "string", Pattern: "^(?=.*[1-9])" + timeoutForm}})
	if rt.body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: media(registry, *rt.body)}
	}
	id := map[string]*huma.Param{"X-Request-Id": {Description: "The request's, where it sent one, else a new one; the log has it", Schema: &huma.Schema{Type: "string"}}}
	op.Responses["200"] = &huma.Response{Description: "The answer", Content: media(registry, rt.answer), Headers: id}
	for _, status := range statuses(rt, keys) {
		headers := id
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			headers = maps.Clone(id)
			headers["Retry-After"] = &huma.Param{Description: "Seconds after which it may be sent again", Schema: &huma.Schema{Type: "integer", Minimum: new(1.0)}}
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Headers: headers, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}
	}
	if keys {
		op.Security = []map[string][]string{{"bearer": {}}, {"header": {}}}
	}
	return op
}

// statuses are those of a route's problems, in order.
func statuses(rt route, keys bool) []int {
	list := append([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable}, rt.refusals...)
	if rt.body != nil || rt.id == "search" || keys {
		list = append(list, http.StatusTooManyRequests)
	}
	if keys {
		list = append(list, http.StatusUnauthorized)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func media(registry huma.Registry, c content) map[string]*huma.MediaType {
	kind := c.kind
	if kind == "" {
		kind = "application/json"
	}
	return map[string]*huma.MediaType{kind: {Schema: schemaOf(registry, c), Example: c.example}}
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(s.documents.Load().json)
	return err
}

func (s *Server) docs(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(s.documents.Load().html)
	return err
}
