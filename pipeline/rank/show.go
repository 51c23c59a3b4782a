package rank

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mllm4rec/data/prompt"
	"mllm4rec/data/table"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/retrieve"
)

// ShowOptions say whose prompt is shown.
type ShowOptions struct {
	Options
	// Users is the table that user ids are looked up in.
	Users string
	// User is a user_id; where it is 0, SourceID is the user's id in the raw logs.
	User     int32
	SourceID string
	// Split is retrieve.Val or retrieve.Test.
	Split string
}

// Shown is a prompt as the model sees it, and what it is made of.
type Shown struct {
	UserID   int32  `json:"user_id"`
	SourceID string `json:"source_id"`
	Split    string `json:"split"`
	Prompt   string `json:"prompt"`
	// Tokens is the prompt's length, Prefix of them are those of every prompt, MaxTokens is the most.
	Tokens    int        `json:"tokens"`
	Prefix    int        `json:"prefix_tokens"`
	MaxTokens int        `json:"max_tokens"`
	Cut       prompt.Cut `json:"cut"`
	// Candidates stand in the order of their letters.
	Candidates []ShownCandidate `json:"candidates"`
	// Label is the item that the user took next, LabelLetter the letter it has, empty where it is not among the candidates.
	Label       int32  `json:"label"`
	LabelLetter string `json:"label_letter"`
}

// ShownCandidate is a candidate and the token that stands for it.
type ShownCandidate struct {
	Letter string `json:"letter"`
	Token  int32  `json:"token"`
	ItemID int32  `json:"item_id"`
}

// Show builds one user's prompt as Run does, of the first order where there are several. It needs no model.
func Show(o ShowOptions) (Shown, error) {
	if o.Split != retrieve.Val && o.Split != retrieve.Test {
		return Shown{}, fail.Usagef("split %q: there are %s and %s", o.Split, retrieve.Val, retrieve.Test)
	}
	builder, _, err := openPrompts(o.Model)
	if err != nil {
		return Shown{}, err
	}
	user, row, err := o.find()
	if err != nil {
		return Shown{}, err
	}
	m := &Model{ModelOptions: o.Model, builder: builder}
	if m.texts, err = builder.ReadItems(o.Model.Items, o.Model.Captions, o.Model.CaptionsOnly); err != nil {
		return Shown{}, missing(err)
	}
	questions, err := m.questions([]Row{row})
	if err != nil {
		return Shown{}, err
	}
	built, err := m.Prompt(questions[0])
	if err != nil {
		return Shown{}, err
	}
	shown := Shown{
		UserID: user.UserID, SourceID: user.SourceID, Split: o.Split, Prompt: builder.Text(built), Tokens: len(built.Tokens),
		Prefix: len(builder.Prefix()), MaxTokens: o.Model.Limits.PromptTokens, Cut: built.Cut, Label: row.Candidates.Label,
	}
	for i, at := range m.order(questions[0], 0) {
		c := ShownCandidate{Letter: prompt.Letters[i : i+1], Token: builder.Letters()[i], ItemID: row.Candidates.Items[at]}
		shown.Candidates = append(shown.Candidates, c)
		if c.ItemID == row.Candidates.Label {
			shown.LabelLetter = c.Letter
		}
	}
	return shown, nil
}

// find looks the user up in all tables.
func (o ShowOptions) find() (user table.User, row Row, err error) {
	name := fmt.Sprintf("user_id %d", o.User)
	match := func(u table.User) bool { return u.UserID == o.User }
	if o.User == 0 {
		name = fmt.Sprintf("user %q", o.SourceID)
		match = func(u table.User) bool { return u.SourceID == o.SourceID }
	}
	if user, err = first(o.Users, name, match); err != nil {
		return user, row, err
	}
	name = fmt.Sprintf("user_id %d", user.UserID)
	sequence, err := first(o.Sequences, name, func(s table.Sequence) bool { return s.UserID == user.UserID })
	if err != nil {
		return user, row, err
	}
	row.History = retrieve.History(sequence, o.Split)
	row.Candidates, err = first(o.Candidates, name+", "+o.Split, func(c table.Candidates) bool {
		return c.UserID == user.UserID && c.Split == o.Split
	})
	return user, row, err
}

// first is the first row of a table that matches. None is a usage error.
func first[T any](path, name string, match func(T) bool) (row T, err error) {
	t, err := table.Open[T](path)
	if err != nil {
		return row, missing(err)
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	for row, err := range t.Rows() {
		if err != nil || match(row) {
			return row, err
		}
	}
	return row, fail.Usagef("%s has no %s", path, name)
}

// missing says which command makes a table that is not there.
func missing(err error) error {
	var path *fs.PathError
	if !errors.As(err, &path) || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	command := "prepare"
	switch filepath.Base(path.Path) {
	case "candidates.parquet":
		command = "candidates"
	case "captions.parquet":
		command = "run --until caption"
	}
	return fail.Usagef("%s is not there: run `mllm4rec %s` first", path.Path, command)
}

// String is the prompt, and below a line what it is made of.
func (s Shown) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", s.Prompt, strings.Repeat("─", 40))
	fmt.Fprintf(&b, "user_id     %d (%s in the logs), %s\n", s.UserID, s.SourceID, s.Split)
	fmt.Fprintf(&b, "tokens      %d of at most %d; the first %d are those of every prompt\n", s.Tokens, s.MaxTokens, s.Prefix)
	fmt.Fprintf(&b, "cut         %d titles, %d captions, %d items of the history\n", s.Cut.Titles, s.Cut.Captions, s.Cut.History)
	fmt.Fprintf(&b, "letters     %s to %s\n", s.Candidates[0].Letter, s.Candidates[len(s.Candidates)-1].Letter)
	if s.LabelLetter == "" {
		fmt.Fprintf(&b, "answer      item_id %d, which is not among the candidates\n", s.Label)
	} else {
		fmt.Fprintf(&b, "answer      %s (item_id %d)\n", s.LabelLetter, s.Label)
	}
	return b.String()
}
