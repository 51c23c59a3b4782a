package serve_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"mllm4rec/runtime/serve/servetest"
)

// begin sends the head of a request and the first byte of its body.
func begin(t *testing.T, r *running, length int) net.Conn {
	t.Helper()
	conn := r.connect(t)
	if _, err := fmt.Fprintf(conn, "POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", length); err != nil {
		t.Fatal(err)
	}
	return conn
}

// unread asks whether the service lives, and says that a body of a terabyte follows.
func unread(t *testing.T, r *running) net.Conn {
	t.Helper()
	conn := r.connect(t)
	if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", int64(1)<<40); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestBodiesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	const large = 200 << 20
	o := options(&servetest.Fake{})
	o.BodyBytes = large
	r := runServer(t, o)
	under := func(n int) { // way, this request for the metrics included
		t.Helper()
		eventually(t, fmt.Sprint(n, " requests are under way"), func() bool {
			return strings.Contains(send(t, http.MethodGet, r.url+"/metrics", "").body, fmt.Sprintf("\nmllm4rec_http_in_flight %d\n", n))
		})
	}
	for range 2 { // the second time in the room that the first gives back
		first := begin(t, r, large)
		under(2)
		response, err := http.ReadResponse(bufio.NewReader(begin(t, r, large)), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "1" {
			t.Errorf("another large body: %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
		}
		if a := send(t, http.MethodPost, r.url+"/v1/rank", ranking); a.status != http.StatusOK {
			t.Errorf("a small body beside the large one: %d %s", a.status, a.body)
		}
		response, err = http.ReadResponse(bufio.NewReader(unread(t, r)), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("a probe that announces a body, which nobody reads: %d", response.StatusCode)
		}
		_ = first.Close()
		under(1)
	}
}
