package page_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// views are what the page looks like in its states; each is checked for accessibility and for width, and drawn.
var views = []struct {
	name, query string
	shop        bool
	setup       []step
	open        bool // the prompt
}{
	{name: "desktop-light", query: "?user=2", open: true},
	{name: "desktop-dark", query: "?user=2&rank=llm", setup: []step{scheme("dark")}},
	{name: "desktop-empty", query: ""},
	{name: "desktop-retriever", query: "?user=2&rank=none"},
	{name: "desktop-hundreds", query: "?user=3"},
	{name: "shop-light", query: "?items=4,8,6,1,2,3", shop: true},
	{name: "shop-dark", query: "?items=4,8,6,1,2,3", shop: true, setup: []step{scheme("dark")}},
	{name: "tablet-light", query: "?user=2", setup: []step{chromedp.EmulateViewport(820, 1100)}},
	{name: "phone-light", query: "?user=2", setup: []step{phone(3600)}, open: true},
	{name: "phone-shop-dark", query: "?items=4,8,1,2,3", shop: true, setup: []step{phone(3600), scheme("dark")}, open: true},
}

func TestEveryViewFitsItsScreenAndIsAccessible(t *testing.T) {
	t.Parallel()
	axe := axeSource(t)
	for _, view := range views {
		t.Run(view.name, func(t *testing.T) {
			t.Parallel()
			server := movieServer()
			if view.shop {
				server = &fake{items: shopItems(), ranker: true}
			}
			b := open(t, server.start(t)+view.query, append([]step{chromedp.EmulateViewport(1320, 1800)}, view.setup...)...)
			b.answered()
			b.until(`[...document.querySelectorAll("canvas")].every((c) => !c.checkVisibility() || c.classList.contains("drawn") || c.dataset.item % 6 === 0)`)
			b.until(`!document.querySelector("#items .what.muted") && document.querySelectorAll("#moves path.marked").length === 0`)
			if view.open {
				b.click("#prompt summary")
				b.until(`[...document.querySelectorAll("canvas")].every((c) => !c.checkVisibility() || c.classList.contains("drawn") || c.dataset.item % 6 === 0)`)
				b.until(`!document.querySelector("#prompt-text").hidden`)
			}
			b.shot(view.name)
			if wide := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
				t.Errorf("scrolls sideways by %d pixels", wide)
			}
			if out := eval[string](b, sticksOut); out != "" {
				t.Errorf("sticks out of its card: %s", out)
			}
			b.accessible(axe)
		})
	}
}

// sticksOut is JavaScript for the first element that reaches beyond the padding of the card around it.
const sticksOut = `[...document.querySelectorAll(".card *:not(.unseen, pre, option)")].find((node) => {
	const card = node.closest(".card"), right = card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingRight);
	return node.checkVisibility() && node.getBoundingClientRect().right > right + 1;
})?.outerHTML ?? ""`

func TestTheOpenListOfFoundItemsIsAccessible(t *testing.T) {
	t.Parallel()
	axe := axeSource(t)
	b := open(t, (&fake{items: shopItems(), ranker: true}).start(t)+"?items=4", phone(740))
	b.answered()
	b.fill("#search", "a")
	b.until(`document.querySelector("#search").getAttribute("aria-activedescendant") === "found-0"`)
	b.shot("phone-search")
	b.accessible(axe)
}

func TestTheThemeSwitchOutlastsTheDevicesChoice(t *testing.T) {
	t.Parallel()
	b := open(t, movieServer().start(t))
	b.answered()
	paper := func() string { return eval[string](b, `getComputedStyle(document.body).backgroundColor`) }
	light := paper()
	b.do(focus("#theme"))
	b.keys("d")
	dark := paper()
	if light == dark {
		t.Errorf("the background stays %s", light)
	}
	b.do(chromedp.Reload())
	b.answered()
	if got := paper(); got != dark {
		t.Errorf("after reloading the background is %s, not %s", got, dark)
	}
}

// axeSource is axe-core's source, "" where MLLM4REC_AXE does not name it.
func axeSource(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MLLM4REC_AXE")
	if path == "" {
		t.Log("accessibility is not checked: MLLM4REC_AXE does not name axe.min.js of the npm package axe-core")
		return ""
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// accessible runs axe-core's rules and fails for each finding but minor ones.
func (b *tab) accessible(axe string) {
	b.t.Helper()
	if axe == "" {
		return
	}
	found := eval[string](b, axe+`; axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		var where []string
		for _, node := range v.Nodes[:min(3, len(v.Nodes))] {
			where = append(where, fmt.Sprintf("  %.200s\n    %s", node.HTML, strings.ReplaceAll(node.FailureSummary, "\n", " ")))
		}
		if v.Impact != "minor" {
			b.t.Errorf("axe: %s (%s): %s, %d times\n%s", v.ID, v.Impact, v.Help, len(v.Nodes), strings.Join(where, "\n"))
		}
	}
}
