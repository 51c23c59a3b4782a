package tokenizer

import (
	"slices"
	"strings"
	"sync"
)

// A cache of words bounds itself: maxWords of at most maxWordBytes, some 10 MB when full.
const (
	maxWords     = 1 << 16
	maxWordBytes = 48
)

// cache remembers the tokens of words. A full one starts anew: what is common is back in no time.
type cache struct {
	mutex sync.RWMutex
	words map[string][]int32
}

func (c *cache) get(word string) ([]int32, bool) {
	if len(word) > maxWordBytes {
		return nil, false
	}
	c.mutex.RLock()
	ids, ok := c.words[word]
	c.mutex.RUnlock()
	return ids, ok
}

// put copies what it keeps.
func (c *cache) put(word string, ids []int32) {
	if len(word) > maxWordBytes {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.words == nil || len(c.words) >= maxWords {
		c.words = map[string][]int32{}
	}
	c.words[strings.Clone(word)] = slices.Clone(ids)
}
