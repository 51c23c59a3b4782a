#include "kernels.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// share is thread t's fixed part of n.
static int64_t share(int64_t n, int t, int threads) { return n * t / threads; }

VECTOR_CLONES static void rms_norm_rows(const float *x, const float *w, float epsilon, int64_t from, int64_t to, int64_t d,
                                        float *rstd, float *out) {
  for (int64_t i = from; i < to; i++) {
    const float *row = x + i * d;
    float *y = out + i * d, sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < d; j++) sum += row[j] * row[j];
    float scale = 1 / sqrtf(sum / d + epsilon);
    if (rstd) rstd[i] = scale;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) y[j] = row[j] * scale * w[j];
  }
}

// rms_norm: out = w · x / √(mean x² + epsilon), rstd (may be null) the factor of each row.
void rms_norm(const float *x, const float *w, float epsilon, int64_t rows, int64_t d, float *rstd, float *out) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    rms_norm_rows(x, w, epsilon, share(rows, t, threads), share(rows, t + 1, threads), d, rstd, out);
  }
}

VECTOR_CLONES static void rms_norm_backward_rows(const float *grad_out, const float *x, const float *w, const float *rstd,
                                                 int64_t from, int64_t to, int64_t d, float *grad) {
  for (int64_t i = from; i < to; i++) {
    const float *g = grad_out + i * d, *row = x + i * d;
    float *out = grad + i * d, slope = 0, scale = rstd[i];
#pragma omp simd reduction(+ : slope)
    for (int64_t j = 0; j < d; j++) slope += g[j] * w[j] * row[j];
    slope *= scale * scale / d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) out[j] += scale * (g[j] * w[j] - row[j] * slope);
  }
}

// rms_norm_backward adds the gradient of rms_norm's x to grad.
void rms_norm_backward(const float *grad_out, const float *x, const float *w, const float *rstd, int64_t rows, int64_t d,
                       float *grad) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    rms_norm_backward_rows(grad_out, x, w, rstd, share(rows, t, threads), share(rows, t + 1, threads), d, grad);
  }
}

VECTOR_CLONES static void head_norm_rows(float *x, int64_t stride, const float *w, float epsilon, int64_t from, int64_t to,
                                         int64_t heads, int64_t dim, float *before) {
  for (int64_t i = from; i < to; i++)
    for (int64_t h = 0; h < heads; h++) {
      float *y = x + i * stride + h * dim, *kept = before + (i * heads + h) * dim, sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < dim; j++) {
        kept[j] = y[j];
        sum += y[j] * y[j];
      }
      float scale = 1 / sqrtf(sum / dim + epsilon);
#pragma omp simd
      for (int64_t j = 0; j < dim; j++) y[j] *= scale * w[j];
    }
}

// head_norm normalises every head of x in place (Qwen 3) and keeps what was there before [rows, heads, dim].
void head_norm(float *x, int64_t stride, const float *w, float epsilon, int64_t rows, int64_t heads, int64_t dim, float *before) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    head_norm_rows(x, stride, w, epsilon, share(rows, t, threads), share(rows, t + 1, threads), heads, dim, before);
  }
}

VECTOR_CLONES static void head_norm_backward_rows(float *grad, int64_t stride, const float *before, const float *w,
                                                  float epsilon, int64_t from, int64_t to, int64_t heads, int64_t dim) {
  for (int64_t i = from; i < to; i++)
    for (int64_t h = 0; h < heads; h++) {
      float *g = grad + i * stride + h * dim, sum = 0, slope = 0;
      const float *x = before + (i * heads + h) * dim;
#pragma omp simd reduction(+ : sum, slope)
      for (int64_t j = 0; j < dim; j++) {
        sum += x[j] * x[j];
        slope += g[j] * w[j] * x[j];
      }
      float scale = 1 / sqrtf(sum / dim + epsilon);
      slope *= scale * scale / dim;
#pragma omp simd
      for (int64_t j = 0; j < dim; j++) g[j] = scale * (g[j] * w[j] - x[j] * slope);
    }
}

// head_norm_backward turns the gradient of head_norm's output into that of its input, in place.
void head_norm_backward(float *grad, int64_t stride, const float *before, const float *w, float epsilon, int64_t rows,
                        int64_t heads, int64_t dim) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    head_norm_backward_rows(grad, stride, before, w, epsilon, share(rows, t, threads), share(rows, t + 1, threads), heads, dim);
  }
}

// add_bias adds bias [d] to the first d elements of every row.
void add_bias(float *x, int64_t stride, const float *bias, int64_t rows, int64_t d) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++)
#pragma omp simd
    for (int64_t j = 0; j < d; j++) x[i * stride + j] += bias[j];
}

VECTOR_CLONES static void rotate_rows(float *x, int64_t stride, const int32_t *positions, const float *cosines,
                                      const float *sines, int64_t from, int64_t to, int64_t heads, int64_t dim, float sign) {
  int64_t half = dim / 2;
  for (int64_t i = from; i < to; i++) {
    const float *c = cosines + positions[i] * half, *s = sines + positions[i] * half;
    for (int64_t h = 0; h < heads; h++) {
      float *a = x + i * stride + h * dim, *b = a + half;
#pragma omp simd
      for (int64_t j = 0; j < half; j++) {
        float first = a[j] * c[j] - sign * b[j] * s[j], second = b[j] * c[j] + sign * a[j] * s[j];
        a[j] = first;
        b[j] = second;
      }
    }
  }
}

// rotate applies rotary position embeddings (element j pairs with j + dim/2) to heads heads of every row in place; sign -1
// undoes it, which is also its backward. cosines and sines are [positions, dim/2].
void rotate(float *x, int64_t stride, const int32_t *positions, const float *cosines, const float *sines, int64_t rows,
            int64_t heads, int64_t dim, float sign) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    rotate_rows(x, stride, positions, cosines, sines, share(rows, t, threads), share(rows, t + 1, threads), heads, dim, sign);
  }
}

INLINE float sigmoid(float x) {
  float power = x > -87.0f ? -x : 87.0f;
  return 1 / (1 + fast_exp(power));
}

VECTOR_CLONES static void swiglu_rows(const float *gate_up, int64_t from, int64_t to, int64_t d, float *out) {
  for (int64_t i = from; i < to; i++) {
    const float *gate = gate_up + i * 2 * d, *up = gate + d;
    float *y = out + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) y[j] = gate[j] * sigmoid(gate[j]) * up[j];
  }
}

// swiglu: out [rows, d] = silu(gate) · up of gate_up [rows, (gate | up) × d].
void swiglu(const float *gate_up, int64_t rows, int64_t d, float *out) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    swiglu_rows(gate_up, share(rows, t, threads), share(rows, t + 1, threads), d, out);
  }
}

VECTOR_CLONES static void swiglu_backward_rows(float *gate_up, const float *grad, int64_t from, int64_t to, int64_t d) {
  for (int64_t i = from; i < to; i++) {
    float *gate = gate_up + i * 2 * d, *up = gate + d;
    const float *g = grad + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) {
      float s = sigmoid(gate[j]), silu = gate[j] * s;
      gate[j] = g[j] * up[j] * (s + silu * (1 - s));
      up[j] = g[j] * silu;
    }
  }
}

// swiglu_backward replaces gate and up by their gradients.
void swiglu_backward(float *gate_up, const float *grad, int64_t rows, int64_t d) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    swiglu_backward_rows(gate_up, grad, share(rows, t, threads), share(rows, t + 1, threads), d);
  }
}

// gather_rows copies the first d elements of the named rows of x to out [rows, d].
void gather_rows(const float *x, int64_t stride, const int32_t *index, int64_t rows, int64_t d, float *out) {
  for (int64_t i = 0; i < rows; i++) memcpy(out + i * d, x + index[i] * stride, d * sizeof(float));
}

// scatter_rows adds row i of x [rows, d] to row index[i] of out [*, d].
void scatter_rows(const float *x, const int32_t *index, int64_t rows, int64_t d, float *out) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < d; j++) out[index[i] * d + j] += x[i * d + j];
}

// letter_loss turns logits [rows, cols] in place into the gradient of scale × Σ cross-entropy, the softmax of row i over its
// first counts[i] columns, and returns Σ cross-entropy.
double letter_loss(float *logits, const int32_t *labels, const int32_t *counts, int64_t rows, int64_t cols, float scale) {
  double loss = 0;
  for (int64_t i = 0; i < rows; i++) {
    float *row = logits + i * cols, high = -INFINITY;
    double sum = 0;
    for (int64_t j = 0; j < counts[i]; j++) high = row[j] > high ? row[j] : high;
    float label = row[labels[i]];
    for (int64_t j = 0; j < counts[i]; j++) sum += exp(row[j] - high);
    loss += log(sum) + high - label;
    for (int64_t j = 0; j < counts[i]; j++) row[j] = (float)(scale * (exp(row[j] - high) / sum - (j == labels[i])));
    for (int64_t j = counts[i]; j < cols; j++) row[j] = 0;
  }
  return loss;
}
