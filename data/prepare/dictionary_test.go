package prepare

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDictionaryNumbersTextsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, want := newDictionary(), map[string]uint32{}
		for range rapid.IntRange(0, 30).Draw(t, "batches") {
			var batch [][]byte
			for _, text := range rapid.SliceOfN(rapid.StringN(0, 3, -1), 0, 100).Draw(t, "texts") {
				batch = append(batch, []byte(text))
			}
			numbers := make([]uint32, len(batch))
			d.addAll(batch, numbers)
			for i, text := range batch {
				n, ok := want[string(text)]
				if !ok {
					n = uint32(len(want))
					want[string(text)] = n
				}
				if numbers[i] != n {
					t.Fatalf("%q is %d, want %d", text, numbers[i], n)
				}
			}
		}
		for text, n := range want {
			if got, ok := d.lookup([]byte(text)); !ok || got != n || string(d.at(n)) != text {
				t.Fatalf("%q is %d, want %d", text, got, n)
			}
		}
		if d.len() != len(want) {
			t.Fatalf("%d texts, want %d", d.len(), len(want))
		}
	})
}

func TestWholeNumbersAreComparedAsNumbers(t *testing.T) {
	t.Parallel()
	whole := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + rapid.StringMatching(`[0-9]{1,3}|0{0,2}[0-9]{19,25}`).Draw(t, "digits")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := whole.Draw(t, "a"), whole.Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		got := compareWhole([]byte(a), []byte(b))
		if want := x.Cmp(y); want != 0 && (got < 0) != (want < 0) || a == b && got != 0 || a != b && got == 0 {
			t.Fatalf("%s and %s: %d, want %d", a, b, got, want)
		}
	})
}

func TestOneWordMakesTheOrderBytewise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		texts, want []string
	}{
		{"numbers", []string{"10", "9", "2"}, []string{"2", "9", "10"}},
		{"words", []string{"10", "9", "2", "a"}, []string{"10", "2", "9", "a"}},
		{"words that are not kept", []string{"10", "9", "2", "drop"}, []string{"2", "9", "10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDictionary()
			for _, text := range c.texts {
				d.add([]byte(text), d.hash([]byte(text)))
			}
			var got []string
			for _, n := range d.order(func(n uint32) bool { return string(d.at(n)) != "drop" }) {
				got = append(got, string(d.at(n)))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
