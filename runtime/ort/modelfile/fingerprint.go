package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Fingerprint identifies a model by all that its metadata say (checkpoint, adapter, precision, vocabulary, prompt), and not by
// where its file lies. A retriever's say only its sizes: its fingerprint is not one of its weights.
func (i *Info) Fingerprint() string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(i.Metadata)) {
		_, _ = fmt.Fprintf(sum, "%q %q\n", key, i.Metadata[key])
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
