// The parts of LRURec that are not matrix products, fused so that every activation is read and written once. Rows are the
// real positions of a batch, packed: no padding anywhere. Work is split in a fixed way: same threads, same bits.
#ifndef MLLM4REC_LRUREC_KERNELS_H
#define MLLM4REC_LRUREC_KERNELS_H

#include "../torch/vector.h"

void embed_norm(const float *table, const int32_t *items, int64_t rows, int64_t d, dropout drop, const float *w,
                const float *b, float *normal, float *rstd, float *out);
void residual_norm(const float *branch, const float *x, int64_t rows, int64_t d, dropout drop, const float *w,
                   const float *b, float *normal, float *rstd, float *out);
void norm_backward(const float *grad_out, const float *normal, const float *rstd, const float *w, int64_t rows, int64_t d,
                   dropout drop, float *grad_x, float *grad_branch, float *grad_w, float *grad_b, float *grad_bias);
void embed_backward(const float *grad, const int32_t *slots, int64_t rows, int64_t d, float *grad_table);
void scan(float *h, const int32_t *starts, int64_t sequences, int64_t channels, const float *lambda);
void scan_backward(float *grad, const float *h, const int32_t *starts, int64_t sequences, int64_t channels,
                   const float *lambda, float *grad_lambda);
void column_sums(const float *x, int64_t rows, int64_t cols, float *sums);
double softmax_loss(float *logits, const int32_t *labels, int64_t rows, int64_t cols, const float *bias, float scale,
                    float *grad_bias);
void label_scores(const float *hidden, const float *table, const float *bias, const int32_t *labels, int64_t rows, int64_t d,
                  float *scores);
double sampled_softmax(float *logits, float *label, const int32_t *labels, const int32_t *negatives, int64_t rows, int64_t k,
                       const float *bias, float scale);
double gbce(float *logits, float *label, const int32_t *labels, const int32_t *negatives, int64_t rows, int64_t k,
            const float *bias, float scale, float beta);
void label_backward(const float *hidden, const float *table, const int32_t *labels, const int32_t *slots,
                    const float *label_grad, int64_t rows, int64_t d, float *grad, float *grad_table, float *grad_bias);
void ranks(const float *scores, const float *bias, const int32_t *labels, int64_t rows, int64_t cols, int32_t *rank);

#endif
