package source

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

const (
	maxIDBytes   = 1024
	maxTimestamp = 4102444800000 // 2100-01-01 in milliseconds
)

// checkID says what is wrong with an id, if anything.
func checkID(id []byte, missing Reason) error {
	if len(id) == 0 {
		return missing
	}
	if len(id) > maxIDBytes {
		return IDTooLong
	}
	for _, c := range id {
		if c >= utf8.RuneSelf {
			if !utf8.Valid(id) {
				return InvalidUTF8
			}
			break
		}
	}
	return nil
}

// parseRating reads a finite number.
func parseRating(text []byte) (float32, error) {
	f, ok := parseFloat(text)
	if !ok || math.Abs(f) > math.MaxFloat32 {
		return 0, BadRating
	}
	return float32(f), nil
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// parseFloat reads a finite decimal number. Up to 15 digits without exponent, the usual case, need no strconv: digits and
// power of ten are exact, so that one division rounds correctly.
func parseFloat(text []byte) (float64, bool) {
	digits, point := int64(0), -1
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9' && i < 16:
			digits = digits*10 + int64(c-'0')
		case c == '.' && point < 0 && len(text) > 1:
			point = i
		default:
			return slowFloat(text)
		}
	}
	switch {
	case len(text) == 0 || len(text) > 16 || point < 0 && len(text) > 15:
		return slowFloat(text)
	case point < 0:
		return float64(digits), true
	}
	return float64(digits) / powersOfTen[len(text)-1-point], true
}

func slowFloat(text []byte) (float64, bool) {
	if len(text) == 0 || len(text) > 64 {
		return 0, false
	}
	f, err := strconv.ParseFloat(unsafe.String(&text[0], len(text)), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// timeUnit is how many units a second has, as milliseconds × mul / div.
type timeUnit struct{ mul, div int64 }

var timeUnits = map[string]timeUnit{"": {1000, 1}, "s": {1000, 1}, "ms": {1, 1}, "us": {1, 1000}, "ns": {1, 1_000_000}}

// days is the unit of Parquet's DATE.
var days = timeUnit{24 * 60 * 60 * 1000, 1}

// parseTimestamp reads a time in units and returns milliseconds.
func parseTimestamp(text []byte, unit timeUnit) (int64, error) {
	if len(text) == 0 {
		return 0, NoTimestamp
	}
	value := int64(0)
	for i, c := range text {
		if c < '0' || c > '9' || i >= 18 {
			return slowTimestamp(text, unit)
		}
		value = value*10 + int64(c-'0')
	}
	return unit.milliseconds(value)
}

func slowTimestamp(text []byte, unit timeUnit) (int64, error) {
	f, ok := slowFloat(text)
	if !ok {
		return 0, BadTimestamp
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return unit.milliseconds(n)
	}
	return unit.fraction(f)
}

// milliseconds turns a whole number of units into milliseconds and checks the range.
func (u timeUnit) milliseconds(value int64) (int64, error) {
	if value < 0 {
		return 0, EarlyTimestamp
	}
	if value/u.div > maxTimestamp/u.mul {
		return 0, LateTimestamp
	}
	return value / u.div * u.mul, nil
}

// fraction does the same for numbers with a decimal point.
func (u timeUnit) fraction(value float64) (int64, error) {
	ms := value * float64(u.mul) / float64(u.div)
	switch {
	case math.IsNaN(ms):
		return 0, BadTimestamp
	case ms < 0:
		return 0, EarlyTimestamp
	case ms > maxTimestamp:
		return 0, LateTimestamp
	}
	return int64(ms), nil
}
