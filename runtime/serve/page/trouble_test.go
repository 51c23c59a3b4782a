package page_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"mllm4rec/runtime/serve"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestAnOlderAnswerNeverReplacesANewerOne(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	held, release := make(chan struct{}), make(chan struct{})
	movies.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/recommend" && strings.Contains(read(r), `"rank":"llm"`) {
			close(held)
			<-release
		}
		return true
	})
	b := open(t, movies.start(t)+"?items=1&rank=none")
	b.answered()
	b.click("input[value=llm]")
	<-held // the older request waits in the server
	b.until(`document.querySelector("#status").textContent === "The language model is reading…"`)
	if got := b.text(final); got != "" || !eval[bool](b, `document.querySelector("#timings").hidden`) {
		t.Errorf("while the language model reads, its order is said to be %q, or the old times stand", got)
	}
	b.shot("waiting-for-the-language-model")
	b.click("input[value=fusion]")
	b.until(`document.querySelector("#final-title").textContent === "Both together" && document.querySelector("#lists").getAttribute("aria-busy") === "false"`)
	newer := b.text(final)
	close(release)
	b.do(chromedp.Evaluate[chromedp.Void](`fetch("v1/info").then((r) => r.json()).then(() => undefined)`, chromedp.EvalAwaitPromise))
	if got := b.text(final); got != newer || b.text("#final-title") != "Both together" {
		t.Errorf("the older answer came back:\n%s", got)
	}
}

// read gives a request's body and leaves it in its place.
func read(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

func TestABusyServerIsLeftAloneAndAskedAgain(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	var refused atomic.Int32
	movies.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/recommend" || refused.Add(1) > 1 {
			return true
		}
		w.Header().Set("Retry-After", "2")
		problem(w, &serve.Error{Status: 429, Code: "busy", Detail: "All places are taken."})
		return false
	})
	b := open(t, "about:blank")
	b.expect("429")
	b.visit(movies.start(t) + "?items=1,2")
	b.until(`/The server is busy. Asking again in [12] s/.test(document.querySelector("#status").textContent)`)
	b.answered()
	if got := eval[int](b, `document.querySelectorAll("#final-items li").length`); got != 20 {
		t.Errorf("%d suggestions in the end", got)
	}
}

// openLocked opens the page of a server that wants the key s3cret, for which it asks.
func openLocked(t *testing.T) *tab {
	t.Helper()
	movies := movieServer()
	movies.key = "s3cret"
	b := open(t, "about:blank")
	b.expect("401")
	b.visit(movies.start(t) + "?items=1,2")
	b.until(`document.querySelector("#key").open`)
	return b
}

func TestTheKeyIsAskedForOnceAndKeptForTheTab(t *testing.T) {
	t.Parallel()
	b := openLocked(t)
	b.until(`document.activeElement.id === "key-value"`)
	b.shot("key")
	b.keys("wrong" + kb.Enter)
	b.until(`document.querySelector("#key").open && document.querySelector("#key-why").textContent === "This key is not known."`)
	b.keys("s3cret" + kb.Enter)
	b.answered()
	b.expect("")
	b.do(chromedp.Reload())
	b.answered()
	if eval[bool](b, `document.querySelector("#key").open || Object.values(localStorage).includes("s3cret")`) {
		t.Error("the key was asked for again, or kept beyond the tab")
	}
}

func TestWithoutAKeyThePageSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	movies.key = "s3cret"
	b := open(t, "about:blank")
	b.expect("401")
	b.visit(movies.start(t))
	b.until(`document.querySelector("#key").open`)
	b.keys(kb.Escape)
	b.until(`document.querySelector("#about").innerText.includes("Try again")`)
}

func TestMistakesStandBesideWhatCausedThem(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	b := open(t, "about:blank")
	b.expect("status of")
	b.visit(movies.start(t) + "?items=1,2")
	b.answered()
	b.fill("#user", "4711"+kb.Enter)
	b.until(`document.querySelector("#user-error").textContent === "“4711” is no number from 1 to 3."`)
	b.do(focus("#kind"))
	b.keys("i")
	b.fill("#user", "nobody"+kb.Enter)
	b.until(`document.querySelector("#user-error").textContent === 'There is no user "nobody".' && document.querySelector("#user").getAttribute("aria-invalid") === "true"`)

	refuse := func(path string, e *serve.Error) {
		movies.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				problem(w, e)
			}
			return r.URL.Path != path
		})
	}
	refuse("/v1/items", &serve.Error{Status: 503, Code: "not_ready", Detail: "The catalogue is being loaded."})
	b.fill("#search", "toy")
	b.until(`document.querySelector("#search-error").textContent === "The catalogue is being loaded."`)
	refuse("/v1/retrieve", &serve.Error{Status: 422, Code: "too_long", Field: "history[3]", Detail: "That history is too long."})
	b.visit(eval[string](b, `location.origin`) + "/?items=1,2,3")
	b.until(`document.querySelector("#history-error").textContent === "That history is too long."`)
	b.shot("error")
	refuse("/v1/prompt", &serve.Error{Status: 422, Code: "no_prompt", Detail: "No prompt fits."})
	b.click("#failure button")
	b.answered()
	b.click("#prompt summary")
	b.until(`document.querySelector("#prompt-error").textContent === "No prompt fits."`)
	if got := b.text("#history-error"); got != "" {
		t.Errorf("the mended mistake is still there: %q", got)
	}
}

func TestAServerThatIsGoneIsTold(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	b := open(t, "about:blank")
	b.expect("ERR_EMPTY_RESPONSE")
	movies.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/retrieve" {
			panic(http.ErrAbortHandler)
		}
		return true
	})
	b.visit(movies.start(t) + "?items=1,2")
	b.until(`document.querySelector("#failure").innerText.includes("The server does not answer")`)
}

func TestAChangeWhileAPersonLoadsIsOneOfWhatIsShown(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	held, release := make(chan struct{}, 10), make(chan struct{})
	movies.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/users/2" {
			held <- struct{}{}
			<-release
		}
		return true
	})
	b := open(t, movies.start(t)+"?user=1")
	b.answered()
	b.fill("#user", "2"+kb.Enter)
	<-held
	b.click("#final-items .add")
	close(release)
	b.until(`document.querySelector("#whose").textContent.includes("changed, 6 items")`)
	if whose, address := b.text("#whose"), eval[string](b, `location.search`); !strings.HasPrefix(whose, "Person 1 ") || !strings.Contains(address, "user=1&items=") {
		t.Errorf("the first person's items and one more are said to be those of %q, at %s", whose, address)
	}
}

func TestNothingIsFoundForAFieldThatWasEmptied(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	held, release := make(chan struct{}, 10), make(chan struct{})
	movies.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.FormValue("q") == "toy s" {
			held <- struct{}{}
			<-release
		}
		return true
	})
	b := open(t, movies.start(t))
	b.answered()
	b.fill("#search", "toy")
	b.until(`document.querySelector("#found-0")?.getAttribute("aria-selected") === "true"`)
	b.keys(" s")
	<-held
	b.keys(kb.Enter)
	close(release)
	b.answered()
	b.do(chromedp.Evaluate[chromedp.Void](`fetch("v1/info").then((r) => r.json()).then(() => undefined)`, chromedp.EvalAwaitPromise))
	if !eval[bool](b, `document.querySelector("#found").hidden && document.querySelector("#search").value === ""`) {
		t.Errorf("behind the pick the list shows %q", b.text("#found"))
	}
}

func TestAPromptThatIsNoLongerThereIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	movies := movieServer()
	held, release := make(chan struct{}, 10), make(chan struct{})
	defer close(release)
	b := open(t, "about:blank")
	b.expect("422")
	b.visit(movies.start(t) + "?items=1,2")
	b.answered()
	movies.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/v1/prompt":
			held <- struct{}{}
			<-release
		case "/v1/retrieve":
			problem(w, &serve.Error{Status: 422, Code: "too_long", Detail: "That is too long."})
			return false
		}
		return true
	})
	b.click("#prompt summary")
	<-held
	b.click("input[value=llm]")
	b.until(`document.querySelector("#prompt-about").textContent === "There is no prompt for this answer."`)
}

func TestAKeyThatNoHeaderHoldsIsNotTaken(t *testing.T) {
	t.Parallel()
	b := openLocked(t)
	b.keys("s3cret€" + kb.Enter)
	if !eval[bool](b, `document.querySelector("#key").open && !document.querySelector("#key-value").checkValidity()`) {
		t.Fatalf("it is taken, and then: %s", b.text("#about"))
	}
	b.keys(kb.Backspace + kb.Enter)
	b.answered()
}
