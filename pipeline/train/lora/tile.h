// Small matrix products inside attention, where a call to a library for each block would cost more than the block. A tile of
// four rows is held in registers: 4 × 64 columns with AVX-512, 4 × 16 with AVX2, 4 × 8 without. Its vectors are as wide as the
// machine's: of wider ones GCC keeps the sums in memory.
#ifndef MLLM4REC_LORA_TILE_H
#define MLLM4REC_LORA_TILE_H

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

// TILE defines tile_W for vectors of W floats: c[4, W·vectors] (+)= a·b with a[i, k] at a[i·row + k·step] and b[k, j] at
// b[k·ldb + j].
#define TILE(W)                                                                                                           \
  typedef float vector_##W __attribute__((vector_size(4 * W)));                                                           \
  typedef float unaligned_##W __attribute__((vector_size(4 * W), aligned(4), may_alias));                                 \
  INLINE void tile_##W(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *c, int64_t ldc,     \
                       int64_t depth, const int vectors, int add) {                                                      \
    vector_##W sum[4][4];                                                                                                \
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)                                                                  \
      _Pragma("GCC unroll 4") for (int j = 0; j < vectors; j++)                                                          \
        sum[i][j] = add ? (vector_##W)*(const unaligned_##W *)(c + i * ldc + W * j) : (vector_##W){0};                   \
    for (int64_t k = 0; k < depth; k++) {                                                                                \
      vector_##W right[4];                                                                                               \
      _Pragma("GCC unroll 4") for (int j = 0; j < vectors; j++) right[j] = *(const unaligned_##W *)(b + k * ldb + W * j); \
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {                                                              \
        float left = a[i * row + k * step];                                                                              \
        _Pragma("GCC unroll 4") for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];                          \
      }                                                                                                                  \
    }                                                                                                                    \
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)                                                                  \
      _Pragma("GCC unroll 4") for (int j = 0; j < vectors; j++) *(unaligned_##W *)(c + i * ldc + W * j) = sum[i][j];     \
  }

TILE(4)
TILE(8)
TILE(16)

// multiply does what tile_W does for rows (a multiple of 4) and cols (a multiple of 16); lanes is the floats of a vector of
// the machine.
INLINE void multiply(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *c, int64_t ldc, int64_t rows,
                     int64_t cols, int64_t depth, const int lanes, int add) {
#define COLUMNS(W, vectors)                                                                                             \
  for (; j + W * vectors <= cols; j += W * vectors)                                                                     \
    for (int64_t i = 0; i < rows; i += 4) tile_##W(a + i * row, row, step, b + j, ldb, c + i * ldc + j, ldc, depth, vectors, add)
  int64_t j = 0;
  if (lanes == 16) {
    COLUMNS(16, 4);
    COLUMNS(16, 2);
    COLUMNS(16, 1);
  } else if (lanes == 8) {
    COLUMNS(8, 2);
  } else {
    COLUMNS(4, 2);
  }
#undef COLUMNS
}

#endif
