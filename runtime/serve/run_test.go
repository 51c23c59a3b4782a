package serve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// running is a server that Run serves.
type running struct {
	url    string
	server *serve.Server
	stop   context.CancelFunc
	ended  chan error
}

// runServer runs a server until stop, or the end of the test.
func runServer(t *testing.T, o serve.Options) *running {
	t.Helper()
	opened := make(chan serve.Opened, 1)
	o.Opened = func(told serve.Opened) { opened <- told }
	return runIt(t, newServer(t, o), opened)
}

func runIt(t *testing.T, server *serve.Server, opened <-chan serve.Opened) *running {
	t.Helper()
	r := &running{server: server, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.server.Run(ctx) }()
	select {
	case told := <-opened:
		r.url = told.URL
	case err := <-r.ended:
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return r
}

// connect opens a connection and waits until the server has taken it.
func (r *running) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	eventually(t, "one that came later is answered", func() bool { return send(t, http.MethodGet, r.url+"/healthz", "").status == 200 })
	return conn
}

func (r *running) wantEnd(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(within):
		t.Fatalf("%v later it still runs", within)
	}
}

func TestStoppingIsToldAtOnceAndWaitsForRequests(t *testing.T) {
	t.Parallel()
	held := newGate()
	fake := &servetest.Fake{Work: held.work}
	r := runServer(t, options(fake))
	done := make(chan answer, 1)
	go func() { done <- send(t, http.MethodPost, r.url+"/v1/rank", ranking) }()
	<-held.arrived
	r.stop()
	eventually(t, "/readyz says no", func() bool { return send(t, http.MethodGet, r.url+"/readyz", "").status == 503 })
	if a := send(t, http.MethodGet, r.url+"/healthz", ""); a.status != 200 {
		t.Errorf("/healthz says %d while it drains", a.status)
	}
	if a := send(t, http.MethodPost, r.url+"/v1/prompt", ranking); a.status != 200 {
		t.Errorf("a request that came meanwhile: %d %s", a.status, a.body)
	}
	close(held.open)
	if a := <-done; a.status != 200 {
		t.Errorf("the request that was there before: %d %s", a.status, a.body)
	}
	r.wantEnd(t, 10*time.Second)
	if !fake.Closed() || fake.Late() != 0 {
		t.Errorf("models closed: %v, methods beside it: %d", fake.Closed(), fake.Late())
	}
}

func TestStoppingCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	held := newGate()
	fake := &servetest.Fake{Work: held.work}
	o := options(fake)
	o.Drain = 100 * time.Millisecond
	r := runServer(t, o)
	go func() { _, _ = trySend(context.Background(), http.MethodPost, r.url+"/v1/rank", ranking) }()
	<-held.arrived
	r.stop()
	r.wantEnd(t, 10*time.Second)
	if !fake.Closed() || fake.Late() != 0 {
		t.Errorf("models closed: %v, methods beside it: %d", fake.Closed(), fake.Late())
	}
}

func TestAPortInUseIsToldBeforeTheModelsAreOpened(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := options(&servetest.Fake{})
	o.Addr = taken.Addr().String()
	o.Open = func(context.Context, serve.Observer) (serve.Backend, error) {
		t.Error("opened")
		return nil, errors.New("no")
	}
	if err := newServer(t, o).Run(t.Context()); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "--addr") {
		t.Errorf("got %v", err)
	}
}

func TestModelsThatDoNotOpenEndTheStart(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{})
	o.Open = func(context.Context, serve.Observer) (serve.Backend, error) {
		return nil, errors.New("retriever.onnx: damaged")
	}
	if err := newServer(t, o).Run(t.Context()); err == nil || err.Error() != "retriever.onnx: damaged" {
		t.Errorf("got %v", err)
	}
}

// reloads opens another fake each time, and remembers all.
type reloads struct {
	mu    sync.Mutex
	fakes []*servetest.Fake
	bad   atomic.Bool
}

func (r *reloads) open(context.Context, serve.Observer) (serve.Backend, error) {
	if r.bad.Load() {
		return nil, errors.New("ranker.onnx: made for another tokenizer")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fake := &servetest.Fake{Name: fmt.Sprintf("m%d", len(r.fakes)), Slots: 64, Work: func(ctx context.Context) error {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	}}
	r.fakes = append(r.fakes, fake)
	return fake, nil
}

func TestTwentyReloadsUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	models := &reloads{}
	o := options(nil)
	o.Open, o.Admin = models.open, true
	hangups := make(chan os.Signal, 1)
	o.Reload = hangups
	r := runServer(t, o)
	ctx, enough := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent atomic.Int64
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				a := send(t, http.MethodPost, r.url+"/v1/rank", ranking)
				if sent.Add(1); a.status != http.StatusOK {
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
		})
	}
	for i := range 20 {
		had := sent.Load()
		if i%2 == 0 {
			if a := send(t, http.MethodPost, r.url+"/-/reload", ""); a.status != http.StatusOK {
				t.Errorf("reload: %d %s", a.status, a.body)
			}
		} else {
			hangups <- syscall.SIGHUP
		}
		name := fmt.Sprintf(`"ranker":"m%d"`, i+1)
		eventually(t, "the new models answer", func() bool {
			return strings.Contains(send(t, http.MethodPost, r.url+"/v1/rank", ranking).body, name)
		})
		eventually(t, "requests go on", func() bool { return sent.Load() > had+20 })
	}
	enough()
	load.Wait()
	t.Logf("%d requests over 20 reloads", sent.Load())
	r.stop()
	r.wantEnd(t, 10*time.Second)
	for i, fake := range models.fakes {
		if !fake.Closed() || fake.Late() != 0 {
			t.Errorf("models %d of %d: closed %v, methods beside it %d", i, len(models.fakes), fake.Closed(), fake.Late())
		}
	}
}

func TestABadReloadLeavesTheOldModels(t *testing.T) {
	t.Parallel()
	models := &reloads{}
	var log lines
	o := options(nil)
	o.Open, o.Admin, o.Log = models.open, true, log.logger()
	server := start(t, o)
	models.bad.Store(true)
	a := send(t, http.MethodPost, server.URL+"/-/reload", "")
	if p := a.problem(t); p.Status != 500 || p.Code != "reload_failed" || !strings.Contains(p.Detail, "made for another tokenizer") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if !strings.Contains(log.String(), "made for another tokenizer") {
		t.Errorf("the log does not say why: %s", log.String())
	}
	if a := send(t, http.MethodPost, server.URL+"/v1/rank", ranking); a.status != 200 || !strings.Contains(a.body, `"ranker":"m0"`) {
		t.Errorf("the old models: %d %s", a.status, a.body)
	}
	if got := sum(metric(t, server.URL, `mllm4rec_reloads_total{result="failed"}`)); got != 1 {
		t.Errorf("%v failed reloads counted", got)
	}
	models.bad.Store(false)
	send(t, http.MethodPost, server.URL+"/-/reload", "")
	if !strings.Contains(log.String(), `"msg":"reloaded","models":"retriever m`) {
		t.Errorf("the log does not name the models as it does at the start: %s", log.String())
	}
}

func TestOldModelsAreClosedBehindTheirLastRequest(t *testing.T) {
	t.Parallel()
	held := newGate()
	old, young := &servetest.Fake{Name: "old", Work: held.work}, &servetest.Fake{Name: "young"}
	next := make(chan *servetest.Fake, 2)
	next <- old
	next <- young
	o := options(nil)
	o.Open = func(context.Context, serve.Observer) (serve.Backend, error) { return <-next, nil }
	server := newServer(t, o)
	if err := server.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener := listen(t, server)
	done := make(chan answer, 1)
	go func() { done <- send(t, http.MethodPost, listener.URL+"/v1/rank", ranking) }()
	<-held.arrived
	if err := server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := send(t, http.MethodPost, listener.URL+"/v1/rank", ranking); !strings.Contains(a.body, "young") {
		t.Errorf("after the reload: %s", a.body)
	}
	if old.Closed() {
		t.Error("closed under a request")
	}
	close(held.open)
	if a := <-done; a.status != 200 || !strings.Contains(a.body, "old") {
		t.Errorf("the request of before: %d %s", a.status, a.body)
	}
	eventually(t, "the old models are closed", old.Closed)
}

func TestOfManyReloadsOneWaitsAndTheOthersAreRefused(t *testing.T) {
	t.Parallel()
	held := newGate()
	var opening, most atomic.Int64
	first := true
	o := options(nil)
	o.Admin = true
	o.Open = func(ctx context.Context, _ serve.Observer) (serve.Backend, error) {
		most.Store(max(most.Load(), opening.Add(1)))
		defer opening.Add(-1)
		if first {
			first = false
			return &servetest.Fake{}, nil
		}
		return &servetest.Fake{}, held.work(ctx)
	}
	server := newServer(t, o)
	if err := server.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	url := listen(t, server).URL
	answers := make(chan answer, 6)
	reload := func() {
		a, err := trySend(t.Context(), http.MethodPost, url+"/-/reload", "")
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}
	go reload()
	<-held.arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := server.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second, which may not wait long, got %v", err)
	}
	for range 5 {
		go reload()
	}
	for range 4 { // while the first one opens
		if a := <-answers; a.status != http.StatusConflict || a.problem(t).Code != "reloading" {
			t.Errorf("behind the one that waits: %d %s", a.status, a.body)
		}
	}
	close(held.open)
	for range 2 {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("the one that opens and the one that waits: %d %s", a.status, a.body)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d opened at once", most.Load())
	}
}

// TestTwentyRestartsUnderLoadRefuseConnectionsAtMost has clients send while the service stops and starts on one port. A
// connection that the kernel took and the service did not is reset when the port closes; nothing was read from it. While
// the models are opened the answer is that the service is not ready.
func TestTwentyRestartsUnderLoadRefuseConnectionsAtMost(t *testing.T) {
	t.Parallel()
	models := &reloads{}
	o := options(nil)
	o.Open = models.open
	r := runServer(t, o)
	url := r.url
	o.Addr = strings.TrimPrefix(url, "http://")
	ctx, enough := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var answered, refused, reset, early, crossed atomic.Int64
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				var used httptrace.GotConnInfo
				traced := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { used = i }})
				a, err := trySend(traced, http.MethodPost, url+"/v1/rank", ranking)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					refused.Add(1)
				case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE): // the reset came behind or before the writing
					reset.Add(1)
				case err == nil && a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "not opened yet"):
					early.Add(1)
				case errors.Is(err, io.EOF) && used.WasIdle && used.IdleTime > 400*time.Millisecond: // an idle connection's end, which HTTP lets cross with a request
					crossed.Add(1)
				case err != nil || a.status != http.StatusOK:
					t.Errorf("%v %d %s", err, a.status, a.body)
				default:
					answered.Add(1)
				}
			}
		})
	}
	for range 20 {
		had := answered.Load()
		eventually(t, "requests are answered", func() bool { return answered.Load() > had+50 })
		r.stop()
		r.wantEnd(t, 10*time.Second)
		r = runServer(t, o)
	}
	enough()
	load.Wait()
	t.Logf("%d answered, %d refused, %d reset before they were read, %d not ready, %d crossed with an idle connection's end, over 20 restarts", answered.Load(), refused.Load(), reset.Load(), early.Load(), crossed.Load())
}

func TestAConnectionThatWasTakenBeforeThePortClosedIsAnsweredBehindIt(t *testing.T) {
	t.Parallel()
	r := runServer(t, options(&servetest.Fake{}))
	conn := r.connect(t)
	r.stop()
	eventually(t, "the port is closed", func() bool {
		_, err := trySend(t.Context(), http.MethodGet, r.url+"/healthz", "")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	time.Sleep(2 * 250 * time.Millisecond) // as a client that has no processor for longer than the service lingers
	if _, err := fmt.Fprintf(conn, "POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(ranking), ranking); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || !response.Close {
		t.Errorf("%d, and the connection is to be closed: %t", response.StatusCode, response.Close)
	}
	r.wantEnd(t, 10*time.Second)
}

func TestAConnectionThatSaysNothingHoldsTheStopForAMoment(t *testing.T) {
	t.Parallel()
	r := runServer(t, options(&servetest.Fake{}))
	r.connect(t)
	r.stop()
	r.wantEnd(t, 4900*time.Millisecond) // Shutdown alone waits until the connection is five seconds old
}

func TestAReloadThatGoesOnDoesNotHoldTheStop(t *testing.T) {
	t.Parallel()
	opening, end := make(chan *servetest.Fake, 2), make(chan struct{})
	hangups := make(chan os.Signal, 1)
	o := options(nil)
	o.Reload = hangups
	o.Open = func(context.Context, serve.Observer) (serve.Backend, error) {
		fake := &servetest.Fake{}
		if opening <- fake; len(opening) == 2 { // a large model that is read from a slow disk
			<-end
		}
		return fake, nil
	}
	r := runServer(t, o)
	hangups <- syscall.SIGHUP
	eventually(t, "the reload opens", func() bool { return len(opening) == 2 })
	r.stop()
	r.wantEnd(t, 15*time.Second)
	close(end)
	<-opening
	eventually(t, "what was opened too late is closed", (<-opening).Closed)
}

func TestAReloadDuringTheStartOpensBehindIt(t *testing.T) {
	t.Parallel()
	held := newGate()
	var opened, opening, most atomic.Int64
	o := options(nil)
	o.Admin = true
	o.Open = func(ctx context.Context, _ serve.Observer) (serve.Backend, error) {
		most.Store(max(most.Load(), opening.Add(1)))
		defer opening.Add(-1)
		return &servetest.Fake{Name: fmt.Sprintf("m%d", opened.Add(1))}, held.work(ctx)
	}
	server := newServer(t, o)
	url := listen(t, server).URL
	started := make(chan error, 1)
	go func() { started <- server.Open(t.Context()) }()
	<-held.arrived
	reloaded := make(chan answer, 1)
	go func() {
		a, err := trySend(t.Context(), http.MethodPost, url+"/-/reload", "")
		if err != nil {
			t.Error(err)
		}
		reloaded <- a
	}()
	eventually(t, "the reload is there", func() bool { return sum(metric(t, url, "mllm4rec_http_in_flight")) == 2 })
	time.Sleep(50 * time.Millisecond) // in which it would open beside the start
	close(held.open)
	if err := <-started; err != nil {
		t.Error(err)
	}
	if a := <-reloaded; a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if most.Load() != 1 {
		t.Errorf("%d opened at once", most.Load())
	}
	if a := send(t, http.MethodPost, url+"/v1/rank", ranking); !strings.Contains(a.body, "m2") {
		t.Errorf("behind the reload: %s", a.body)
	}
}
