// Package key knows who calls: API keys with names, from a file or a text, and how often each may call.
package key

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// minLength is of a key: shorter ones can be guessed.
const minLength = 16

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Ring holds keys. A nil Ring has none, and lets everyone in.
type Ring struct{ keys []owner }

type owner struct {
	name  string
	hash  [sha256.Size]byte
	limit *rate.Limiter // nil where there is none
}

// Owner is who sent a request.
type Owner struct {
	Name  string
	limit *rate.Limiter
}

// Load reads keys from a file, a line "name:key" each; empty lines and those that begin with # are skipped.
func Load(path string, perSecond float64) (*Ring, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := parse(string(text), perSecond)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// Parse reads keys as an environment variable has them: as a file does, with commas or line ends between them. An owner may
// send perSecond requests a second, and as many at once; 0 means no limit.
func Parse(text string, perSecond float64) (*Ring, error) {
	return parse(strings.ReplaceAll(text, ",", "\n"), perSecond)
}

func parse(text string, perSecond float64) (*Ring, error) {
	ring := &Ring{}
	scanner := bufio.NewScanner(strings.NewReader(text))
	for line := 1; scanner.Scan(); line++ {
		entry := strings.TrimSpace(scanner.Text())
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		if err := ring.add(entry, perSecond); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if len(ring.keys) == 0 {
		return nil, fmt.Errorf("holds no key; write a line name:key for each")
	}
	return ring, nil
}

// add takes a line "name:key". Errors do not repeat the key.
func (r *Ring) add(entry string, perSecond float64) error {
	name, secret, found := strings.Cut(entry, ":")
	secret = strings.TrimSpace(secret)
	switch {
	case !found || !nameForm.MatchString(name):
		return fmt.Errorf("write name:key, the name of letters, digits, dots, dashes and underscores, 64 at most")
	case len(secret) < minLength:
		return fmt.Errorf("the key of %s has %d characters; give it %d or more", name, len(secret), minLength)
	}
	k := owner{name: name, hash: sha256.Sum256([]byte(secret))}
	for _, other := range r.keys {
		if other.name == name || other.hash == k.hash {
			return fmt.Errorf("%s is there twice, or has the key of %s", name, other.name)
		}
	}
	if perSecond > 0 {
		k.limit = rate.NewLimiter(rate.Limit(perSecond), max(int(perSecond), 1))
	}
	r.keys = append(r.keys, k)
	return nil
}

// Find returns the owner of a key. How long it takes says nothing about the keys: hashes are compared, all of them.
func (r *Ring) Find(secret string) (Owner, bool) {
	hash := sha256.Sum256([]byte(secret))
	found := -1
	for i := range r.keys {
		if subtle.ConstantTimeCompare(hash[:], r.keys[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Owner{}, false
	}
	return Owner{Name: r.keys[found].name, limit: r.keys[found].limit}, true
}

// Allow takes one request off what the owner may send; where there is none left it says how long to wait for one.
func (o Owner) Allow(now time.Time) (wait time.Duration, ok bool) {
	if o.limit == nil || o.limit.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - o.limit.TokensAt(now)
	return time.Duration(missing / float64(o.limit.Limit()) * float64(time.Second)), false
}
