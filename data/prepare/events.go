package prepare

const chunkRows = 64 << 10

// chunk holds interactions column by column, 20 bytes each. Users and items are numbers of the dictionaries.
type chunk struct {
	n         int
	timestamp [chunkRows]int64
	user      [chunkRows]uint32
	item      [chunkRows]uint32
	rating    [chunkRows]float32
}

// events is the log in memory, in order. It grows by chunks, so that it is never copied.
type events struct {
	chunks []*chunk
	rows   int64
}

func (e *events) add(user, item uint32, rating float32, timestamp int64) {
	if len(e.chunks) == 0 || e.chunks[len(e.chunks)-1].n == chunkRows {
		e.chunks = append(e.chunks, new(chunk))
	}
	c := e.chunks[len(e.chunks)-1]
	c.user[c.n], c.item[c.n], c.rating[c.n], c.timestamp[c.n] = user, item, rating, timestamp
	c.n++
	e.rows++
}

// keep drops the rows for which want is false, chunk by chunk, and returns how many.
func (e *events) keep(want func(user, item uint32) bool) (dropped int64) {
	for _, c := range e.chunks {
		n := 0
		for i := range c.n {
			if !want(c.user[i], c.item[i]) {
				continue
			}
			if n < i {
				c.user[n], c.item[n], c.rating[n], c.timestamp[n] = c.user[i], c.item[i], c.rating[i], c.timestamp[i]
			}
			n++
		}
		dropped += int64(c.n - n)
		c.n = n
	}
	e.rows -= dropped
	return dropped
}

// kCore drops users and items with too few interactions until none is left, and returns how many interactions went and
// how many are left of each user and item. The result does not depend on the order in which they go.
func (e *events) kCore(users, items, minUser, minItem int) (dropped int64, ofUser, ofItem []uint32) {
	ofUser, ofItem = make([]uint32, users), make([]uint32, items)
	for _, c := range e.chunks {
		for i := range c.n {
			ofUser[c.user[i]]++
			ofItem[c.item[i]]++
		}
	}
	for {
		gone := e.keep(func(user, item uint32) bool {
			if ofUser[user] >= uint32(minUser) && ofItem[item] >= uint32(minItem) {
				return true
			}
			ofUser[user]--
			ofItem[item]--
			return false
		})
		dropped += gone
		if gone == 0 {
			return dropped, ofUser, ofItem
		}
	}
}

// event is an interaction of a known user with dense ids.
type event struct {
	timestamp int64
	item      int32
	rating    float32
}

// byUser returns the events of all users one after the other, in the order of the log within a user, and where each user
// begins (and, last, where the last one ends). userID gives dense ids from 1. The log is emptied on the way, so that the
// two are not held whole at once for longer than needed.
func (e *events) byUser(userID, itemID []int32, ofUser []uint32, users int) (sorted []event, begins []int64) {
	begins = make([]int64, users+2)
	for n, id := range userID {
		if id > 0 {
			begins[id+1] = int64(ofUser[n])
		}
	}
	for id := 1; id < len(begins); id++ {
		begins[id] += begins[id-1]
	}
	// begins[id] is where user id goes on; when all are placed it is where user id ends, which is where id+1 begins.
	sorted = make([]event, e.rows)
	for k, c := range e.chunks {
		for i := range c.n {
			at := &begins[userID[c.user[i]]]
			sorted[*at] = event{timestamp: c.timestamp[i], item: itemID[c.item[i]], rating: c.rating[i]}
			*at++
		}
		e.chunks[k] = nil
	}
	e.chunks, e.rows = nil, 0
	return sorted, begins[:users+1]
}
