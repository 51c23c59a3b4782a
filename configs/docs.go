package configs

//go:generate go run ../cmd/mllm4rec config docs --write ../docs/recipe.md

import (
	"fmt"
	"reflect"
	"strings"
)

const docsHead = `# Recipe keys

<!-- Made of the struct tags in configs/config.go by "go generate ./configs"; a test keeps the two equal. -->

A recipe is a YAML file. What it leaves out has the default below. A value comes from, each above the one before: the
default, the recipe (` + "`-c FILE`" + ` or the name of a built-in one), the environment (` + "`MLLM4REC_RETRIEVER_DROPOUT=0.3`" + `), ` + "`--set retriever.dropout=0.3`" + `,
a flag such as ` + "`--run`" + `. Unknown keys are refused. Relative paths are relative to the working directory, not to the recipe.
` + "`mllm4rec config show -c FILE`" + ` shows every value and where it came from.

| key | takes | default | what it is |
| --- | --- | --- | --- |
`

// Docs is docs/recipe.md: every key with what it takes, its default and what it means.
func Docs() string {
	var text strings.Builder
	text.WriteString(docsHead)
	defaults := Default()
	for _, key := range Keys() {
		if key.Section {
			_, _ = fmt.Fprintf(&text, "| **%s** | | | **%s** |\n", key.Name, cell(key.Doc))
			continue
		}
		writeRow(&text, key, key.valueOf(&defaults))
		if key.Type.Kind() == reflect.Slice && key.Type.Elem().Kind() == reflect.Struct {
			for _, inner := range keysOf(key.Type.Elem(), key.Name+"[].", nil) {
				writeRow(&text, inner, nil)
			}
		}
	}
	return text.String()
}

func writeRow(text *strings.Builder, key Key, value any) {
	takes := key.TypeName()
	if rule := allowed(key.Check); rule != "" {
		takes += ": " + rule
	}
	_, _ = fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", key.Name, cell(takes), cell(defaultText(value)), cell(key.Doc))
}

func defaultText(value any) string {
	switch v := reflect.ValueOf(value); {
	case !v.IsValid():
		return ""
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return "`[]`"
	case v.Kind() == reflect.String:
		return fmt.Sprintf("`%q`", value)
	case v.Kind() == reflect.Slice:
		return fmt.Sprintf("`[%s]`", strings.Trim(strings.ReplaceAll(fmt.Sprint(value), " ", ", "), "[]"))
	default:
		return fmt.Sprintf("`%v`", value)
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
