package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"

	"mllm4rec/internal/atomicfile"
)

// once writes a file unless it is there from an earlier run.
func once(path string, write func(w io.Writer) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return atomicfile.Write(path, func(f io.Writer) error {
		w := bufio.NewWriterSize(f, 1<<20)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	})
}

// writeLog writes n ratings as ratings_X.csv of Amazon 2014 has them: ten a user on average, items by a power law, in
// no order. It takes the same time for every row.
func writeLog(w io.Writer, n int) error {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	users, items := float64(n/10), float64(n/50)
	for range n {
		user := int(r.Float64() * users)
		item := int(items * math.Pow(r.Float64(), 2.5))
		_, err := fmt.Fprintf(w, "A%013d,B%09d,%d.0,%d\n", user*7_777_777, item*7_777, 1+r.IntN(5), 1_000_000_000+r.IntN(400_000_000))
		if err != nil {
			return err
		}
	}
	return nil
}

var vocabulary = strings.Fields(`the a for with and of in skin hair cream oil natural organic soft gentle daily care moisture repair
	color lasting brush set pack ounce bottle travel size vitamin face body hand nail lip eye shadow liner powder mineral
	fragrance free sensitive dry normal women men kids professional salon quality luxury beauty health Neutrogena L'Oreal
	Olay Maybelline Revlon Dove 100% SPF-30 "best" it's you'll`)

func words(r *rand.Rand, n int) string {
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = vocabulary[r.IntN(len(vocabulary))]
	}
	return strings.Join(chosen, " ")
}

// literal writes a text as Python's repr does.
func literal(text string) string {
	quote := "'"
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		quote = `"`
	}
	text = strings.ReplaceAll(text, `\`, `\\`)
	if quote == "'" {
		text = strings.ReplaceAll(text, "'", `\'`)
	}
	return quote + text + quote
}

// asins is a Python list of up to most ids.
func asins(r *rand.Rand, most int) string {
	ids := make([]string, r.IntN(most+1))
	for i := range ids {
		ids[i] = fmt.Sprintf("'B%09X'", r.IntN(1<<32))
	}
	return "[" + strings.Join(ids, ", ") + "]"
}

// writeMetadata writes n lines shaped like those of meta_Beauty.json.gz of Amazon 2014.
func writeMetadata(out io.Writer, n int, zipped bool) error {
	if zipped {
		w := gzip.NewWriter(out)
		return errors.Join(writeMetadata(w, n, false), w.Close())
	}
	r := rand.New(rand.NewPCG(2, uint64(n)))
	for i := range n {
		related := fmt.Sprintf("{'also_bought': %s, 'also_viewed': %s, 'bought_together': %s}", asins(r, 80), asins(r, 40), asins(r, 3))
		_, err := fmt.Fprintf(out, "{'asin': 'B%09d', 'description': %s, 'title': %s, 'price': %d.%02d, 'imUrl': 'http://ecx.images-amazon.com/images/I/%010X.jpg', "+
			"'related': %s, 'salesRank': {'Beauty': %d}, 'brand': %s, 'categories': [['Beauty', %s, %s]]}\n",
			i, literal(words(r, 20+r.IntN(120))), literal(words(r, 4+r.IntN(12))), r.IntN(90), r.IntN(100), r.IntN(1<<40),
			related, r.IntN(1_000_000), literal(words(r, 1)), literal(words(r, 2)), literal(words(r, 2)))
		if err != nil {
			return err
		}
	}
	return nil
}
