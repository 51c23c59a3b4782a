#include "kernels.h"

#include <omp.h>
#include <stdlib.h>

static int64_t share(int64_t n, int t, int threads) { return n * t / threads; }

enum { CHUNK = 256 }; // columns that stay in the first-level cache

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
      for (int64_t k = 0; k < rank; k++) {
        const float *w = a + k * d + c;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < n; j++) sum += row[j] * w[j];
        u[i * rank + k] += scale * sum;
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
      for (int64_t k = 0; k < rank; k++) {
        float left = scale * u[i * rank + k];
        const float *w = b + k * d + c;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) sum[j] += left * w[j];
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
  float kept[CHUNK];
  for (int64_t c = from; c < to; c += CHUNK) {
    int64_t n = to - c < CHUNK ? to - c : CHUNK;
    for (int64_t i = 0; i < rows; i++) {
      const float *row = x + i * stride + c;
      if (drop.threshold) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) kept[j] = row[j] * dropout_factor(drop, (uint32_t)(i * d + c + j));
        row = kept;
      }
      for (int64_t k = 0; k < rank; k++) {
        float left = scale * u[i * rank + k], *g = grad + k * d + c;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) g[j] += left * row[j];
      }
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
