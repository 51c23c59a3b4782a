// Small matrix products inside attention, where a call to a library for each block would cost more than the block. A tile of
// four rows is held in registers: 4 × 64 columns with AVX-512, 4 × 16 with AVX2, 4 × 8 without. Its vectors are as wide as the
// machine's: of wider ones GCC keeps the sums in memory.
#ifndef MLLM4REC_LORA_TILE_H
#define MLLM4REC_LORA_TILE_H

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

// VECTOR defines vectors of W floats.
#define VECTOR(W)                                                                                                          \
  typedef float vector_##W __attribute__((vector_size(4 * W)));                                                           \
  typedef float unaligned_##W __attribute__((vector_size(4 * W), aligned(4), may_alias));                                 \
  typedef int32_t mask_##W __attribute__((vector_size(4 * W)));
VECTOR(4)
VECTOR(8)
VECTOR(16)

static const mask_4 lanes_4 = {0, 1, 2, 3};
static const mask_8 lanes_8 = {0, 1, 2, 3, 4, 5, 6, 7};
static const mask_16 lanes_16 = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// TILE defines tile_W for vectors of W floats: c[4, W·vectors] (+)= a·b with a[i, k] at a[i·row + k·step] and b[k, j] at
// b[k·ldb + j].
#define TILE(W)                                                                                                           \
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

// SOFTMAX defines softmax_W: a row of scores becomes e^(scale·score - offset) over first … last and zero elsewhere; it returns
// the sum. from and to are multiples of 16. The exponential is fast_exp (../torch/vector.h), written with masks: GCC makes
// branches of its conditions here and gives up.
#define SOFTMAX(W)                                                                                                        \
  INLINE float softmax_##W(float *row, int64_t from, int64_t first, int64_t last, int64_t to, float scale, float offset) { \
    vector_##W sum = {0};                                                                                                 \
    for (int64_t at = from; at < to; at += W) {                                                                           \
      vector_##W x = *(const unaligned_##W *)(row + at) * scale - offset;                                                 \
      mask_##W low = x < -87.0f, column = lanes_##W + (int32_t)at;                                                        \
      mask_##W none = low | (column < (int32_t)first) | (column > (int32_t)last);                                         \
      x = (vector_##W)(((mask_##W)x & ~low) | ((mask_##W)((vector_##W){0} - 87.0f) & low));                               \
      vector_##W shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;                                      \
      vector_##W r = x - n * 0.693145752f - n * 1.42860677e-6f;                                                           \
      vector_##W p = r * 0.00138888889f + 0.00833333333f;                                                                 \
      p = r * (r * (r * (r * p + 0.0416666667f) + 0.166666667f) + 0.5f) + 1.0f;                                           \
      p = r * p + 1.0f;                                                                                                   \
      p *= (vector_##W)(((mask_##W)shifted - (0x4B400000 - 127)) << 23);                                                  \
      p = (vector_##W)((mask_##W)p & ~none);                                                                              \
      *(unaligned_##W *)(row + at) = p;                                                                                   \
      sum += p;                                                                                                           \
    }                                                                                                                     \
    float total = 0;                                                                                                      \
    for (int i = 0; i < W; i++) total += sum[i];                                                                          \
    return total;                                                                                                         \
  }
SOFTMAX(4)
SOFTMAX(8)
SOFTMAX(16)

// multiply does what tile_W does for rows (a multiple of 4) and cols (a multiple of 16). lanes is the floats of the machine's vectors.
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
