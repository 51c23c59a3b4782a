package prompt

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mllm4rec/internal/fail"
)

// placeholder is a word in braces. Other braces are text.
var placeholder = regexp.MustCompile(`\{[A-Za-z_]+\}`)

// lettered is a letter between its two signs.
var lettered = regexp.MustCompile(`(.?)\{letter\}(.?)`)

var placeholders = []string{"{number}", "{letter}", "{item}", "{undated}", "{answer}"}

// kind is what a line of a template is.
type kind uint8

const (
	plain kind = iota
	historyLine
	candidateLine
	answerLine
)

// parse reads a template: one line for the history, below it one for the candidates, below that the answer at the end.
func parse(name, text string) (*Template, error) {
	text, err := tidy(name, text)
	if err != nil {
		return nil, err
	}
	undated := strings.Contains(text, "{undated}")
	if undated && strings.Contains(text, "{item}") {
		return nil, fail.Usagef("prompt template %s: it has {item} and {undated}; history and candidates are written the same way", name)
	}
	rows := strings.Split(strings.ReplaceAll(text, "{undated}", "{item}"), "\n")
	at := map[kind]int{}
	for i, row := range rows {
		which, problem := kindOf(row)
		if _, twice := at[which]; twice && which != plain && problem == "" {
			problem = "a second line of its kind; a template has one line for the history, one for the candidates and one {answer}"
		}
		if problem != "" {
			return nil, fail.Usagef("prompt template %s: line %d: %s", name, i+1, problem)
		}
		at[which] = i
	}
	if problem := checkOrder(at, rows); problem != "" {
		return nil, fail.Usagef("prompt template %s: %s", name, problem)
	}
	t := &Template{name: name, text: text, undated: undated}
	h, c := at[historyLine], at[candidateLine]
	t.history, t.candidate = parseLine(rows[h]), parseLine(rows[c])
	t.intro = strings.Join(append(rows[:h:h], ""), "\n")
	t.question = "\n" + strings.Join(append(rows[h+1:c:c], ""), "\n")
	cue := "\n" + strings.TrimSuffix(strings.Join(rows[c+1:], "\n"), "{answer}")
	t.cue = strings.TrimRight(cue, " ")
	t.space = cue[len(t.cue):]
	return t, nil
}

// kindOf tells a line by its placeholders, or what is wrong with it.
func kindOf(row string) (kind, string) {
	found := placeholder.FindAllString(row, -1)
	for _, p := range found {
		if !slices.Contains(placeholders, p) {
			return plain, p + " is no placeholder; there are " + strings.Join(placeholders, " ")
		}
	}
	var which kind
	switch strings.Join(found, " ") {
	case "":
		return plain, ""
	case "{answer}":
		return answerLine, ""
	case "{item}", "{number} {item}":
		which = historyLine
	case "{letter} {item}", "{letter} {item} {letter}":
		which = candidateLine
	default:
		return plain, "the history's line has {number} (if any) and {item}, that of the candidates {letter}, {item} and once more {letter} (or not), " +
			"the last line {answer}; this one has " +
			strings.Join(found, " ")
	}
	if !strings.Contains(row, " {item}") {
		return plain, "{item} needs a space before it"
	}
	if strings.Count(row, "{letter}") == 2 && !sameSigns(row) {
		return plain, "the letter behind {item} stands between the same two signs as the one before it, such as \"({letter}) {item} ({letter})\""
	}
	return which, ""
}

// sameSigns tells whether both letters of a line stand between the same two signs, which no title then spells (unmark).
func sameSigns(row string) bool {
	signs := lettered.FindAllStringSubmatch(row, 2)
	for _, sign := range signs[0][1:] {
		if c, _ := utf8.DecodeRuneInString(sign); !isSign(c) {
			return false
		}
	}
	return slices.Equal(signs[0][1:], signs[1][1:])
}

// checkOrder says what is missing or in the wrong place.
func checkOrder(at map[kind]int, rows []string) string {
	for _, need := range []struct {
		kind kind
		text string
	}{
		{historyLine, "no line for the history, such as \"({number}) {item}\""},
		{candidateLine, "no line for the candidates, such as \"({letter}) {item}\""},
		{answerLine, "no {answer} at the end, such as \"Answer: ({answer}\""},
	} {
		if _, ok := at[need.kind]; !ok {
			return need.text
		}
	}
	if at[historyLine] > at[candidateLine] {
		return "the candidates stand before the history; they go below it"
	}
	if !strings.HasSuffix(rows[len(rows)-1], "{answer}") {
		return "{answer} is not at the end, below the candidates; nothing goes behind it"
	}
	return ""
}

// parseLine takes a history's or a candidates' line apart.
func parseLine(row string) line {
	head, tail, _ := strings.Cut(row, " {item}")
	if at := placeholder.FindStringIndex(head); at != nil {
		return line{before: head[:at[0]], after: head[at[1]:], tail: tail}
	}
	return line{after: head, tail: tail}
}
