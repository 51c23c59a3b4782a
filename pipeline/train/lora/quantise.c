#include "quantise.h"

#include "../torch/vector.h"

#include <math.h>
#include <string.h>

// The 16 levels of NF4 (QLoRA, arXiv 2305.14314, appendix E): quantiles of a normal distribution, scaled to [-1, 1].
static const float levels[16] = {-1.0f,
                                 -0.6961928009986877f,
                                 -0.5250730514526367f,
                                 -0.39491748809814453f,
                                 -0.28444138169288635f,
                                 -0.18477343022823334f,
                                 -0.09105003625154495f,
                                 0.0f,
                                 0.07958029955625534f,
                                 0.16093020141124725f,
                                 0.24611230194568634f,
                                 0.33791524171829224f,
                                 0.44070982933044434f,
                                 0.5626170039176941f,
                                 0.7229568362236023f,
                                 1.0f};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline __attribute__((always_inline)) float largest(const float *x, int64_t n) {
  float high = 0;
#pragma omp simd reduction(max : high)
  for (int64_t i = 0; i < n; i++) high = fabsf(x[i]) > high ? fabsf(x[i]) : high;
  return high;
}

// nf4_pack_block finds the nearest level of each weight; of two weights in a byte the first lies in the high half. A whole
// block is multiplied by the inverse of its scale, the rest of a tensor divided by its: bitsandbytes does.
VECTOR_CLONES static void nf4_pack_block(const float *x, int64_t n, uint8_t *packed, float *absmax) {
  float high = largest(x, n), floor = high > 1e-38f ? high : 1e-38f, inverse = 1.0f / floor;
  int32_t index[SCALE_BLOCK + 1];
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float v = n == SCALE_BLOCK ? x[i] * inverse : x[i] / floor;
    v = v < -1 ? -1 : v > 1 ? 1 : v;
    int32_t above = 0;
#pragma GCC unroll 15
    for (int level = 0; level < 15; level++) above += (levels[level] + levels[level + 1]) / 2 < v;
    index[i] = above;
  }
  index[n] = 7; // zero
  for (int64_t i = 0; i < n; i += 2) packed[i / 2] = (uint8_t)(index[i] << 4 | index[i + 1]);
  *absmax = n == SCALE_BLOCK ? high : floor;
}

// nf4_pack packs n weights into (n+1)/2 bytes and absmax [blocks].
void nf4_pack(const float *x, int64_t n, uint8_t *packed, float *absmax) {
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += SCALE_BLOCK)
    nf4_pack_block(x + from, least(SCALE_BLOCK, n - from), packed + from / 2, absmax + from / SCALE_BLOCK);
}

// scales_of decodes the scales of count blocks. No clone has it, so that no compiler fuses the product with the sum.
static __attribute__((noinline)) void scales_of(const uint8_t *codes, const float *table, float outer, float offset,
                                                int64_t count, float *scales) {
  for (int64_t i = 0; i < count; i++) scales[i] = table[codes[i]] * outer;
  for (int64_t i = 0; i < count; i++) scales[i] += offset;
}

// nf4_unpack_run unpacks n weights; pairs [256] are the levels of both halves of a byte.
VECTOR_CLONES static void nf4_unpack_run(const uint8_t *packed, const float (*pairs)[2], const float *scales, int64_t n,
                                         float *out) {
  float block[SCALE_BLOCK];
  for (int64_t from = 0; from < n; from += SCALE_BLOCK) {
    int64_t count = least(SCALE_BLOCK, n - from);
    const uint8_t *bytes = packed + from / 2;
    for (int64_t i = 0; i < (count + 1) / 2; i++) memcpy(block + 2 * i, pairs[bytes[i]], sizeof(pairs[0]));
    float scale = scales[from / SCALE_BLOCK];
#pragma omp simd
    for (int64_t i = 0; i < count; i++) out[from + i] = block[i] * scale;
  }
}

// nf4_unpack undoes nf4_pack with scales of two levels: scale i is table[codes[i]] · outer[i/256] + offset.
void nf4_unpack(const uint8_t *packed, const uint8_t *codes, const float *table, const float *outer, float offset, int64_t n,
                float *out) {
  float pairs[256][2];
  for (int i = 0; i < 256; i++) pairs[i][0] = levels[i >> 4], pairs[i][1] = levels[i & 15];
  const int64_t step = SCALE_BLOCK * OUTER_BLOCK;
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += step) {
    float scales[OUTER_BLOCK];
    int64_t count = least(step, n - from);
    scales_of(codes + from / SCALE_BLOCK, table, outer[from / step], offset, (count + SCALE_BLOCK - 1) / SCALE_BLOCK, scales);
    nf4_unpack_run(packed + from / 2, pairs, scales, count, out + from);
  }
}

VECTOR_CLONES static void int8_pack_block(const float *x, int64_t n, int8_t *packed, float *scale) {
  *scale = largest(x, n) / 127;
  float inverse = *scale > 0 ? 1 / *scale : 0;
  for (int64_t i = 0; i < n; i++) {
    float v = rintf(x[i] * inverse);
    packed[i] = (int8_t)(v < -127 ? -127 : v > 127 ? 127 : v);
  }
}

// int8_pack packs n weights into n bytes and scales [blocks]: a weight is its byte times its block's scale.
void int8_pack(const float *x, int64_t n, int8_t *packed, float *scales) {
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += SCALE_BLOCK)
    int8_pack_block(x + from, least(SCALE_BLOCK, n - from), packed + from, scales + from / SCALE_BLOCK);
}

VECTOR_CLONES static void int8_unpack_run(const int8_t *packed, const float *scales, int64_t n, float *out) {
  for (int64_t from = 0; from < n; from += SCALE_BLOCK) {
    int64_t count = least(SCALE_BLOCK, n - from);
    float scale = scales[from / SCALE_BLOCK];
#pragma omp simd
    for (int64_t i = 0; i < count; i++) out[from + i] = packed[from + i] * scale;
  }
}

enum { RUN = SCALE_BLOCK * OUTER_BLOCK }; // what a thread takes at a time

void int8_unpack(const int8_t *packed, const float *scales, int64_t n, float *out) {
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += RUN)
    int8_unpack_run(packed + from, scales + from / SCALE_BLOCK, least(RUN, n - from), out + from);
}

VECTOR_CLONES static void bf16_pack_run(const float *x, int64_t n, uint16_t *packed) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof(bits));
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    packed[i] = (uint16_t)(x[i] == x[i] ? rounded : 0x7FC0); // no rounding may make a number of what is none
  }
}

// bf16_pack rounds to the nearest, ties to even.
void bf16_pack(const float *x, int64_t n, uint16_t *packed) {
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += RUN) bf16_pack_run(x + from, least(RUN, n - from), packed + from);
}

VECTOR_CLONES static void bf16_unpack_run(const uint16_t *packed, int64_t n, float *out) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits = (uint32_t)packed[i] << 16;
    memcpy(out + i, &bits, sizeof(bits));
  }
}

void bf16_unpack(const uint16_t *packed, int64_t n, float *out) {
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < n; from += RUN) bf16_unpack_run(packed + from, least(RUN, n - from), out + from);
}
