package configs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var builtIn embed.FS

// maxRecipeBytes bounds a recipe; the built-in ones are below 3 KB.
const maxRecipeBytes = 1 << 20

// BuiltIn names the recipes that come with the program.
func BuiltIn() []string {
	files, err := fs.Glob(builtIn, "*.yaml")
	if err != nil {
		return nil
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(file, ".yaml")
	}
	return files
}

func fromRecipe(request Request) ([]setting, error) {
	if request.Recipe == "" {
		return nil, nil
	}
	data, name, err := readRecipe(request.Recipe)
	if err != nil {
		return nil, err
	}
	settings, err := parseRecipe(name, data)
	var p problem
	if errors.As(err, &p) {
		return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
	}
	return settings, err
}

// readRecipe reads a file, or a built-in recipe where there is no such file.
func readRecipe(recipe string) (data []byte, name string, err error) {
	info, err := os.Stat(recipe)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, "", fmt.Errorf("recipe %s is not a file", recipe)
	case err == nil && info.Size() > maxRecipeBytes:
		return nil, "", fmt.Errorf("recipe %s: %d bytes, more than %d: this is no recipe", recipe, info.Size(), maxRecipeBytes)
	case err == nil:
		data, err = os.ReadFile(recipe)
		return data, recipe, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("recipe: %w", err)
	}
	if filepath.Base(recipe) == recipe {
		if data, err := builtIn.ReadFile(strings.TrimSuffix(recipe, ".yaml") + ".yaml"); err == nil {
			return data, "built-in " + strings.TrimSuffix(recipe, ".yaml"), nil
		}
	}
	return nil, "", fmt.Errorf("recipe %s: no such file, and no built-in recipe (%s)", recipe, strings.Join(BuiltIn(), ", "))
}

func parseRecipe(name string, data []byte) ([]setting, error) {
	var document, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(data))
	err := documents.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s is empty", name)
	case err == nil:
		if err = documents.Decode(&second); err == nil {
			return nil, problemf(&second, "a second document begins; a recipe is one")
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if root := document.Content[0]; root.Kind != yaml.MappingNode {
		return nil, problemf(root, "a recipe is keys and their values, such as name: mine; this is none")
	}
	var settings []setting
	var section func(node *yaml.Node, prefix string) error
	section = func(node *yaml.Node, prefix string) error {
		return eachPair(node, prefix, Keys(), func(key Key, child *yaml.Node) error {
			if key.Section {
				return section(child, key.Name+".")
			}
			value, err := decode(child, key.Type, key.Name)
			if err == nil {
				origin := Origin{"recipe", fmt.Sprintf("%s:%d", name, child.Line)}
				settings = append(settings, setting{key, value.Interface(), origin})
			}
			return err
		})
	}
	err = section(document.Content[0], "")
	return settings, err
}
