package serve

import (
	"net/http"
	"sync/atomic"
	"time"
)

// bodyBudget bounds the memory of all bodies together: most are read before there is a place for their work.
const bodyBudget = 256 << 20

// bodies counts the bytes of the bodies that are being read or worked on.
type bodies struct{ bytes atomic.Int64 }

// take makes room for the body of r, which may have most bytes and counts as so many where it does not tell its length. A body
// that is alone finds room whatever its size.
func (b *bodies) take(r *http.Request, most int64) (give func(), err error) {
	n := r.ContentLength
	if n < 0 || n > most { // or it is a route that reads none, whatever is said
		n = most
	}
	give = func() { b.bytes.Add(-n) }
	if all := b.bytes.Add(n); n > 0 && all > bodyBudget && all > n {
		give()
		return nil, &refusal{&Error{Status: http.StatusTooManyRequests, Code: codeOverloaded, Detail: "the bodies of other requests fill the memory for them; send the request again later"}, time.Second}
	}
	return give, nil
}
