package source

// Reason says why a row was rejected. It is an error, so that parsers can return it.
type Reason string

// The reasons, as they stand in rejects.csv and prepare.json.
const (
	LineTooLong    Reason = "line longer than 16 MiB"
	WrongColumns   Reason = "wrong number of columns"
	OpenQuote      Reason = "quote is not closed"
	EmptyUser      Reason = "no user"
	EmptyItem      Reason = "no item"
	IDTooLong      Reason = "id longer than 1024 bytes"
	InvalidUTF8    Reason = "invalid UTF-8"
	BadRating      Reason = "rating is no number"
	NoTimestamp    Reason = "no timestamp"
	BadTimestamp   Reason = "timestamp is no number"
	EarlyTimestamp Reason = "timestamp is negative"
	LateTimestamp  Reason = "timestamp is after the year 2100 (wrong unit?)"
	BadLiteral     Reason = "no Python literal"
	BadJSON        Reason = "no JSON object"
	BadFlag        Reason = "category flag is neither 0 nor 1"
)

// Error is the reason itself.
func (r Reason) Error() string { return string(r) }

const rawBytes = 200

// cut shortens a raw row for the reject file.
func cut(raw []byte) []byte { return raw[:min(len(raw), rawBytes)] }
