// Weights in fewer bits, packed once and unpacked into a shared matrix whenever a product needs them. Threads share whole
// blocks; a weight's bits depend on nothing else.
#ifndef MLLM4REC_LORA_QUANTISE_H
#define MLLM4REC_LORA_QUANTISE_H

#include <stdint.h>

// Weights share a scale in blocks of 64, those scales theirs in blocks of 256.
enum { SCALE_BLOCK = 64, OUTER_BLOCK = 256 };

void nf4_pack(const float *x, int64_t n, uint8_t *packed, float *absmax);
void nf4_unpack(const uint8_t *packed, const uint8_t *codes, const float *table, const float *outer, float offset, int64_t n,
                float *out);
void int8_pack(const float *x, int64_t n, int8_t *packed, float *scales);
void int8_unpack(const int8_t *packed, const float *scales, int64_t n, float *out);
void bf16_pack(const float *x, int64_t n, uint16_t *packed);
void bf16_unpack(const uint16_t *packed, int64_t n, float *out);

#endif
