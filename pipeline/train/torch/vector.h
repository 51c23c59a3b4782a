// What the C kernels of pipeline/train share: clones for wider vector units where the compiler can pick them at run time, a
// counter-based random generator, so that dropout needs neither memory nor state, and an exponential that vectorises.
#ifndef MLLM4REC_VECTOR_H
#define MLLM4REC_VECTOR_H

#include <stdint.h>

// MAX_THREADS is how many threads an engine may have: kernels keep a place for each one's part of a result.
enum { MAX_THREADS = 256 };

// GCC's elimination of partial redundancies computes what follows a clipped value once more for the clip's constant, behind a
// branch, and a loop with a branch does not vectorise.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif

// dropout says which elements of a tensor survive: element i does when hash(i) under the key is at least threshold.
// scale is 1/(1-rate). threshold 0 keeps everything.
typedef struct {
  uint32_t key_low, key_high;
  uint32_t threshold;
  float scale;
} dropout;

// dropout_factor is 0 or scale for element i.
static inline __attribute__((always_inline)) float dropout_factor(dropout d, uint32_t i) {
  uint32_t x = i * 0x9E3779B1u ^ d.key_low;
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x ^= d.key_high;
  x *= 0x846CA68Bu;
  x ^= x >> 16;
  return x >= d.threshold ? d.scale : 0.0f;
}

// fast_exp is e^x for x ≤ 87 within 2 units in the last place; below -87.7 it is 0. It vectorises, because it has one
// condition only: below -88 the power's exponent is that of zero.
static inline __attribute__((always_inline)) float fast_exp(float x) {
  float clipped = x < -88.0f ? -88.0f : x;
  float shifted = clipped * 1.44269504f + 12582912.0f; // rounds to a whole number in the low bits
  float n = shifted - 12582912.0f;
  float r = clipped - n * 0.693145752f - n * 1.42860677e-6f;
  float p = 1.0f + r * (1.0f + r * (0.5f + r * (0.166666667f + r * (0.0416666667f + r * (0.00833333333f + r * 0.00138888889f)))));
  union {
    float f;
    int32_t i;
  } power = {.f = shifted};
  power.i = (power.i - 0x4B400000 + 127) << 23;
  return p * power.f;
}

#endif
