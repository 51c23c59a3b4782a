package prompt

import (
	"math/bits"
	"math/rand/v2"
)

// Shuffle is a permutation of n by seed, user and round: order[i] is the candidate that stands at letter i. It is the
// same for ever: Fisher and Yates' shuffle from the end, with the upper 64 bits of PCG-DXSM × (i+1), where the PCG is
// seeded with the seed and with user·2³² + round.
func Shuffle(n int, seed int64, user int32, round int) []int {
	random := rand.NewPCG(uint64(seed), uint64(uint32(user))<<32|uint64(uint32(round)))
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j, _ := bits.Mul64(random.Uint64(), uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}
