package weights

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the safetensors project's own bound of the JSON header, in bytes.
const maxHeader = 100_000_000

// metadataKey is the header's one entry that is no tensor.
const metadataKey = "__metadata__"

// Info says what a tensor is without its bytes.
type Info struct {
	Name  string
	DType DType
	Shape []int64
	// begin and end are byte offsets behind the header.
	begin, end int64
}

// Bytes is the size of the tensor in the file.
func (i Info) Bytes() int64 { return i.end - i.begin }

// header is the parsed and checked JSON header: tensors in the order of their bytes.
type header struct {
	tensors  []Info
	metadata map[string]string
}

// parseHeader reads the JSON header of a file whose tensors fill dataBytes bytes, and checks that they cover them
// exactly: no holes, no overlaps, nothing behind the last.
func parseHeader(text []byte, dataBytes int64) (header, error) {
	if !utf8.Valid(text) {
		return header{}, errors.New("the header is not valid UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return header{}, errors.New("the header does not begin with {")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var h header
	err := eachKey(decoder, func(key string) error {
		if key == metadataKey {
			return parseMetadata(decoder, &h)
		}
		info, err := parseInfo(decoder, key)
		h.tensors = append(h.tensors, info)
		return err
	})
	if err != nil {
		return header{}, jsonError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return header{}, errors.New("the header goes on behind its closing }")
	}
	return h, checkCover(h.tensors, dataBytes)
}

// jsonError words the two errors that the decoder leaves bare.
func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the header ends in the middle of its JSON")
	}
	return err
}

// eachKey walks a JSON object, calling value with the decoder before each value. A key that comes twice is an error:
// JSON readers differ in which of the two they take.
func eachKey(decoder *json.Decoder, value func(key string) error) error {
	if err := expect(decoder, json.Delim('{')); err != nil {
		return err
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return fmt.Errorf("the header has %v where a name belongs", token)
		}
		if seen[key] {
			return fmt.Errorf("%q is in the header twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim('}'))
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("the header has %v where %v belongs", token, want)
	}
	return nil
}

func parseMetadata(decoder *json.Decoder, h *header) error {
	h.metadata = map[string]string{}
	return eachKey(decoder, func(key string) error {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		text, ok := token.(string)
		if !ok {
			return fmt.Errorf("metadata %q is no text", key)
		}
		h.metadata[key] = text
		return nil
	})
}

// parseInfo reads {"dtype":…,"shape":[…],"data_offsets":[begin,end]} and checks that they agree.
func parseInfo(decoder *json.Decoder, name string) (Info, error) {
	info := Info{Name: name}
	var offsets []int64
	seen := 0
	err := eachKey(decoder, func(key string) (err error) {
		seen++
		switch key {
		case "dtype":
			info.DType, err = parseDType(decoder)
		case "shape":
			info.Shape, err = parseIntegers(decoder)
		case "data_offsets":
			offsets, err = parseIntegers(decoder)
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err == nil && (seen != 3 || len(offsets) != 2) {
		err = errors.New("needs dtype, shape and two data_offsets")
	}
	if err == nil {
		info.begin, info.end = offsets[0], offsets[1]
		err = checkSize(info)
	}
	if err != nil {
		return Info{}, fmt.Errorf("tensor %q: %w", name, err)
	}
	return info, nil
}

func parseDType(decoder *json.Decoder) (DType, error) {
	token, err := decoder.Token()
	if err != nil {
		return "", err
	}
	name, _ := token.(string)
	if DType(name).Size() == 0 {
		return "", fmt.Errorf("data type %v is not one of BOOL, U8, I8, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64", token)
	}
	return DType(name), nil
}

// parseIntegers reads an array of whole numbers from 0.
func parseIntegers(decoder *json.Decoder) ([]int64, error) {
	if err := expect(decoder, json.Delim('[')); err != nil {
		return nil, err
	}
	numbers := []int64{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%v is not a whole number from 0", token)
		}
		numbers = append(numbers, n)
	}
	return numbers, expect(decoder, json.Delim(']'))
}

func checkSize(info Info) error {
	size, ok := byteSize(info.DType, info.Shape)
	if !ok {
		return fmt.Errorf("shape %v of %s overflows", info.Shape, info.DType)
	}
	if info.begin > info.end || info.end-info.begin != size {
		return fmt.Errorf("shape %v of %s needs %d bytes, its offsets are %d to %d", info.Shape, info.DType, size, info.begin, info.end)
	}
	return nil
}

// checkCover sorts the tensors by their bytes and checks that these follow one another from 0 to dataBytes.
func checkCover(tensors []Info, dataBytes int64) error {
	slices.SortStableFunc(tensors, func(a, b Info) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Compare(a.end, b.end)
	})
	var at int64
	for _, info := range tensors {
		if info.begin < at {
			return fmt.Errorf("tensor %q: begins at byte %d inside the tensor before it", info.Name, info.begin)
		}
		if info.begin > at {
			return fmt.Errorf("tensor %q: a hole of %d bytes is before it", info.Name, info.begin-at)
		}
		at = info.end
	}
	if at != dataBytes {
		return fmt.Errorf("the tensors take %d bytes, the file holds %d behind its header: cut off or damaged", at, dataBytes)
	}
	return nil
}
