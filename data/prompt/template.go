package prompt

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"mllm4rec/internal/fail"
)

//go:embed templates/*.txt
var builtIn embed.FS

// maxTemplateBytes bounds a template; the built-in ones have 300 bytes.
const maxTemplateBytes = 64 << 10

// Template is the wording of a prompt: a text in which one line stands for the history's items, one for the candidates,
// and whose end is where the model answers. docs/prompts.md tells how to write one.
type Template struct {
	name, text string

	// intro comes before the history, question between the history and the candidates, cue after them; the newlines
	// beside the lines of items are theirs.
	intro, question, cue string
	history, candidate   line
	// space is between the cue and the letter.
	space string
	// undated leaves out the year at the end of a title.
	undated bool
}

// line is how an item is written: before, its number or letter, after, the item with a space before it, tail, which may hold
// the letter once more.
type line struct{ before, after, tail string }

func (l line) head(mark string) string { return l.before + mark + l.after }

func (l line) end(mark string) string { return strings.ReplaceAll(l.tail, "{letter}", mark) }

// Names lists the built-in templates.
func Names() []string {
	files, err := fs.Glob(builtIn, "templates/*.txt")
	if err != nil {
		return nil
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".txt")
	}
	return files
}

// Load reads a built-in template by its name, or a file. What is wrong with it is a usage error that says where.
func Load(nameOrPath string) (*Template, error) {
	if text, err := builtIn.ReadFile("templates/" + nameOrPath + ".txt"); err == nil {
		return parse(nameOrPath, string(text))
	}
	if info, err := os.Stat(nameOrPath); err == nil && !info.Mode().IsRegular() { // before it is opened: a named pipe would wait for a writer
		return nil, fail.Usagef("prompt template %s: it is not a file", nameOrPath)
	}
	file, err := os.Open(nameOrPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail.Usagef("prompt template %s: no such file, and no built-in template (%s)", nameOrPath, strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, fail.Usagef("prompt template: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxTemplateBytes+1))
	if err != nil {
		return nil, fail.Usagef("prompt template: %w", err)
	}
	return parse(nameOrPath, string(text))
}

// Name is what Load was called with.
func (t *Template) Name() string { return t.name }

// promptVersion is raised when the same template, items and tokenizer make other tokens than before.
const promptVersion = "prompt 1\n"

// Fingerprint identifies the text, and how this package makes prompts of it: a model that was trained on other prompts
// is found out.
func (t *Template) Fingerprint() string {
	sum := sha256.Sum256([]byte(promptVersion + t.text))
	return hex.EncodeToString(sum[:])
}

// tidy checks that text is text. Line ends become \n; spaces and newlines at the end, which editors add and remove, go.
func tidy(name, text string) (string, error) {
	if len(text) > maxTemplateBytes {
		return "", fail.Usagef("prompt template %s: more than %d bytes, this is no template", name, maxTemplateBytes)
	}
	if !utf8.ValidString(text) {
		return "", fail.Usagef("prompt template %s: it is not UTF-8", name)
	}
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\uFEFF")
	for i, row := range strings.Split(text, "\n") {
		for _, c := range row {
			if c != '\t' && unicode.IsControl(c) {
				return "", fail.Usagef("prompt template %s: line %d holds the control character %q", name, i+1, c)
			}
		}
	}
	return strings.TrimRight(text, " \t\n"), nil
}
