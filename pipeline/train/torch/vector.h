// What the C kernels of pipeline/train share: clones for wider vector units where the compiler can pick them at run time,
// and a counter-based random generator, so that dropout needs neither memory nor state.
#ifndef MLLM4REC_VECTOR_H
#define MLLM4REC_VECTOR_H

#include <stdint.h>

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

#endif
