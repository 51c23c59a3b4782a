// The parts of a Llama layer that are not big matrix products, fused so that every activation is read and written once. Rows
// are tokens, packed: no padding anywhere. Work is split in a fixed way: same threads, same bits.
#ifndef MLLM4REC_LORA_KERNELS_H
#define MLLM4REC_LORA_KERNELS_H

#include "../torch/vector.h"

// heads is the geometry of attention. window 0 means that every token sees all before it.
typedef struct {
  int64_t heads, kv_heads, dim, window;
  float scale;
} head_shape;

// span is a run of tokens: its queries are rows query_from … query_to-1, its keys the rows of the chain's runs (pairs of
// first row, end) chain_from … chain_to-1, the last of which are the run's own.
typedef struct {
  int32_t query_from, query_to, chain_from, chain_to;
} span;

void rms_norm(const float *x, const float *w, float epsilon, int64_t rows, int64_t d, float *rstd, float *out);
void rms_norm_backward(const float *grad_out, const float *x, const float *w, const float *rstd, int64_t rows, int64_t d,
                       float *grad);
void head_norm(float *x, int64_t stride, const float *w, float epsilon, int64_t rows, int64_t heads, int64_t dim, float *before);
void head_norm_backward(float *grad, int64_t stride, const float *before, const float *w, float epsilon, int64_t rows,
                        int64_t heads, int64_t dim);
void add_bias(float *x, int64_t stride, const float *bias, int64_t rows, int64_t d);
void rotate(float *x, int64_t stride, const int32_t *positions, const float *cosines, const float *sines, int64_t rows,
            int64_t heads, int64_t dim, float sign);
void swiglu(const float *gate_up, int64_t rows, int64_t d, float *out);
void swiglu_backward(float *gate_up, const float *grad, int64_t rows, int64_t d);
void gather_rows(const float *x, int64_t stride, const int32_t *index, int64_t rows, int64_t d, float *out);
void scatter_rows(const float *x, const int32_t *index, int64_t rows, int64_t d, float *out);

void lora_down(const float *x, int64_t stride, int64_t rows, int64_t d, dropout drop, const float *a, int64_t rank, float scale,
               float *u);
void lora_up(const float *u, int64_t rows, int64_t rank, const float *b, int64_t d, float scale, dropout drop, float *y,
             int64_t stride);
void lora_outer(const float *u, int64_t rows, int64_t rank, const float *x, int64_t stride, int64_t d, dropout drop, float scale,
                float *grad);

int attention(const float *q, int64_t q_stride, const float *k, const float *v, int64_t kv_stride, const int32_t *positions,
              const span *spans, int64_t span_count, const int32_t *chains, head_shape shape, float *o, float *lse);
int attention_backward(const float *q, int64_t q_stride, const float *k, const float *v, int64_t kv_stride,
                       const int32_t *positions, const span *spans, int64_t span_count, const int32_t *chains,
                       head_shape shape, const float *o, const float *lse, const float *grad_o, float *grad_q,
                       float *grad_k, float *grad_v, int64_t kv_rows);

double letter_loss(float *logits, const int32_t *labels, const int32_t *counts, int64_t rows, int64_t cols, float scale);

#endif
