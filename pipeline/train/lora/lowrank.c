#include "kernels.h"

#include <omp.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))

static int64_t share(int64_t n, int t, int threads) { return n * t / threads; }

enum { CHUNK = 256 }; // columns that stay in the first-level cache

// four are rows k … k+3 of x; for those that are not there the first of them stands in.
INLINE void four(const float *x, int64_t k, int64_t rows, int64_t stride, const float **out) {
  for (int e = 0; e < 4; e++) out[e] = x + (k + e < rows ? k + e : k) * stride;
}

VECTOR_CLONES static void down_rows(const float *x, int64_t stride, int64_t from, int64_t to, int64_t d, dropout drop,
                                    const float *a, int64_t rank, float scale, float *u) {
  float kept[CHUNK];
  for (int64_t i = from; i < to; i++) {
    for (int64_t k = 0; k < rank; k++) u[i * rank + k] = 0;
    for (int64_t c = 0; c < d; c += CHUNK) {
      int64_t n = d - c < CHUNK ? d - c : CHUNK;
      const float *row = x + i * stride + c;
      if (drop.threshold) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) kept[j] = row[j] * dropout_factor(drop, (uint32_t)(i * d + c + j));
        row = kept;
      }
      for (int64_t k = 0; k < rank; k += 4) {
        const float *w[4];
        four(a + c, k, rank, d, w);
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
        for (int64_t j = 0; j < n; j++) {
          s0 += row[j] * w[0][j];
          s1 += row[j] * w[1][j];
          s2 += row[j] * w[2][j];
          s3 += row[j] * w[3][j];
        }
        float sums[4] = {s0, s1, s2, s3};
        for (int64_t e = k; e < rank && e < k + 4; e++) u[i * rank + e] += scale * sums[e - k];
      }
    }
  }
}

// lora_down: u [rows, rank] = scale · dropout(x) aᵀ with a [rank, d].
void lora_down(const float *x, int64_t stride, int64_t rows, int64_t d, dropout drop, const float *a, int64_t rank, float scale,
               float *u) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    down_rows(x, stride, share(rows, t, threads), share(rows, t + 1, threads), d, drop, a, rank, scale, u);
  }
}

VECTOR_CLONES static void up_rows(const float *u, int64_t from, int64_t to, int64_t rank, const float *b, int64_t d, float scale,
                                  dropout drop, float *y, int64_t stride) {
  float sum[CHUNK];
  for (int64_t i = from; i < to; i++)
    for (int64_t c = 0; c < d; c += CHUNK) {
      int64_t n = d - c < CHUNK ? d - c : CHUNK;
      float *row = y + i * stride + c;
      for (int64_t j = 0; j < n; j++) sum[j] = 0;
      for (int64_t k = 0; k < rank; k += 4) {
        const float *w[4];
        four(b + c, k, rank, d, w);
        float left[4] = {0};
        for (int64_t e = k; e < rank && e < k + 4; e++) left[e - k] = scale * u[i * rank + e];
#pragma omp simd
        for (int64_t j = 0; j < n; j++) sum[j] += left[0] * w[0][j] + left[1] * w[1][j] + left[2] * w[2][j] + left[3] * w[3][j];
      }
      if (drop.threshold) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) sum[j] *= dropout_factor(drop, (uint32_t)(i * d + c + j));
      }
#pragma omp simd
      for (int64_t j = 0; j < n; j++) row[j] += sum[j];
    }
}

// lora_up: y += dropout(scale · u b) with b [rank, d].
void lora_up(const float *u, int64_t rows, int64_t rank, const float *b, int64_t d, float scale, dropout drop, float *y,
             int64_t stride) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    up_rows(u, share(rows, t, threads), share(rows, t + 1, threads), rank, b, d, scale, drop, y, stride);
  }
}

VECTOR_CLONES static void outer_cols(const float *u, int64_t rows, int64_t rank, const float *x, int64_t stride, int64_t d,
                                     int64_t from, int64_t to, dropout drop, float scale, float *grad) {
  float kept[4][CHUNK];
  for (int64_t i = 0; i < rows; i += 4)
    for (int64_t c = from; c < to; c += CHUNK) {
      int64_t n = to - c < CHUNK ? to - c : CHUNK;
      const float *row[4];
      four(x + c, i, rows, stride, row);
      for (int64_t e = 0; e < 4 && drop.threshold; e++) {
        int64_t at = i + e < rows ? i + e : i;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) kept[e][j] = row[e][j] * dropout_factor(drop, (uint32_t)(at * d + c + j));
        row[e] = kept[e];
      }
      for (int64_t k = 0; k < rank; k++) {
        float left[4] = {0}, *g = grad + k * d + c;
        for (int64_t e = 0; e < 4 && i + e < rows; e++) left[e] = scale * u[(i + e) * rank + k];
#pragma omp simd
        for (int64_t j = 0; j < n; j++) g[j] += left[0] * row[0][j] + left[1] * row[1][j] + left[2] * row[2][j] + left[3] * row[3][j];
      }
    }
}

// lora_outer: grad [rank, d] += scale · uᵀ dropout(x). Threads share the columns.
void lora_outer(const float *u, int64_t rows, int64_t rank, const float *x, int64_t stride, int64_t d, dropout drop, float scale,
                float *grad) {
  int64_t lines = (d + 15) / 16;
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t from = 16 * share(lines, t, threads), to = 16 * share(lines, t + 1, threads);
    outer_cols(u, rows, rank, x, stride, d, from, to < d ? to : d, drop, scale, grad);
  }
}
