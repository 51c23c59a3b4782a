package configs

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-playground/validator/v10"
)

// runName keeps a run inside runs/: no separators, no leading dot.
var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func newValidator() (*validator.Validate, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.SetTagName("check")
	v.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("key") })
	return v, v.RegisterValidation("name", func(level validator.FieldLevel) bool { return runName.MatchString(level.Field().String()) })
}

// check is where every value is validated: one line naming the key, what was given, and what is allowed.
func check(loaded *Loaded) error {
	v, err := newValidator()
	if err != nil {
		return err
	}
	var wrong validator.ValidationErrors
	if err := v.Struct(loaded.Config); errors.As(err, &wrong) {
		return loaded.explain(wrong[0])
	} else if err != nil {
		return err
	}
	return checkTogether(loaded)
}

func (l *Loaded) explain(wrong validator.FieldError) error {
	_, name, _ := strings.Cut(wrong.Namespace(), ".")
	base, rest, _ := strings.Cut(name, "[")
	keys := Keys()
	key, _ := findKey(keys, base)
	rule := key.Check
	if _, field, ok := strings.Cut(rest, "]."); ok {
		inner, _ := findKey(keysOf(key.Type.Elem(), "", nil), field)
		rule = inner.Check
	} else if rest != "" {
		_, rule, _ = strings.Cut(rule, "dive,")
	}
	given := fmt.Sprintf("%v", wrong.Value())
	if wrong.Kind() == reflect.String || given == "" {
		given = fmt.Sprintf("%q", given)
	}
	return l.at(base, fmt.Sprintf("%s: %s is not allowed; allowed: %s", name, given, allowed(rule)))
}

// at puts where the key was set before text.
func (l *Loaded) at(key, text string) error {
	switch origin := l.origins[key]; origin.From {
	case "recipe", "environment", "flag":
		return fmt.Errorf("%s: %s", origin.Where, text)
	case "set":
		return fmt.Errorf("--set: %s", text)
	default:
		return errors.New(text)
	}
}

// checkTogether holds the rules between keys.
func checkTogether(l *Loaded) error {
	data := l.Data
	if n := len(data.SHA256); n > 0 && n != len(data.URLs) {
		return l.at("data.sha256", fmt.Sprintf("data.sha256: %d sums for %d urls; give one a url, in the same order", n, len(data.URLs)))
	}
	if l.Images.Source == "folder" && l.Images.Path == "" {
		return l.at("images.source", "images.source: folder needs images.path, the folder with the pictures")
	}
	if l.Captioner.Model != "" && l.Images.Source == "" {
		return l.at("captioner.model", "captioner.model: there are no pictures to caption; say in images.source where they come from")
	}
	if l.Ranker.Captions == "caption-only" && l.Captioner.Model == "" && l.Captioner.Table == "" {
		return l.at("ranker.captions", "ranker.captions: caption-only needs captioner.model, which makes the captions, or captioner.table")
	}
	if l.Retriever.Schedule == "cosine" && l.Retriever.WarmupSteps >= l.Retriever.MaxSteps {
		return l.at("retriever.warmup_steps", fmt.Sprintf("retriever.warmup_steps: %d is not below retriever.max_steps (%d)", l.Retriever.WarmupSteps, l.Retriever.MaxSteps))
	}
	if r := l.Ranker; r.Schedule == "cosine" && r.MaxSteps > 0 && r.WarmupSteps >= r.MaxSteps {
		return l.at("ranker.warmup_steps", fmt.Sprintf("ranker.warmup_steps: %d is not below ranker.max_steps (%d)", r.WarmupSteps, r.MaxSteps))
	}
	if l.Retriever.Average > 0 && l.Retriever.Loss != "full" {
		return l.at("retriever.average", fmt.Sprintf("retriever.average: %v needs retriever.loss full; with %s set it to 0", l.Retriever.Average, l.Retriever.Loss))
	}
	return nil
}

// allowed puts a rule of the validator into words.
func allowed(rule string) string {
	var words []string
	low, high := "", ""
	for part := range strings.SplitSeq(rule, ",") {
		tag, param, _ := strings.Cut(part, "=")
		switch tag {
		case "gte":
			low = param + " ≤ "
		case "gt":
			low = param + " < "
		case "lte":
			high = " ≤ " + param
		case "lt":
			high = " < " + param
		case "omitempty":
			words = append(words, "empty or")
		case "dive":
			words = append(words, "each")
		case "min":
			words = append(words, "at least "+param)
		default:
			words = append(words, ruleWords(tag, param))
		}
	}
	if low+high != "" {
		words = append(words, low+"value"+high)
	}
	return strings.NewReplacer("each, ", "each ", "empty or, ", "empty or ").Replace(strings.TrimSuffix(strings.Join(words, ", "), "each"))
}

func ruleWords(tag, param string) string {
	switch tag {
	case "oneof":
		return "one of " + strings.ReplaceAll(param, " ", ", ")
	case "name":
		return "letters, digits, dots, dashes and underscores, a letter or digit first, 100 at most"
	case "http_url":
		return "an http or https address"
	case "sha256":
		return "64 hex digits"
	case "unique":
		return "none twice"
	case "required":
		return "not empty"
	default:
		return tag
	}
}
