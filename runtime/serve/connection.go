package serve

import (
	"net"
	"net/http"
	"sync"
)

// connections follows the connections that owe somebody an answer: taken and not read yet, or read and not answered yet.
// http.Server.Shutdown drops a request that it reads behind its own beginning, so nothing may be owed when it begins.
type connections struct {
	mu    sync.Mutex
	owing map[net.Conn]http.ConnState
	quiet chan struct{} // closed while none owes
}

func newConnections() *connections {
	c := &connections{owing: map[net.Conn]http.ConnState{}, quiet: make(chan struct{})}
	close(c.quiet)
	return c
}

// follow is the http.Server's ConnState.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.owing)
	if state == http.StateNew || state == http.StateActive {
		c.owing[conn] = state
	} else {
		delete(c.owing, conn)
	}
	switch after := len(c.owing); {
	case before == 0 && after > 0:
		c.quiet = make(chan struct{})
	case before > 0 && after == 0:
		close(c.quiet)
	}
}

// hangUp closes the connections on which nothing was sent, for which Shutdown would wait five seconds.
func (c *connections) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, state := range c.owing {
		if state == http.StateNew {
			_ = conn.Close() // its goroutine tells follow
		}
	}
}

// silent is closed once no connection owes an answer; another may have come since.
func (c *connections) silent() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quiet
}
