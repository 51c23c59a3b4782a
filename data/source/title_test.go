package source

import (
	"testing"
	"unicode/utf8"
)

func TestCleanMovieTitle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, title, want string }{
		{"plain", "Toy Story (1995)", "Toy Story (1995)"},
		{"article", "Matrix, The (1999)", "The Matrix (1999)"},
		{"article a", "Beautiful Mind, A (2001)", "A Beautiful Mind (2001)"},
		{"article an", "American in Paris, An (1951)", "An American in Paris (1951)"},
		{"alternative title", "City of Lost Children, The (Cité des enfants perdus, La) (1995)", "The City of Lost Children (1995)"},
		{"a.k.a.", "Seven (a.k.a. Se7en) (1995)", "Seven (1995)"},
		{"two alternatives", "Léon: The Professional (a.k.a. The Professional) (Léon) (1994)", "Léon: The Professional (1994)"},
		{"foreign article", "Misérables, Les (1995)", "Les Misérables (1995)"},
		{"elided article", "Avventura, L' (Adventure, The) (1960)", "L'Avventura (1960)"},
		{"german", "Boot, Das (Boat, The) (1981)", "Das Boot (1981)"},
		{"italian", "Postino, Il (The Postman) (1994)", "Il Postino (1994)"},
		{"spanish", "Mariachi, El (1992)", "El Mariachi (1992)"},
		{"comma in title", "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)", "The Good, the Bad and the Ugly (1966)"},
		{"subtitle", "Lord of the Rings: The Fellowship of the Ring, The (2001)", "The Lord of the Rings: The Fellowship of the Ring (2001)"},
		{"comma without article", "Good Night, and Good Luck. (2005)", "Good Night, and Good Luck. (2005)"},
		{"opening parenthesis", "(500) Days of Summer (2009)", "(500) Days of Summer (2009)"},
		{"no year", "Babylon 5", "Babylon 5"},
		{"article, no year", "Matrix, The", "The Matrix"},
		{"years", "Fawlty Towers (1975-1979)", "Fawlty Towers (1975-1979)"},
		{"running", "Death Note: Desu nôto (2006–)", "Death Note: Desu nôto (2006–)"},
		{"space behind", "Cosmos (1980) ", "Cosmos (1980)"},
		{"nested parentheses", "A Film (B (C) D) (2000)", "A Film (2000)"},
		{"open parenthesis", "Broken (title (1999", "Broken (title (1999"},
		{"year only", "(1999)", "(1999)"},
		{"number in parentheses", "Movie (42)", "Movie"},
		{"empty", "", ""},
		{"only article", ", The (1999)", ", The (1999)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := CleanMovieTitle(c.title); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzCleanMovieTitle(f *testing.F) {
	f.Add("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
	f.Fuzz(func(t *testing.T, title string) {
		got := CleanMovieTitle(title)
		if !utf8.ValidString(title) {
			return // emitItem refuses it
		}
		if !utf8.ValidString(got) {
			t.Errorf("%q becomes %q", title, got)
		}
		if len(got) > len(title)+1 {
			t.Errorf("%q grows to %q", title, got)
		}
	})
}
