// The losses over shared negatives, and ranks for validation.
#include "kernels.h"

#include <math.h>
#include <omp.h>

VECTOR_CLONES static float dot(const float *a, const float *b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; j++) sum += a[j] * b[j];
  return sum;
}

VECTOR_CLONES static void add_scaled(float *to, const float *from, float scale, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) to[j] += scale * from[j];
}

// label_scores: scores[i] = hidden[i]·table[labels[i]] + bias[labels[i]].
void label_scores(const float *hidden, const float *table, const float *bias, const int32_t *labels, int64_t rows, int64_t d,
                  float *scores) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) scores[i] = dot(hidden + i * d, table + labels[i] * d, d) + bias[labels[i]];
}

// softmax_row turns one row into gradients and returns its loss. A negative that is the label counts for nothing.
VECTOR_CLONES static double softmax_row(float *row, float *label, int32_t id, const int32_t *negatives, int64_t k,
                                        const float *bias, float scale) {
  float high = *label;
#pragma omp simd reduction(max : high)
  for (int64_t j = 0; j < k; j++) {
    row[j] = negatives[j] == id ? -INFINITY : row[j] + bias[j];
    high = row[j] > high ? row[j] : high;
  }
  float mine = fast_exp(*label - high), sum = mine;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < k; j++) {
    row[j] = fast_exp(row[j] - high);
    sum += row[j];
  }
  double loss = high - *label + logf(sum);
  float factor = scale / sum;
#pragma omp simd
  for (int64_t j = 0; j < k; j++) row[j] *= factor;
  *label = scale * (mine / sum - 1);
  return loss;
}

// sampled_softmax turns logits [rows, k] and the labels' scores into gradients of scale × Σ loss; returns Σ loss. bias [k]
// holds the negatives' biases less the logarithms of how often each is expected in the sample.
double sampled_softmax(float *logits, float *label, const int32_t *labels, const int32_t *negatives, int64_t rows, int64_t k,
                       const float *bias, float scale) {
  double part[MAX_THREADS] = {0}, loss = 0;
#pragma omp parallel
  {
    int t = omp_get_thread_num();
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++)
      part[t] += softmax_row(logits + i * k, label + i, labels[i], negatives, k, bias, scale);
  }
  for (int t = 0; t < MAX_THREADS; t++) loss += part[t];
  return loss;
}

// softplus is log(1 + e^x).
static double softplus(float x) { return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x))); }

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static double gbce_row(float *row, float *label, int32_t id, const int32_t *negatives, int64_t k, const float *bias,
                       float scale, float beta) {
  double loss = beta * softplus(-*label);
  *label = -scale * beta * sigmoid(-*label);
  for (int64_t j = 0; j < k; j++) {
    float s = row[j] + bias[j];
    loss += negatives[j] == id ? 0 : softplus(s);
    row[j] = negatives[j] == id ? 0 : scale * sigmoid(s);
  }
  return loss;
}

// gbce does the same for β·log σ(label) + Σ log(1 - σ(negative)).
double gbce(float *logits, float *label, const int32_t *labels, const int32_t *negatives, int64_t rows, int64_t k,
            const float *bias, float scale, float beta) {
  double part[MAX_THREADS] = {0}, loss = 0;
#pragma omp parallel
  {
    int t = omp_get_thread_num();
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++)
      part[t] += gbce_row(logits + i * k, label + i, labels[i], negatives, k, bias, scale, beta);
  }
  for (int t = 0; t < MAX_THREADS; t++) loss += part[t];
  return loss;
}

// label_backward adds the label's part to the gradients of hidden (grad) and, at slots, of table and bias. One thread:
// labels repeat.
void label_backward(const float *hidden, const float *table, const int32_t *labels, const int32_t *slots,
                    const float *label_grad, int64_t rows, int64_t d, float *grad, float *grad_table, float *grad_bias) {
  for (int64_t i = 0; i < rows; i++) {
    add_scaled(grad + i * d, table + labels[i] * d, label_grad[i], d);
    add_scaled(grad_table + slots[i] * d, hidden + i * d, label_grad[i], d);
    grad_bias[slots[i]] += label_grad[i];
  }
}

VECTOR_CLONES static int32_t rank_of(const float *row, const float *bias, int32_t label, int64_t cols) {
  float mine = row[label] + bias[label];
  int32_t better = 0;
#pragma omp simd reduction(+ : better)
  for (int64_t j = 1; j < cols; j++) better += !(row[j] + bias[j] <= mine);
#pragma omp simd reduction(+ : better)
  for (int64_t j = 1; j < label; j++) better += row[j] + bias[j] == mine;
  return better;
}

// ranks says how many items 1 … cols-1 come before each label; of equal scores the lower id comes first, and what is not a
// number comes before everything.
void ranks(const float *scores, const float *bias, const int32_t *labels, int64_t rows, int64_t cols, int32_t *rank) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) rank[i] = rank_of(scores + i * cols, bias, labels[i], cols);
}
