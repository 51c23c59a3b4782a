package literal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// flatten walks over a whole value and writes it in one canonical form.
func flatten(s *Scanner, out *bytes.Buffer) error {
	switch s.Kind() {
	case Object:
		out.WriteString("{")
		err := s.Object(func(key []byte) error {
			fmt.Fprintf(out, "%s:", bytes.Clone(key))
			return flatten(s, out)
		})
		out.WriteString("}")
		return err
	case List:
		out.WriteString("[")
		err := s.List(func() error { return flatten(s, out) })
		out.WriteString("]")
		return err
	case String:
		text, _, err := s.Text()
		fmt.Fprintf(out, "%s;", text)
		return err
	case Number:
		text, _, err := s.Number()
		fmt.Fprintf(out, "#%s;", text)
		return err
	}
	out.WriteString("?;")
	return s.Skip()
}

func walk(text string, d Dialect) (string, error) {
	s, out := &Scanner{}, &bytes.Buffer{}
	s.Reset([]byte(text), d)
	err := flatten(s, out)
	if err == nil {
		err = s.End()
	}
	return out.String(), err
}

func skip(text string, d Dialect) error {
	s := &Scanner{}
	s.Reset([]byte(text), d)
	if err := s.Skip(); err != nil {
		return err
	}
	return s.End()
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		dialect Dialect
		text    string
		want    string
	}{
		{"python dict", Python, `{'asin': '000', 'n': [1, 2.5], 't': (True, None,), }`, "{asin:000;n:[#1;#2.5;]t:[?;?;]}"},
		{"python quotes", Python, `["it's", 'say "hi"', 'it\'s', "\"", u'u']`, `[it's;say "hi";it's;";u;]`},
		{"python escapes", Python, `'\x41\u00e9\U0001F600\101\n\t\\\q\a'`, "Aé😀A\n\t\\\\q\a;"},
		{"python surrogate pair", Python, `'\ud83d\ude00 \ud83d'`, "😀 \uFFFD;"},
		{"python numbers", Python, `[-1, +2, 3L, 1e5, .5, 5., 007]`, "[#-1;#+2;#3;#1e5;#.5;#5.;#007;]"},
		{"python number keys", Python, `{1: 2}`, "{:#2;}"},
		{"python empty", Python, ` {} `, "{}"},
		{"json", JSON, `{"a": [1.5e-3, true, null], "b\n": "\u00e9\/\ud83d\ude00"}`, "{a:[#1.5e-3;?;?;]b\n:é/😀;}"},
		{"json of Python", JSON, `[NaN, Infinity, -Infinity]`, "[#NaN;#Infinity;#-Infinity;]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := walk(c.text, c.dialect)
			if err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if err := skip(c.text, c.dialect); err != nil {
				t.Error("skip:", err)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	python := []string{"", "{", "{'a'", "{'a':", "{'a': 1", "{'a' 1}", "[1 2]", "[1,,2]", "'", `'\`, `'a\'`, `'\x4'`, `'\xzz'`, `'\U00110000'`, `'\N{DASH}'`,
		"__import__('os')", "1 + 1", "1+1", "f('x')", "[x for x in y]", "lambda: 0", "Truely", "nan", "1j", "0x", "b'x'", "r'x'", "{1, 2}", "{} {}", "true", "--1",
		strings.Repeat("[", 300) + strings.Repeat("]", 300)}
	jsons := []string{"", "{1: 2}", "{'a': 1}", "[1,]", `{"a":1,}`, "01", "1.", ".5", "+1", `"\x41"`, `"\q"`, "True", "nul", "(1)", `u"x"`, "-", "1e", "[1}", "{]"}
	for dialect, texts := range [][]string{JSON: jsons, Python: python} {
		for _, text := range texts {
			if got, err := walk(text, Dialect(dialect)); err == nil {
				t.Errorf("%q is taken for %q", text, got)
			}
			// Escapes inside a skipped string are not looked at.
			if err := skip(text, Dialect(dialect)); err == nil && !strings.Contains(text, `\`) {
				t.Errorf("%q is skipped", text)
			}
		}
	}
}

func TestTimeGrowsWithTheLengthOfAStringOfEscapes(t *testing.T) {
	t.Parallel()
	text, start := `"`+strings.Repeat(`\n`, 1<<20)+`"`, time.Now()
	if err := skip(text, JSON); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second { // milliseconds; half a minute and more with its square
		t.Errorf("%d bytes took %s", len(text), took)
	}
}

func TestPythonAgrees(t *testing.T) {
	t.Parallel()
	python := os.Getenv("MLLM4REC_PYTHON")
	if python == "" {
		python = "python3"
	}
	if _, err := exec.LookPath(python); err != nil {
		t.Skip("no python3 on PATH; MLLM4REC_PYTHON names one")
	}
	value := rapid.Deferred(func() *rapid.Generator[any] { return anyValue(3) })
	var values []any
	rapid.Check(t, func(t *rapid.T) { values = append(values, value.Draw(t, "value")) })
	input, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	// Python writes each value as repr does, once as it is and once with all but ASCII escaped.
	cmd := exec.Command(python, "-c", `
import sys, json
for v in json.load(sys.stdin):
    print(json.dumps([repr(v), ascii(v), json.dumps(v), json.dumps(v, ensure_ascii=False)]))`)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var forms []string
		if err := json.Unmarshal([]byte(line), &forms); err != nil {
			t.Fatal(err)
		}
		want := &bytes.Buffer{}
		canonical(values[i], want)
		for j, form := range forms {
			dialect := Python
			if j >= 2 {
				dialect = JSON
			}
			got, err := walk(form, dialect)
			if err != nil || sorted(got) != sorted(want.String()) {
				t.Fatalf("%s: %q, %v; want %q", form, got, err, want)
			}
			if err := skip(form, dialect); err != nil {
				t.Fatalf("%s: skip: %v", form, err)
			}
		}
	}
}

// sorted makes values comparable whose keys are in another order.
func sorted(s string) string {
	count := [256]int{}
	for _, c := range []byte(s) {
		count[c]++
	}
	return fmt.Sprint(count)
}

func anyValue(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.String().AsAny(), rapid.StringOf(rapid.SampledFrom([]rune(`'"\/nxuU0 é😀` + "\n\t\x00\x7f"))).AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
		rapid.IntRange(-1e9, 1e9).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	return rapid.OneOf(append(scalars,
		rapid.SliceOfN(anyValue(depth-1), 0, 4).AsAny(),
		rapid.MapOfN(rapid.String(), anyValue(depth-1), 0, 4).AsAny())...)
}

func canonical(v any, out *bytes.Buffer) {
	switch v := v.(type) {
	case map[string]any:
		out.WriteString("{")
		for key, e := range v {
			out.WriteString(key + ":")
			canonical(e, out)
		}
		out.WriteString("}")
	case []any:
		out.WriteString("[")
		for _, e := range v {
			canonical(e, out)
		}
		out.WriteString("]")
	case string:
		out.WriteString(v + ";")
	case int:
		fmt.Fprintf(out, "#%d;", v)
	default:
		out.WriteString("?;")
	}
}

func FuzzScanner(f *testing.F) {
	for _, seed := range []string{`{'a': [1, (2,), u'\u00e9', None], "b": -1.5e3L}`, `{"a": "\ud83d\ude00", "b": [true, null, NaN]}`, `'\`, `{'`, "[[[["} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, python bool) {
		d := JSON
		if python {
			d = Python
		}
		_, walked := walk(string(text), d)
		skipped := skip(string(text), d)
		if walked == nil && skipped != nil {
			t.Errorf("%q can be read but not skipped: %v", text, skipped)
		}
		var v any
		if d == JSON && skipped != nil && json.Unmarshal(text, &v) == nil && !deep(text) {
			t.Errorf("%q is JSON: %v", text, skipped)
		}
	})
}

func deep(text []byte) bool {
	return bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) >= maxDepth
}
