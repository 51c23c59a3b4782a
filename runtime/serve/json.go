package serve

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// readJSON reads the body of a request into a value. It is strict: no unknown and no repeated names, no other types, valid
// UTF-8, nothing behind the value. Errors name the field.
func readJSON(r *http.Request, into any) error {
	if err := wantType(r, "application/json"); err != nil {
		return err
	}
	return badBody(json.UnmarshalRead(r.Body, into, json.RejectUnknownMembers(true), json.WithUnmarshalers(entries)))
}

// mostEntries is how many a list in a body may have: an entry of two bytes takes a dozen times as many in memory, and bodies
// are read before there is a place for them.
const mostEntries = 1 << 14

// entries are bounded in number. As an entry null is refused where it would be an empty text; as a field it is as good as
// nothing.
var entries = json.JoinUnmarshalers(
	json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *Ref) error { return entry(d) }),
	json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *Document) error { return entry(d) }),
	json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *string) error {
		if kind, _ := d.StackIndex(d.StackDepth()); kind == '[' && d.PeekKind() == 'n' {
			return errors.New("null is no text")
		}
		return entry(d)
	}),
)

// entry leaves the reading of an entry to its type, if the list has room for it.
func entry(d *jsontext.Decoder) error {
	if kind, before := d.StackIndex(d.StackDepth()); kind == '[' && before >= mostEntries {
		return fmt.Errorf("the list has more than %d entries", mostEntries)
	}
	return errors.ErrUnsupported
}

func wantType(r *http.Request, want string) error {
	given := r.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != want {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: codeMediaType, Field: "Content-Type", Detail: fmt.Sprintf("send %s, got %.100q", want, given)}
	}
	return nil
}

// badBody says what is wrong with a body that could not be read.
func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	var meaning *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Detail: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Status: http.StatusRequestTimeout, Code: codeReadTimeout, Detail: "the body came too slowly"}
	case errors.As(err, &meaning):
		return malformed(fieldOf(meaning.JSONPointer), meaningOf(meaning))
	case errors.As(err, &syntax) && errors.Is(err, io.ErrUnexpectedEOF):
		return malformed(fieldOf(syntax.JSONPointer), fmt.Sprintf("the body ends too early, at byte %d", syntax.ByteOffset))
	case errors.As(err, &syntax):
		return malformed(fieldOf(syntax.JSONPointer), fmt.Sprintf("no JSON at byte %d: %v", syntax.ByteOffset, syntax.Err))
	default:
		return malformed("", "the body ends too early: "+err.Error())
	}
}

// meaningOf says what a value is instead of what it should be.
func meaningOf(err *json.SemanticError) string {
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "there is no such field"
	case err.Err != nil && err.JSONKind == 0:
		return err.Err.Error()
	case errors.Is(err.Err, strconv.ErrSyntax):
		return "must be a whole number, without a point or an exponent"
	case errors.Is(err.Err, strconv.ErrRange):
		return "is a number beyond all bounds"
	case err.GoType != nil && err.JSONKind != 0 && err.Err == nil:
		return "cannot be " + kindName(err.JSONKind)
	case err.Err != nil:
		return err.Err.Error()
	default:
		return "has a wrong value"
	}
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case '"':
		return "a string"
	case '0':
		return "a number of this form"
	case '{':
		return "an object"
	case '[':
		return "a list"
	default:
		return kind.String()
	}
}

// fieldOf writes a JSON pointer as people do: history[2].
func fieldOf(pointer jsontext.Pointer) string {
	var field strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			field.WriteString("[" + token + "]")
		case field.Len() > 0:
			field.WriteString("." + token)
		default:
			field.WriteString(token)
		}
	}
	if field.Len() > 200 {
		return strings.ToValidUTF8(field.String()[:200], "")
	}
	return field.String()
}

// write answers with a value as JSON, in one piece: lists that are nil are empty ones, omitempty is that of encoding/json. An
// error is of a value that JSON does not know; nothing is answered then.
func write(w http.ResponseWriter, status int, contentType string, value any) error {
	body, err := json.Marshal(value, jsonv1.OmitEmptyWithLegacySemantics(true))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails where the client has gone
	return nil
}
