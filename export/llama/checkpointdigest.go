package llama

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"mllm4rec/export/weights"
)

// digest makes the fingerprint: SHA-256 of the config and, for each tensor by name, its type, shape and three stretches.
func (c *Checkpoint) digest() (string, error) {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(c.config); err != nil {
		return "", err
	}
	for _, name := range c.Names() {
		s := c.tensors[name]
		fmt.Fprintf(hash, "%q %s %v\n", name, s.dtype, s.shape)
		r, err := c.files.reader(s.name)
		if err != nil {
			return "", err
		}
		if err := weights.CopyStretches(hash, r); err != nil {
			return "", fmt.Errorf("%s: tensor %q: %w", c.path, name, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}
