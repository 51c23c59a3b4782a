// Package docs keeps what is written about the project true: the tree and the arrows of ARCHITECTURE.md, the links
// between the documents, the examples.
package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mllm4rec/configs"
)

const module = "mllm4rec/"

// root is the repository's root, seen from here.
const root = ".."

// goFiles maps every folder with Go code to its files that are no tests.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	folders := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && name != root && (strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "bin", "runs"}, base)) {
			return fs.SkipDir
		}
		if filepath.Ext(base) == ".go" {
			folder, err := filepath.Rel(root, filepath.Dir(name))
			if err != nil {
				return err
			}
			folder = filepath.ToSlash(folder)
			if folders[folder] = append(folders[folder], name); strings.HasSuffix(base, "_test.go") {
				folders[folder] = folders[folder][:len(folders[folder])-1]
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// treeLine is a line of the tree in ARCHITECTURE.md: a folder and what it is for.
var treeLine = regexp.MustCompile(`(?m)^ *([a-z][A-Za-z0-9_/-]*/)  +\S`)

func TestArchitectureShowsTheTreeAsItIs(t *testing.T) {
	t.Parallel()
	text := read(t, "ARCHITECTURE.md")
	_, tree, _ := strings.Cut(text, "```\n")
	tree, _, found := strings.Cut(tree, "```")
	if !found {
		t.Fatal("ARCHITECTURE.md has no tree between ``` and ```")
	}
	var drawn []string
	for _, match := range treeLine.FindAllStringSubmatch(tree, -1) {
		drawn = append(drawn, strings.TrimSuffix(match[1], "/"))
	}
	for _, folder := range drawn {
		if info, err := os.Stat(filepath.Join(root, folder)); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md draws %s/, which is not there", folder)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(goFiles(t))) {
		if !slices.Contains(drawn, folder) {
			t.Errorf("ARCHITECTURE.md does not draw %s/: add a line to its tree", folder)
		}
	}
}

// mayImport lists what the packages under a folder may import of ours, and gotch; internal/ is open to all. The longest
// prefix counts.
var mayImport = map[string][]string{
	"data":               {"data"},
	"export":             {"export"},
	"runtime":            {"runtime"},
	"configs":            {},
	"internal":           {},
	"pipeline":           {"pipeline", "configs", "data", "export", "runtime"},
	"pipeline/train":     {"pipeline", "data", "export", "gotch"},
	"cmd/mllm4rec":       {"pipeline", "configs", "data", "export", "runtime"},
	"cmd/mllm4rec-train": {"pipeline", "gotch"},
}

func TestArrowsPointOneWay(t *testing.T) {
	t.Parallel()
	for folder, files := range goFiles(t) {
		allowed, ruled := rule(folder)
		if !ruled {
			continue
		}
		for _, file := range files {
			for _, imported := range imports(t, file) {
				if top := strings.SplitN(imported, "/", 2)[0]; !slices.Contains(allowed, top) {
					t.Errorf("%s imports %s; %s may import %v", file, imported, folder, allowed)
				}
			}
		}
	}
}

// rule finds the rule of a folder.
func rule(folder string) (allowed []string, found bool) {
	for ; folder != "."; folder = path.Dir(folder) {
		if allowed, found := mayImport[folder]; found {
			return allowed, true
		}
	}
	return nil, false
}

// imports lists what a file imports of ours, internal/ left out, and "gotch" for gotch.
func imports(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(name, "github.com/sugarme/gotch"):
			names = append(names, "gotch")
		case strings.HasPrefix(name, module) && !strings.HasPrefix(name, module+"internal/"):
			names = append(names, strings.TrimPrefix(name, module))
		}
	}
	return names
}

// link is a Markdown link to a file of the repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		documents, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range documents {
			text, err := os.ReadFile(document)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range link.FindAllStringSubmatch(string(text), -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(document), match[1])); err != nil {
					t.Errorf("%s links to %s, which is not there", document, match[1])
				}
			}
		}
	}
}

// TestRecipesInTheReadmeLoad loads the first one, and what the others add to it.
func TestRecipesInTheReadmeLoad(t *testing.T) {
	t.Parallel()
	parts := strings.Split(read(t, "README.md"), "```yaml\n")[1:]
	if len(parts) < 2 {
		t.Fatalf("README.md has %d recipes between ```yaml and ```", len(parts))
	}
	for i, part := range parts {
		recipe, _, _ := strings.Cut(part, "```")
		if parts[i] = recipe; i > 0 {
			recipe = parts[0] + recipe
		}
		path := filepath.Join(t.TempDir(), "mine.yaml")
		if err := os.WriteFile(path, []byte(recipe), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := configs.Load(configs.Request{Recipe: path}); err != nil {
			t.Errorf("recipe %d: %v", i+1, err)
		}
	}
	if lines := strings.Count(parts[0], "\n"); lines > 5 {
		t.Errorf("the first recipe takes %d lines, the README says five", lines)
	}
}

// makeTarget is a make command in a document.
var makeTarget = regexp.MustCompile("`make ([a-z-]+)|(?m:^make ([a-z-]+))")

func TestDocumentsNameMakeTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	for _, document := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/memory.md", "docs/data-licences.md"} {
		for _, match := range makeTarget.FindAllStringSubmatch(read(t, document), -1) {
			target := match[1] + match[2]
			if !strings.Contains(makefile, "\n"+target+":") {
				t.Errorf("%s says `make %s`, which the Makefile does not know", document, target)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
