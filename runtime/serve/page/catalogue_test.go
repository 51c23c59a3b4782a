package page_test

import (
	"strconv"
	"strings"

	"mllm4rec/runtime/serve"
)

// movies are the most watched films of MovieLens 100K: title, interactions, genres.
const movies = `
Star Wars (1977)|583|Action,Adventure,Romance,Sci-Fi,War
Contact (1997)|509|Drama,Sci-Fi
Fargo (1996)|508|Crime,Drama,Thriller
Return of the Jedi (1983)|507|Action,Adventure,Romance,Sci-Fi,War
Liar Liar (1997)|485|Comedy
The English Patient (1996)|481|Drama,Romance,War
Scream (1996)|478|Horror,Thriller
Toy Story (1995)|452|Animation,Children's,Comedy
Air Force One (1997)|431|Action,Thriller
Independence Day (1996)|429|Action,Sci-Fi,War
Raiders of the Lost Ark (1981)|420|Action,Adventure
The Godfather (1972)|413|Action,Crime,Drama
Pulp Fiction (1994)|394|Crime,Drama
Twelve Monkeys (1995)|392|Drama,Sci-Fi
The Silence of the Lambs (1991)|390|Drama,Thriller
Jerry Maguire (1996)|384|Drama,Romance
The Rock (1996)|378|Action,Adventure,Thriller
The Empire Strikes Back (1980)|367|Action,Adventure,Drama,Romance,Sci-Fi,War
Star Trek: First Contact (1996)|365|Action,Adventure,Sci-Fi
Back to the Future (1985)|350|Comedy,Sci-Fi
Titanic (1997)|350|Action,Drama,Romance
Mission: Impossible (1996)|344|Action,Adventure,Mystery
The Fugitive (1993)|336|Action,Thriller
Indiana Jones and the Last Crusade (1989)|331|Action,Adventure
Willy Wonka and the Chocolate Factory (1971)|326|Adventure,Children's,Comedy
The Princess Bride (1987)|324|Action,Adventure,Comedy,Romance
Forrest Gump (1994)|321|Comedy,Romance,War
Monty Python and the Holy Grail (1974)|316|Comedy
The Saint (1997)|316|Action,Romance,Thriller
The Full Monty (1997)|315|Comedy
Men in Black (1997)|303|Action,Adventure,Comedy,Sci-Fi
The Terminator (1984)|301|Action,Sci-Fi,Thriller
E.T. the Extra-Terrestrial (1982)|300|Children's,Drama,Fantasy,Sci-Fi
Dead Man Walking (1995)|299|Drama
Leaving Las Vegas (1995)|298|Drama,Romance
Schindler's List (1993)|298|Drama,War
Braveheart (1995)|297|Action,Drama,War
L.A. Confidential (1997)|297|Crime,Film-Noir,Mystery,Thriller
Terminator 2: Judgment Day (1991)|295|Action,Sci-Fi,Thriller
Conspiracy Theory (1997)|295|Action,Mystery,Romance,Thriller
Mr. Holland's Opus (1995)|293|Drama
The Birdcage (1996)|293|Comedy
Twister (1996)|293|Action,Adventure,Thriller
Alien (1979)|291|Action,Horror,Sci-Fi,Thriller
When Harry Met Sally... (1989)|290|Comedy,Romance
Aliens (1986)|284|Action,Sci-Fi,Thriller,War
`

// movieItems are the films as a catalogue without pictures.
func movieItems() []serve.Item {
	var items []serve.Item
	for line := range strings.Lines(strings.TrimSpace(movies)) {
		part := strings.Split(strings.TrimSpace(line), "|")
		popularity, _ := strconv.Atoi(part[1])
		id := len(items) + 1
		items = append(items, serve.Item{ItemID: int32(id), SourceID: "m" + strconv.Itoa(id), Title: part[0],
			Popularity: popularity, Categories: strings.Split(part[2], ",")})
	}
	return items
}

// Titles that pages break on.
const (
	markup = `<img src=x onerror="console.error('the title ran')"> & <b>bold</b>`
	hebrew = `סדרת "חמאת שיאה" (קרם גוף) 200 ml`
	long   = `Supercalifragilisticexpialidocious-Moisturising-Day-And-Night-Cream-For-Very-Dry-Skin-With-Argan-Oil, Aloe Vera, ` +
		`Hyaluronic Acid, Vitamin C and E, Retinol, Green Tea, Fragrance Free, Paraben Free, Not Tested on Animals, 1.7 fl oz (Pack of 3)`
)

// shopItems are a catalogue with pictures and captions, and with titles that pages break on.
func shopItems() []serve.Item {
	titles := []string{markup, hebrew, long, "Rose Water Facial Toner", "Wide Tooth Comb", "Matte Lipstick, Brick", "Nail File Set",
		"Shea Butter Hand Cream", "Charcoal Soap Bar", "Beard Oil, Cedar", "Bamboo Cotton Swabs", "Hair Clips, 12 Pieces",
		"Sunscreen SPF 50", "Eyelash Curler", "Clay Mask", "Lavender Bath Salt", "Travel Mirror", "Tinted Lip Balm", "Foot Scrub",
		"Silk Pillowcase", "Micellar Water", "Cuticle Pusher", "Dry Shampoo", "Body Brush"}
	var items []serve.Item
	for i, title := range titles {
		item := serve.Item{ItemID: int32(i + 1), SourceID: "B00" + strconv.Itoa(100+i), Title: title, Popularity: 90 - 3*i}
		if i%6 != 5 {
			item.HasPicture, item.Caption = true, "a photo of "+strings.ToLower(strings.Split(title, ",")[0])
		}
		items = append(items, item)
	}
	return items
}
