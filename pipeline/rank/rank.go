// Package rank is the stage that ranks: the candidates and the language model flow in; rankings.parquet, fused.parquet and
// fusion.json flow out.
package rank
