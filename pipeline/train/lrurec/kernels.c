#include "kernels.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static const float epsilon = 1e-5f; // of every layer norm

// share is thread t's fixed part of n.
static int64_t share(int64_t n, int t, int threads) { return n * t / threads; }

// normalise turns one row of x into its normal form and the affine output, and returns 1/deviation.
static inline __attribute__((always_inline)) float normalise(float *normal, float *out, const float *w, const float *b,
                                                             int64_t d) {
  float mean = 0, variance = 0;
#pragma omp simd reduction(+ : mean)
  for (int64_t j = 0; j < d; j++) mean += normal[j];
  mean /= d;
#pragma omp simd reduction(+ : variance)
  for (int64_t j = 0; j < d; j++) variance += (normal[j] - mean) * (normal[j] - mean);
  float rstd = 1 / sqrtf(variance / d + epsilon);
#pragma omp simd
  for (int64_t j = 0; j < d; j++) {
    normal[j] = (normal[j] - mean) * rstd;
    out[j] = normal[j] * w[j] + b[j];
  }
  return rstd;
}

VECTOR_CLONES static void embed_norm_rows(const float *table, const int32_t *items, int64_t from, int64_t to, int64_t d,
                                          dropout drop, const float *w, const float *b, float *normal, float *rstd,
                                          float *out) {
  for (int64_t i = from; i < to; i++) {
    const float *e = table + items[i] * d;
    float *n = normal + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) n[j] = e[j] * dropout_factor(drop, (uint32_t)(i * d + j));
    rstd[i] = normalise(n, out + i * d, w, b, d);
  }
}

// embed_norm: out = LayerNorm(dropout(table[items])).
void embed_norm(const float *table, const int32_t *items, int64_t rows, int64_t d, dropout drop, const float *w,
                const float *b, float *normal, float *rstd, float *out) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    embed_norm_rows(table, items, share(rows, t, threads), share(rows, t + 1, threads), d, drop, w, b, normal, rstd, out);
  }
}

VECTOR_CLONES static void residual_norm_rows(const float *branch, const float *x, int64_t from, int64_t to, int64_t d,
                                             dropout drop, const float *w, const float *b, float *normal, float *rstd,
                                             float *out) {
  for (int64_t i = from; i < to; i++) {
    const float *y = branch + i * d, *r = x + i * d;
    float *n = normal + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) n[j] = r[j] + y[j] * dropout_factor(drop, (uint32_t)(i * d + j));
    rstd[i] = normalise(n, out + i * d, w, b, d);
  }
}

// residual_norm: out = LayerNorm(x + dropout(branch)).
void residual_norm(const float *branch, const float *x, int64_t rows, int64_t d, dropout drop, const float *w,
                   const float *b, float *normal, float *rstd, float *out) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    residual_norm_rows(branch, x, share(rows, t, threads), share(rows, t + 1, threads), d, drop, w, b, normal, rstd, out);
  }
}

VECTOR_CLONES static void norm_backward_rows(const float *grad_out, const float *normal, const float *rstd, const float *w,
                                             int64_t from, int64_t to, int64_t d, dropout drop, float *grad_x,
                                             float *grad_branch, float *restrict gw, float *restrict gb,
                                             float *restrict gbias) {
  for (int64_t i = from; i < to; i++) {
    const float *g = grad_out + i * d, *n = normal + i * d;
    float *x = grad_x + i * d, *y = grad_branch + i * d;
    float mean = 0, slope = 0;
#pragma omp simd reduction(+ : mean, slope)
    for (int64_t j = 0; j < d; j++) {
      mean += g[j] * w[j];
      slope += g[j] * w[j] * n[j];
    }
    mean /= d, slope /= d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) {
      gw[j] += g[j] * n[j];
      gb[j] += g[j];
      float s = rstd[i] * (g[j] * w[j] - mean - n[j] * slope);
      float kept = s * dropout_factor(drop, (uint32_t)(i * d + j));
      x[j] = s;
      y[j] = kept;
      gbias[j] += kept;
    }
  }
}

// norm_backward undoes residual_norm: grad_x and grad_branch (which may be the same memory: then the branch's) get the
// gradients of its inputs; those of w, b and of a bias inside branch are added up. d is at most 8192.
void norm_backward(const float *grad_out, const float *normal, const float *rstd, const float *w, int64_t rows, int64_t d,
                   dropout drop, float *grad_x, float *grad_branch, float *grad_w, float *grad_b, float *grad_bias) {
  static float part[MAX_THREADS][3 * 8192];
  int used = 1;
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    if (t == 0) used = threads;
    memset(part[t], 0, 3 * d * sizeof(float));
    norm_backward_rows(grad_out, normal, rstd, w, share(rows, t, threads), share(rows, t + 1, threads), d, drop, grad_x,
                       grad_branch, part[t], part[t] + d, part[t] + 2 * d);
  }
  for (int t = 0; t < used; t++)
    for (int64_t j = 0; j < d; j++) {
      grad_w[j] += part[t][j];
      grad_b[j] += part[t][d + j];
      if (grad_bias) grad_bias[j] += part[t][2 * d + j];
    }
}

VECTOR_CLONES static void embed_backward_rows(const float *grad, const int32_t *slots, int64_t rows, int64_t d, float *table) {
  for (int64_t i = 0; i < rows; i++) {
    float *e = table + slots[i] * d;
    const float *g = grad + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) e[j] += g[j];
  }
}

// embed_backward adds row i of grad to row slots[i] of grad_table. One thread: rows repeat.
void embed_backward(const float *grad, const int32_t *slots, int64_t rows, int64_t d, float *grad_table) {
  embed_backward_rows(grad, slots, rows, d, grad_table);
}

VECTOR_CLONES static void scan_channels(float *h, const int32_t *starts, int64_t sequences, int64_t channels, int64_t from,
                                        int64_t to, const float *lambda) {
  const float *lre = lambda, *lim = lambda + channels;
  for (int64_t s = 0; s < sequences; s++)
    for (int64_t i = starts[s] + 1; i < starts[s + 1]; i++) {
      float *re = h + i * 2 * channels, *im = re + channels;
      const float *pre = re - 2 * channels, *pim = im - 2 * channels;
#pragma omp simd
      for (int64_t c = from; c < to; c++) {
        re[c] += lre[c] * pre[c] - lim[c] * pim[c];
        im[c] += lre[c] * pim[c] + lim[c] * pre[c];
      }
    }
}

// scan runs h_t = λ h_{t-1} + x_t in place within every sequence: rows starts[s] … starts[s+1]-1 of h
// [rows, (real | imaginary) × channels]. Threads share the channels.
void scan(float *h, const int32_t *starts, int64_t sequences, int64_t channels, const float *lambda) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    scan_channels(h, starts, sequences, channels, share(channels, t, threads), share(channels, t + 1, threads), lambda);
  }
}

VECTOR_CLONES static void scan_backward_channels(float *grad, const float *h, const int32_t *starts, int64_t sequences,
                                                 int64_t channels, int64_t from, int64_t to, const float *lambda,
                                                 float *restrict grad_lambda) {
  const float *lre = lambda, *lim = lambda + channels;
  float *sre = grad_lambda, *sim = grad_lambda + channels;
  for (int64_t s = 0; s < sequences; s++)
    for (int64_t i = starts[s + 1] - 1; i > starts[s]; i--) {
      const float *gre = grad + i * 2 * channels, *gim = gre + channels;
      const float *pre = h + (i - 1) * 2 * channels, *pim = pre + channels;
      float *bre = grad + (i - 1) * 2 * channels, *bim = bre + channels;
#pragma omp simd
      for (int64_t c = from; c < to; c++) {
        sre[c] += gre[c] * pre[c] + gim[c] * pim[c];
        sim[c] += gim[c] * pre[c] - gre[c] * pim[c];
        bre[c] += lre[c] * gre[c] + lim[c] * gim[c];
        bim[c] += lre[c] * gim[c] - lim[c] * gre[c];
      }
    }
}

// scan_backward turns the gradient of scan's output into that of its input in place (g_t += conj(λ) g_{t+1}) and adds
// Σ g_t conj(h_{t-1}) to grad_lambda.
void scan_backward(float *grad, const float *h, const int32_t *starts, int64_t sequences, int64_t channels,
                   const float *lambda, float *grad_lambda) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    scan_backward_channels(grad, h, starts, sequences, channels, share(channels, t, threads),
                           share(channels, t + 1, threads), lambda, grad_lambda);
  }
}

VECTOR_CLONES static void column_sums_part(const float *x, int64_t rows, int64_t cols, int64_t from, int64_t to,
                                           float *restrict sums) {
  for (int64_t i = 0; i < rows; i++) {
    const float *row = x + i * cols;
#pragma omp simd
    for (int64_t j = from; j < to; j++) sums[j] += row[j];
  }
}

// column_sums adds up the rows of x [rows, cols] into sums.
void column_sums(const float *x, int64_t rows, int64_t cols, float *sums) {
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    column_sums_part(x, rows, cols, share(cols, t, threads), share(cols, t + 1, threads), sums);
  }
}

VECTOR_CLONES static double softmax_loss_rows(float *logits, const int32_t *labels, int64_t from, int64_t to, int64_t cols,
                                              const float *bias, float scale, float *restrict grad_bias) {
  double loss = 0;
  for (int64_t i = from; i < to; i++) {
    float *row = logits + i * cols;
    float high = -INFINITY, sum = 0;
#pragma omp simd reduction(max : high)
    for (int64_t j = 0; j < cols; j++) {
      row[j] += bias[j];
      high = row[j] > high ? row[j] : high;
    }
    float label = row[labels[i]];
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < cols; j++) {
      row[j] = fast_exp(row[j] - high);
      sum += row[j];
    }
    loss += logf(sum) + high - label;
    float factor = scale / sum;
    row[labels[i]] -= sum;
#pragma omp simd
    for (int64_t j = 0; j < cols; j++) {
      row[j] *= factor;
      grad_bias[j] += row[j];
    }
  }
  return loss;
}

// softmax_loss turns logits [rows, cols] in place into the gradient of scale × Σ cross-entropy(logits + bias, labels) and
// returns Σ cross-entropy. grad_bias [threads, cols] collects the column sums, a row for each thread.
double softmax_loss(float *logits, const int32_t *labels, int64_t rows, int64_t cols, const float *bias, float scale,
                    float *grad_bias) {
  double part[MAX_THREADS] = {0}, loss = 0;
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    part[t] = softmax_loss_rows(logits, labels, share(rows, t, threads), share(rows, t + 1, threads), cols, bias, scale,
                                grad_bias + t * cols);
  }
  for (int t = 0; t < MAX_THREADS; t++) loss += part[t];
  return loss;
}
