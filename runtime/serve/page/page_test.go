package page_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const final = "#final-items"

func movieServer() *fake { return &fake{items: movieItems(), ranker: true} }

func TestThePageLeadsFromARandomPersonToTheirPrompt(t *testing.T) {
	t.Parallel()
	b := open(t, movieServer().start(t))
	b.answered()
	if got := b.text(final + " li:first-child"); !strings.Contains(got, "Star Wars (1977)") {
		t.Errorf("without a history the most popular item does not lead: %q", got)
	}
	b.click("#random")
	b.until(`/^Person [123]/.test(document.querySelector("#whose").textContent)`)
	b.until(`document.querySelectorAll("#first-items li").length === 20`)
	b.answered()
	if !eval[bool](b, `document.querySelectorAll("#moves path.up").length > 0 && document.querySelectorAll("#final-items .move.up").length > 0`) {
		t.Error("nothing shows what the language model moved")
	}
	if got := b.text("#timings"); !strings.Contains(got, "817 ms") || !strings.Contains(got, "language model 812 ms") {
		t.Errorf("timings: %q", got)
	}

	before := b.text(final)
	b.fill("#search", "full m")
	b.until(`document.querySelector("#search").getAttribute("aria-activedescendant") === "found-0"`)
	b.keys(kb.ArrowDown + kb.ArrowUp + kb.Enter)
	b.until(`document.querySelector("#items li").innerText.includes("The Full Monty")`)
	b.changed(before)
	if got := b.text("#whose"); !strings.Contains(got, "changed") {
		t.Errorf("the history is no longer the person's own, but is called %q", got)
	}

	fused := b.text(final)
	b.click("input[value=llm]")
	b.changed(fused)
	b.click("input[value=none]")
	b.until(`!document.querySelector("#lists").classList.contains("both")`)
	b.click("input[value=fusion]")
	b.until(`document.querySelector("#lists").classList.contains("both")`)
	b.answered()
	b.click("#prompt summary")
	b.until(`document.querySelector("#prompt-text").innerText.includes("(T)")`)
	if got := b.text("#prompt-text"); !strings.Contains(got, "The Full Monty") {
		t.Errorf("the prompt does not hold the item that was added:\n%s", got)
	}
}

func TestThePromptHoldsAsManyCandidatesAsTheModelReads(t *testing.T) {
	t.Parallel()
	for letters, last := range map[int]string{6: "(F)", 24: "(X)"} {
		server := movieServer()
		server.letters = letters
		b := open(t, server.start(t)+"?items=1,2")
		b.answered()
		if got := eval[int](b, `document.querySelectorAll("#first-items li").length`); got != 20 {
			t.Errorf("%d of the retriever's items are shown, want 20", got)
		}
		b.click("#prompt summary")
		b.until(`document.querySelector("#prompt-text").innerText.includes("\n` + last + `")`)
		if got := b.text("#prompt-text"); strings.Count(got, "\n(") != 2+letters {
			t.Errorf("with %d letters:\n%s", letters, got)
		}
	}
}

func TestTheHistoryIsReorderedAndEmptiedByKeyboard(t *testing.T) {
	t.Parallel()
	b := open(t, movieServer().start(t)+"?items=1,2,3")
	b.answered()
	order := func() string {
		return eval[string](b, `[...document.querySelectorAll("#items .title")].map((n) => n.textContent).join("; ")`)
	}
	b.until(`document.querySelectorAll("#items .title").length === 3`)
	if got := order(); got != "Fargo (1996); Contact (1997); Star Wars (1977)" {
		t.Fatalf("newest first: %s", got)
	}
	before := b.text(final)
	b.do(focus("#items li:last-child .newer"))
	b.keys(kb.Enter)
	b.keys(kb.Enter)
	if got := order(); got != "Star Wars (1977); Fargo (1996); Contact (1997)" {
		t.Errorf("after two moves up: %s", got)
	}
	b.changed(before)
	b.do(focus("#items li:first-child .remove"))
	for range 3 {
		b.keys(kb.Enter)
	}
	b.until(`document.querySelectorAll("#items li").length === 0`)
	if got := eval[string](b, `document.activeElement.id`); got != "search" {
		t.Errorf("the focus fell to %q when the last item went", got)
	}
	b.until(`document.querySelector("#final-title").textContent === "Most popular"`)
}

func TestTheAddressHoldsTheView(t *testing.T) {
	t.Parallel()
	address := movieServer().start(t)
	b := open(t, address+"?user=~u2&rank=llm&category=Drama")
	b.until(`document.querySelector("#whose").textContent.startsWith("Person 2 (u2)")`)
	b.answered()
	if got := b.text("#final-title"); got != "The language model’s order" {
		t.Errorf("ordered by %q", got)
	}
	if got := eval[string](b, `document.querySelector("#category").value`); got != "Drama" {
		t.Errorf("category %q", got)
	}
	shown := b.text(final)
	b.click(final + " .add")
	b.changed(shown)
	shared := eval[string](b, `location.href`)
	after := b.text(final)

	other := open(t, shared)
	other.answered()
	if got := other.text(final); got != after {
		t.Errorf("a shared view shows\n%s\nnot\n%s", got, after)
	}
	if got := eval[string](b, `document.activeElement.className`); !strings.Contains(got, "add") {
		t.Errorf("after adding, the focus is on %q", got)
	}
	b.do(chromedp.NavigateBack())
	b.changed(after)
	if got := b.text(final); got != shown {
		t.Errorf("after Back the page shows\n%s\nnot\n%s", got, shown)
	}
}

func TestAServerThatCannotMixSaysSo(t *testing.T) {
	t.Parallel()
	b := open(t, (&fake{items: movieItems(), ranker: true, unfitted: true}).start(t)+"?user=2&rank=fusion")
	b.answered()
	if got := eval[string](b, `[...document.querySelectorAll("input[name=rank]:disabled")].map((n) => n.value).join()`); got != "fusion" {
		t.Errorf("disabled: %s", got)
	}
	if got := eval[string](b, `document.querySelector("input[name=rank]:checked").value`); got != "llm" {
		t.Errorf("ordered by %s", got)
	}
	if got := b.text("#missing"); !strings.Contains(got, "mixed") {
		t.Errorf("why: %q", got)
	}
}

func TestTitlesAreTextInTheirOwnDirection(t *testing.T) {
	t.Parallel()
	shop := &fake{items: shopItems(), ranker: true}
	b := open(t, shop.start(t)+"?items=1,2,3")
	b.answered()
	b.until(`document.querySelectorAll("#items canvas").length === 3`)
	if got := eval[string](b, `document.querySelector("#items li:last-child .title").textContent`); got != markup {
		t.Errorf("the title reads %q", got)
	}
	if got := eval[string](b, `getComputedStyle(document.querySelector("#items li:nth-child(2) .title")).direction`); got != "rtl" {
		t.Errorf("the Hebrew title runs %s", got)
	}
	if eval[int](b, `document.querySelectorAll("main img, main b").length`) != 0 {
		t.Error("a title became markup")
	}
	b.until(`[...document.querySelectorAll("#items canvas")].every((c) => c.getContext("2d").getImageData(48, 20, 1, 1).data[3] === 255)`)
}

func TestHundredsOfItemsAreShownInParts(t *testing.T) {
	t.Parallel()
	b := open(t, movieServer().start(t)+"?user=3")
	b.answered()
	if got := eval[int](b, `document.querySelectorAll("#items li").length`); got != 30 {
		t.Errorf("%d rows at first", got)
	}
	if got := b.text("#notes"); !strings.Contains(got, "retriever looked at the newest 200 of 737") || !strings.Contains(got, "read the newest 20 of 737") {
		t.Errorf("truncation is not told: %q", got)
	}
	b.click("#all")
	b.until(`document.querySelectorAll("#items li").length === 737`)
	b.click("#items li:nth-child(2) .remove")
	b.until(`document.querySelector("#notes").innerText.includes("newest 500 of 736 items were sent")`)
}

func TestAServerWithoutALanguageModelSaysSo(t *testing.T) {
	t.Parallel()
	small := &fake{items: movieItems()[:3]}
	b := open(t, small.start(t)+"?items=1&rank=fusion")
	b.answered()
	if got := eval[string](b, `[...document.querySelectorAll("input[name=rank]:disabled")].map((n) => n.value).join()`); got != "llm,fusion" {
		t.Errorf("disabled: %s", got)
	}
	if got := b.text("#missing"); !strings.Contains(got, "no language model") {
		t.Errorf("why: %q", got)
	}
	if got := eval[int](b, `document.querySelectorAll("#final-items li").length`); got != 2 {
		t.Errorf("%d suggestions of the two items that are left", got)
	}
	b.shot("three-items-no-language-model")
}

func TestNoRequestLeavesTheCategoryWithoutItsItems(t *testing.T) {
	t.Parallel()
	b := open(t, movieServer().start(t)+"?items=1")
	b.answered()
	before := b.text(final)
	b.do(focus("#category"))
	b.keys("Film")
	b.changed(before)
	if got := b.text(final); !strings.Contains(got, "L.A. Confidential") || strings.Contains(got, "Toy Story") {
		t.Errorf("Film-Noir shows:\n%s", got)
	}
	if got := eval[string](b, `location.search`); !strings.Contains(got, "category=Film-Noir") {
		t.Errorf("address %q", got)
	}
}

func TestUnknownItemsAreTold(t *testing.T) {
	t.Parallel()
	b := open(t, "about:blank")
	b.expect("404")
	b.visit(movieServer().start(t) + "?items=1,999,~B00X")
	b.answered()
	b.until(`document.querySelectorAll("#items .unknown").length === 2`)
	if got := b.text("#notes"); !strings.Contains(got, "2 items not in the catalogue, left out: 999, “B00X”") {
		t.Errorf("notes: %q", got)
	}
}
