package page_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for the page; long, because a loaded machine is slow.
const patience = 30 * time.Second

// A step is something done in a tab.
type step = chromedp.Action[chromedp.Void]

// A tab is a page in headless Chromium with a profile of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	host string

	mu       sync.Mutex
	expected string // errors that hold this are meant to be
}

// open opens the page. When the test ends it fails for each error in the console that was not expected, and for each
// request to another host.
func open(t *testing.T, address string, options ...step) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.watch))
	t.Cleanup(cancel)
	b.ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b.do(chromedp.EmulateViewport(1320, 900), scheme("light"))
	b.do(options...)
	b.visit(address)
	return b
}

// visit goes to an address, whose host is the one that may be asked from now on.
func (b *tab) visit(address string) {
	b.t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.host = parsed.Host
	b.mu.Unlock()
	b.do(chromedp.Navigate(address))
}

func (b *tab) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complain(fmt.Sprintf("exception: %+v", e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complain(fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complain(fmt.Sprintf("log: %s %s", e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.mu.Lock()
		host := b.host
		b.mu.Unlock()
		if to, err := url.Parse(e.Request.URL); err != nil || to.Host != host {
			b.complain("request to another host: " + e.Request.URL)
		}
	}
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected == "" || !strings.Contains(what, b.expected) {
		b.t.Error(what)
	}
}

// expect lets errors pass that hold a text, such as the status of an answer that the test provokes.
func (b *tab) expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = text
}

func (b *tab) do(steps ...step) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a JavaScript expression to become true; seconds later it fails with what the page shows.
func (b *tab) until(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil {
		b.t.Fatalf("%s: %v\nthe page shows:\n%s", expression, err, b.text("body"))
	}
}

// answered waits until an answer is there and nothing is asked.
func (b *tab) answered() {
	b.t.Helper()
	b.until(`document.querySelector("#lists").getAttribute("aria-busy") === "false" && /suggestion|most people|Nothing/.test(document.querySelector("#status").textContent)`)
}

// changed waits until the rows of the final list are other ones than before.
func (b *tab) changed(before string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector("#final-items").innerText !== %q`, before))
	b.answered()
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// fill types into a field, over what is there.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`{ const field = document.querySelector(%q); field.focus(); field.select(); true }`, selector))
	b.keys(text)
}

// shot writes a picture of the whole page where MLLM4REC_SHOTS names a folder.
func (b *tab) shot(name string) {
	b.t.Helper()
	folder := os.Getenv("MLLM4REC_SHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// phone is a narrow screen for touch.
func phone(height int64) step { return chromedp.EmulateViewport(360, height, chromedp.EmulateMobile) }

// scheme sets what the page's media queries see of the device: light or dark, and motion that is not wanted, so that
// nothing is seen halfway.
func scheme(light string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: light}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
}

func focus(selector string) step { return chromedp.Focus(chromedp.CSS(selector)) }

var (
	browserOnce sync.Once
	browserCtx  context.Context
	browserErr  error
	browserEnd  = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	browserEnd()
	os.Exit(code)
}

// chromium is one browser for all tests, which skip where there is none.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("MLLM4REC_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("no Chromium on the PATH; install Debian's chromium or name one in MLLM4REC_CHROMIUM")
	}
	browserOnce.Do(func() { startChromium(path) })
	if browserErr != nil {
		t.Fatal(browserErr)
	}
	return browserCtx
}

// startChromium starts the browser. One that has just been installed sometimes never answers; it is started again then.
func startChromium(path string) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(time.Minute), chromedp.Flag("disable-component-update", true))
	for range 3 {
		allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		end := func() { cancel(); stop() }
		started := make(chan error, 1)
		go func() { started <- chromedp.Do(ctx) }()
		select {
		case browserErr = <-started:
			browserCtx, browserEnd = ctx, end
			return
		case <-time.After(time.Minute):
			go end() // which may hang as well
			browserErr = fmt.Errorf("%s was started and does not answer", path)
		}
	}
}
