package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"mllm4rec/internal/fail"
)

// maxJSON bounds the JSON files that lie beside weights, in bytes. A shard index of a very large model has a few million.
const maxJSON = 64 << 20

// ReadJSON reads a JSON file that lies beside weights. One that is missing is a usage error that ends with hint; so is one
// that is damaged or above 64 MiB.
func ReadJSON(path, hint string, into any) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fail.Usagef("%s: no such file; %s", path, hint)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxJSON+1))
	if err != nil {
		return err
	}
	if len(text) > maxJSON {
		return fail.Usagef("%s: above %d bytes; it is not what its name says", path, maxJSON)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fail.Usagef("%s: %w", path, err)
	}
	return nil
}

// TokenIDs are the tokens that a key of a model's config names: one, several, or with null none.
type TokenIDs struct {
	IDs []int32
	// Given tells null from a key that is absent, which stands for the default of the model's class.
	Given bool
}

// UnmarshalJSON reads a number, a list of numbers, or null.
func (t *TokenIDs) UnmarshalJSON(text []byte) error {
	*t = TokenIDs{Given: true}
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	list := text
	if !bytes.HasPrefix(text, []byte("[")) {
		list = slices.Concat([]byte("["), text, []byte("]"))
	}
	var ids []*int32
	if json.Unmarshal(list, &ids) != nil || slices.Contains(ids, nil) {
		return fmt.Errorf("%.50s is no token id and no list of them", text)
	}
	t.IDs = make([]int32, len(ids))
	for i, id := range ids {
		t.IDs[i] = *id
	}
	return nil
}
