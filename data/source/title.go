package source

import "strings"

// articles that MovieLens puts behind a title, in lower case. "I", "O", "As" and "En" are articles too (Italian,
// Portuguese, Danish), but English titles end in them as well.
var articles = map[string]bool{
	"a": true, "an": true, "the": true,
	"le": true, "la": true, "les": true, "un": true, "une": true,
	"el": true, "los": true, "las": true, "una": true,
	"il": true, "lo": true, "gli": true, "uno": true, "das": true, "der": true, "die": true, "den": true, "ein": true, "eine": true,
	"det": true, "het": true, "de": true, "ett": true, "os": true,
}

// elided articles join the word behind them.
var elided = map[string]bool{"l'": true, "l’": true, "un'": true}

// CleanMovieTitle writes a MovieLens title the way people do: "Matrix, The (1999)" becomes "The Matrix (1999)". Titles in
// parentheses, which are alternative or original ones, are dropped; the year stays. A parenthesis that opens a title
// belongs to it: "(500) Days of Summer (2009)". Parentheses that do not match are left alone.
func CleanMovieTitle(title string) string {
	title = strings.TrimSpace(title)
	name, year := cutYear(title)
	name = frontArticle(dropParentheses(name))
	if name == "" {
		return title
	}
	if year != "" {
		return name + " " + year
	}
	return name
}

// cutYear splits "Name (1999)", "Name (1999-2001)" and "Name (1999–)" into name and year.
func cutYear(title string) (name, year string) {
	open := strings.LastIndexByte(title, '(')
	if open <= 0 || !strings.HasSuffix(title, ")") {
		return title, ""
	}
	inside := title[open+1 : len(title)-1]
	if len(inside) < 4 || strings.Trim(inside[:4], "0123456789") != "" || strings.Trim(inside[4:], "0123456789-–") != "" {
		return title, ""
	}
	return strings.TrimSpace(title[:open]), title[open:]
}

// dropParentheses removes every parenthesis, nested ones too, that does not open the name.
func dropParentheses(name string) string {
	var kept strings.Builder
	depth := 0
	for i, r := range name {
		switch {
		case r == '(' && (i > 0 || depth > 0):
			depth++
		case r == ')' && depth > 0:
			depth--
		case depth == 0:
			kept.WriteRune(r)
		}
	}
	if depth != 0 {
		return name
	}
	return strings.Join(strings.Fields(kept.String()), " ")
}

// frontArticle moves a trailing article to the front: "Avventura, L'" becomes "L'Avventura".
func frontArticle(name string) string {
	comma := strings.LastIndex(name, ", ")
	if comma <= 0 {
		return name
	}
	article := name[comma+2:]
	switch {
	case elided[strings.ToLower(article)]:
		return article + name[:comma]
	case articles[strings.ToLower(article)]:
		return article + " " + name[:comma]
	}
	return name
}
