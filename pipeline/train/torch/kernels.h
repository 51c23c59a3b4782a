// Kernels over flat float arrays. All of them split their work in a fixed way, so that the same number of threads gives
// the same bits.
#ifndef MLLM4REC_TORCH_KERNELS_H
#define MLLM4REC_TORCH_KERNELS_H

#include <stdint.h>

// adamw_state is one step's scalars (arXiv 1711.05101, as PyTorch computes it).
typedef struct {
  float learning_rate, beta1, beta2, epsilon, decay;
  float correction1, correction2; // 1 - beta^step; the square root of it for the second moment
  float gradient_scale;
} adamw_step;

void set_threads(int threads);
int get_threads(void);
double sum_of_squares(const float *x, int64_t n);
void adamw(float *p, const float *g, float *m, float *v, int64_t n, adamw_step s);
void adamw_rows(float *p, const float *g, float *m, float *v, int32_t *last, const int32_t *rows, int64_t n, int64_t width,
                int32_t step, adamw_step s);
void average(float *a, const float *x, int64_t n, float rate);
void apply_dropout(float *x, int64_t n, uint32_t key_low, uint32_t key_high, uint32_t threshold, float scale);

#endif
