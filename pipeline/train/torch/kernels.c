#include "kernels.h"
#include "vector.h"

#include <math.h>
#include <omp.h>

// set_threads is for the calling thread: how many threads its parallel regions get, libtorch's too.
void set_threads(int threads) { omp_set_num_threads(threads); }

int get_threads(void) { return omp_get_max_threads(); }

enum { BLOCK = 4096 };

VECTOR_CLONES static double block_of_squares(const float *x, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sum;
}

// sum_of_squares adds blocks of 4096 in float and the blocks in double, each thread a fixed run of them.
double sum_of_squares(const float *x, int64_t n) {
  double total = 0;
  double part[MAX_THREADS] = {0};
#pragma omp parallel
  {
    int t = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    int64_t end = blocks * (t + 1) / threads;
    double sum = 0;
    for (int64_t b = blocks * t / threads; b < end; b++)
      sum += block_of_squares(x + b * BLOCK, (b + 1) * BLOCK > n ? n - b * BLOCK : BLOCK);
    part[t] = sum;
  }
  for (int t = 0; t < MAX_THREADS; t++) total += part[t];
  return total;
}

// adamw_run updates n neighbours. m_decay and v_decay are the betas, to a power where steps were skipped.
VECTOR_CLONES static void adamw_run(float *restrict p, const float *restrict g, float *restrict m, float *restrict v,
                                    int64_t n, adamw_step s, float keep, float m_decay, float v_decay) {
  float rate = s.learning_rate / s.correction1, root = 1.0f / s.correction2;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float gi = g[i] * s.gradient_scale;
    m[i] = m_decay * m[i] + (1 - s.beta1) * gi;
    v[i] = v_decay * v[i] + (1 - s.beta2) * gi * gi;
    p[i] = p[i] * keep - rate * m[i] / (__builtin_sqrtf(v[i]) * root + s.epsilon);
  }
}

// adamw updates n parameters.
void adamw(float *p, const float *g, float *m, float *v, int64_t n, adamw_step s) {
  float keep = 1 - s.learning_rate * s.decay;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i += BLOCK)
    adamw_run(p + i, g + i, m + i, v + i, i + BLOCK > n ? n - i : BLOCK, s, keep, s.beta1, s.beta2);
}

// adamw_rows updates the named rows of p [*, width] from g [n, width]; last is the step each row was updated at before.
// A row's moments and decay catch up with the steps it missed, whose gradients were zero; the small moves that the fading
// moment would have made meanwhile are left out (as in PyTorch's SparseAdam).
void adamw_rows(float *p, const float *g, float *m, float *v, int32_t *last, const int32_t *rows, int64_t n, int64_t width,
                int32_t step, adamw_step s) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i++) {
    int64_t at = (int64_t)rows[i] * width;
    int32_t steps = step - last[rows[i]];
    adamw_run(p + at, g + i * width, m + at, v + at, width, s, powf(1 - s.learning_rate * s.decay, (float)steps),
              powf(s.beta1, (float)steps), powf(s.beta2, (float)steps));
    last[rows[i]] = step;
  }
}

VECTOR_CLONES static void average_run(float *a, const float *x, int64_t n, float rate) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) a[i] += rate * (x[i] - a[i]);
}

// average moves a [n] towards x by rate.
void average(float *a, const float *x, int64_t n, float rate) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i += BLOCK) average_run(a + i, x + i, i + BLOCK > n ? n - i : BLOCK, rate);
}

VECTOR_CLONES static void dropout_run(float *x, int64_t first, int64_t n, dropout d) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) x[first + i] *= dropout_factor(d, (uint32_t)(first + i));
}

// apply_dropout scales or clears the n elements of x; called on a gradient with the same key it is its own backward.
void apply_dropout(float *x, int64_t n, uint32_t key_low, uint32_t key_high, uint32_t threshold, float scale) {
  dropout d = {key_low, key_high, threshold, scale};
  if (threshold == 0) return;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i += BLOCK) dropout_run(x, i, i + BLOCK > n ? n - i : BLOCK, d);
}
