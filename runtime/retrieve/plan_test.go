package retrieve

import "testing"

func TestPaddingIsSmallAndShapesAreFew(t *testing.T) {
	t.Parallel()
	shapes := map[int]bool{}
	for n := 1; n <= 4096; n++ {
		padded := paddedLength(n)
		shapes[padded] = true
		if padded < n || padded%8 != 0 || padded > n+max(7, n/4) {
			t.Fatalf("%d is padded to %d", n, padded)
		}
	}
	if len(shapes) > 40 {
		t.Errorf("%d shapes up to 4096", len(shapes))
	}
}
