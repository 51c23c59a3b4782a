package weights

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

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
