// Small matrix products inside attention, where a call to a library for each block would cost more than the block. A tile of
// four rows is held in registers: 4 × 64 columns with AVX-512, 4 × 16 without.
#ifndef MLLM4REC_LORA_TILE_H
#define MLLM4REC_LORA_TILE_H

#include <stdint.h>

typedef float v16 __attribute__((vector_size(64)));
typedef float v16_unaligned __attribute__((vector_size(64), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

// tile makes c[4, 16·vectors] (+)= a·b with a[i, k] at a[i·row + k·step] and b[k, j] at b[k·ldb + j].
INLINE void tile(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *c, int64_t ldc, int64_t depth,
                 const int vectors, int add) {
  v16 sum[4][4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) sum[i][j] = add ? (v16) * (const v16_unaligned *)(c + i * ldc + 16 * j) : (v16){0};
  for (int64_t k = 0; k < depth; k++) {
    v16 right[4];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) right[j] = *(const v16_unaligned *)(b + k * ldb + 16 * j);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      float left = a[i * row + k * step];
#pragma GCC unroll 4
      for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) *(v16_unaligned *)(c + i * ldc + 16 * j) = sum[i][j];
}

// multiply does the same for rows (a multiple of 4) and cols (a multiple of 16). widest is the vectors of a tile.
INLINE void multiply(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *c, int64_t ldc, int64_t rows,
                     int64_t cols, int64_t depth, const int widest, int add) {
  int64_t j = 0;
  if (widest == 4) {
    for (; j + 64 <= cols; j += 64)
      for (int64_t i = 0; i < rows; i += 4) tile(a + i * row, row, step, b + j, ldb, c + i * ldc + j, ldc, depth, 4, add);
    if (j + 32 <= cols) {
      for (int64_t i = 0; i < rows; i += 4) tile(a + i * row, row, step, b + j, ldb, c + i * ldc + j, ldc, depth, 2, add);
      j += 32;
    }
  }
  for (; j < cols; j += 16)
    for (int64_t i = 0; i < rows; i += 4) tile(a + i * row, row, step, b + j, ldb, c + i * ldc + j, ldc, depth, 1, add);
}

#endif
