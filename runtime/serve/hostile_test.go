package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/key"
	"mllm4rec/runtime/serve/servetest"
)

// dial opens a connection and sends a text.
func dial(t *testing.T, url, text string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if _, err := fmt.Fprint(connection, text); err != nil {
		t.Fatal(err)
	}
	if err := connection.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return connection
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{Slots: 1})
	o.Read = 200 * time.Millisecond
	r := runServer(t, o)
	header := dial(t, r.url, "POST /v1/rank HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if text, err := io.ReadAll(header); err != nil || strings.Contains(string(text), "200") {
		t.Errorf("half a header: %v %s", err, text)
	}
	for _, call := range []string{"/v1/rank HTTP/1.1\r\nContent-Type: application/json", "/v1/caption HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b"} {
		body := dial(t, r.url, "POST "+call+"\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		response, err := http.ReadResponse(bufio.NewReader(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusRequestTimeout {
			t.Errorf("half a body: %d", response.StatusCode)
		}
	}
	if a := send(t, http.MethodPost, r.url+"/v1/rank", ranking); a.status != http.StatusOK {
		t.Errorf("after them: %d %s", a.status, a.body)
	}
}

func TestWorkMayTakeLongerThanReading(t *testing.T) {
	t.Parallel()
	held := newGate()
	o := options(&servetest.Fake{Work: held.work})
	o.Read = 100 * time.Millisecond
	r := runServer(t, o)
	time.AfterFunc(300*time.Millisecond, func() { close(held.open) })
	if a := send(t, http.MethodPost, r.url+"/v1/rank", ranking); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestKeysGuardDataAndWork(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef"
	ring, err := key.Parse("shop:"+good, 0)
	if err != nil {
		t.Fatal(err)
	}
	var log lines
	o := options(&servetest.Fake{})
	o.Keys, o.Admin, o.Log = func() (*key.Ring, error) { return ring, nil }, true, log.logger()
	server := start(t, o)
	for _, path := range []string{"/v1/info", "/v1/users/1", "/v1/items/1/picture", "/v1/nothing"} {
		for _, header := range []string{"X-None: 1", "Authorization: Bearer wrong", "Authorization: Basic " + good, "X-API-Key: " + good[1:]} {
			a := send(t, http.MethodGet, server.URL+path, "", header)
			if p := a.problem(t); p.Status != 401 || p.Code != "unauthorized" || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s: %d %s", path, header, a.status, a.body)
			}
		}
	}
	for _, path := range []string{"/v1/rank", "/rerank", "/v2/rerank", "/-/reload"} {
		if a := send(t, http.MethodPost, server.URL+path, ranking); a.status != 401 {
			t.Errorf("%s without a key: %d", path, a.status)
		}
	}
	eventually(t, "who has no key is counted under the route", func() bool {
		return strings.Contains(send(t, http.MethodGet, server.URL+"/metrics", "").body, `mllm4rec_http_requests_total{code="401",route="/v1/rank"} 1`)
	})
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"} {
		if a := send(t, http.MethodGet, server.URL+path, ""); a.status != 200 {
			t.Errorf("%s needs no key, and says %d", path, a.status)
		}
	}
	for _, header := range []string{"Authorization: Bearer " + good, "authorization: bearer " + good, "X-API-Key: " + good} {
		if a := send(t, http.MethodGet, server.URL+"/v1/users/1", "", header); a.status != 200 {
			t.Errorf("%s: %d", header, a.status)
		}
	}
	eventually(t, "the log has the name", func() bool { return strings.Contains(log.String(), `"key":"shop"`) })
	if strings.Contains(log.String(), good) {
		t.Error("the log has the key")
	}
}

func TestAReloadReadsTheKeysAgainAndKeepsTheOldWhereTheyAreBroken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	o := options(&servetest.Fake{})
	o.Admin = true
	o.Keys = func() (*key.Ring, error) { return key.Load(path, 0) }
	const first, second = "0123456789abcdef", "fedcba9876543210"
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("shop:" + first)
	server := start(t, o)
	status := func(method, path, secret string) int {
		return send(t, method, server.URL+path, "", "X-API-Key: "+secret).status
	}
	write("shop:" + second)
	if got := status(http.MethodPost, "/-/reload", first); got != 200 {
		t.Errorf("reload: %d", got)
	}
	if old, young := status(http.MethodGet, "/v1/info", first), status(http.MethodGet, "/v1/info", second); old != 401 || young != 200 {
		t.Errorf("behind the reload the old key gets %d, the new one %d", old, young)
	}
	write("# none left")
	if got := status(http.MethodPost, "/-/reload", second); got != 500 {
		t.Errorf("reload of a broken file: %d", got)
	}
	if got := status(http.MethodGet, "/v1/info", second); got != 200 {
		t.Errorf("behind it the key gets %d", got)
	}
}

func TestAKeyHasItsRate(t *testing.T) {
	t.Parallel()
	ring, err := key.Parse("shop:0123456789abcdef", 0.01)
	if err != nil {
		t.Fatal(err)
	}
	o := options(&servetest.Fake{})
	o.Keys = func() (*key.Ring, error) { return ring, nil }
	server := start(t, o)
	call := func() answer {
		return send(t, http.MethodGet, server.URL+"/v1/info", "", "X-API-Key: 0123456789abcdef")
	}
	if a := call(); a.status != 200 {
		t.Errorf("the first: %d", a.status)
	}
	a := call()
	if p := a.problem(t); p.Status != 429 || p.Code != "rate_limited" || a.header.Get("Retry-After") != "100" {
		t.Errorf("the second: %d %s, after %s", a.status, a.body, a.header.Get("Retry-After"))
	}
}

func TestPagesOfOtherOriginsMayNotCall(t *testing.T) {
	t.Parallel()
	closed := start(t, options(&servetest.Fake{}))
	o := options(&servetest.Fake{})
	o.Origins = []string{"https://shop.example"}
	open := start(t, o)
	foreign := []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}
	own := []string{"Origin: https://shop.example", "Sec-Fetch-Site: cross-site"}
	for _, test := range []struct {
		name, url string
		headers   []string
		status    int
		allowed   string
	}{
		{"a stranger", closed.URL, foreign, 403, ""}, {"a stranger to others' service", open.URL, foreign, 403, ""},
		{"the shop", open.URL, own, 200, "https://shop.example"}, {"no browser", closed.URL, nil, 200, ""},
		{"the page itself", closed.URL, []string{"Origin: " + closed.URL, "Sec-Fetch-Site: same-origin"}, 200, ""},
	} {
		a := send(t, http.MethodPost, test.url+"/v1/rank", ranking, test.headers...)
		if a.status != test.status || a.header.Get("Access-Control-Allow-Origin") != test.allowed {
			t.Errorf("%s: %d %v", test.name, a.status, a.header)
		}
	}
	a := send(t, http.MethodOptions, open.URL+"/v1/rank", "", append(own, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-api-key")...)
	if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
}

func TestEveryAnswerTellsBrowsersToLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{}))
	for _, path := range []string{"/", "/docs", "/v1/info", "/v1/nothing"} {
		h := send(t, http.MethodGet, server.URL+path, "").header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'self';") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, path := range []string{"/", "/docs"} {
		if page := send(t, http.MethodGet, server.URL+path, "").body; strings.Contains(page, "://") || strings.Contains(page, "<script>") || strings.Contains(page, "style=") {
			t.Errorf("%s loads from elsewhere, or has what the policy forbids", path)
		}
	}
}

func TestWhoClosesTheirSideIsNotToldThatAllWentWell(t *testing.T) {
	t.Parallel()
	held := newGate()
	server := start(t, options(&servetest.Fake{Work: held.work}))
	half := dial(t, server.URL, fmt.Sprintf("POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(ranking), ranking))
	<-held.arrived
	if err := half.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(half), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 499 || !strings.Contains(string(body), `"client_gone"`) {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
}

func TestListsEndBeforeTheyFillTheMemory(t *testing.T) {
	t.Parallel()
	server := start(t, options(&servetest.Fake{}))
	for field, test := range map[string]struct{ path, body string }{
		"history":    {"/v1/retrieve", `{"history":[` + strings.Repeat("1,", 400_000)},
		"exclude":    {"/v1/recommend", `{"history":[1],"exclude":[` + strings.Repeat(`"a",`, 100_000)},
		"categories": {"/v1/retrieve", `{"history":[1],"categories":[` + strings.Repeat(`"",`, 100_000)},
		"texts":      {"/rerank", `{"query":"a","texts":[` + strings.Repeat(`"",`, 100_000)},
		"documents":  {"/rerank", `{"query":"a","documents":[` + strings.Repeat(`"",`, 100_000)},
	} {
		a := send(t, http.MethodPost, server.URL+test.path, test.body) // which goes on: it is not read to its end
		if p := a.problem(t); p.Status != 400 || !strings.HasPrefix(p.Field, field) || !strings.Contains(p.Detail, "16384") {
			t.Errorf("%s: %d %s", field, a.status, a.body)
		}
	}
}

func TestConnectionsBeyondTheBoundWait(t *testing.T) {
	t.Parallel()
	opened := make(chan serve.Opened, 1)
	o := options(&servetest.Fake{})
	o.Opened = func(told serve.Opened) { opened <- told }
	server := newServer(t, o)
	server.SetMostConnections(2)
	r := runIt(t, server, opened)
	const ask = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	first, second := dial(t, r.url, ask), dial(t, r.url, ask)
	for _, connection := range []net.Conn{first, second} {
		if _, err := http.ReadResponse(bufio.NewReader(connection), nil); err != nil {
			t.Fatal(err)
		}
	}
	third := dial(t, r.url, ask)
	answered := make(chan error, 1)
	go func() {
		_, err := http.ReadResponse(bufio.NewReader(third), nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("a third connection beside two was answered (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	first.Close()
	if err := <-answered; err != nil {
		t.Errorf("in the place of the first: %v", err)
	}
	r.stop()
	r.wantEnd(t, 10*time.Second)
}
