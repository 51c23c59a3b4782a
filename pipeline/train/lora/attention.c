#include "kernels.h"
#include "tile.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

// Attention goes through items: one span of tokens and one head of keys with the query heads that share it. An item packs its
// keys once and takes its queries in blocks; what lies above the diagonal is skipped by whole columns of 16. Exact softmax
// over a block's whole width; the backward pass computes the probabilities again from the kept logarithms of their sums.
enum { BLOCK = 32, PANEL = 64 };

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// problem is a call's arguments, the backward ones null in the forward pass.
typedef struct {
  const float *q, *k, *v, *o, *lse, *grad_o;
  float *out, *out_lse, *grad_q;
  int64_t q_stride, kv_stride;
  const int32_t *positions, *chains;
  const span *spans;
  head_shape shape;
  int64_t wide; // dim rounded up to 16
} problem;

// room is a thread's memory.
typedef struct {
  float *keys_turned, *values_turned; // panels of 64 keys: [panel, wide, 64]
  float *keys, *values;               // [length, wide]
  float *queries, *grads, *result;    // [BLOCK, wide]
  float *scores, *slopes;             // [BLOCK, length]
} room;

// chain_length is the number of keys that a span sees.
static int64_t chain_length(const problem *p, const span *s) {
  int64_t n = 0;
  for (int32_t c = s->chain_from; c < s->chain_to; c++) n += p->chains[2 * c + 1] - p->chains[2 * c];
  return n;
}

// turn packs rows of x [dim] into panels.
INLINE void turn(const problem *p, const span *s, const float *x, int64_t padded, float *out) {
  memset(out, 0, padded * p->wide * sizeof(float));
  int64_t at = 0;
  for (int32_t c = s->chain_from; c < s->chain_to; c++)
    for (int64_t row = p->chains[2 * c]; row < p->chains[2 * c + 1]; row++, at++) {
      float *panel = out + at / PANEL * PANEL * p->wide + at % PANEL;
      for (int64_t j = 0; j < p->shape.dim; j++) panel[j * PANEL] = x[row * p->kv_stride + j];
    }
}

// straight packs rows of x [dim] into rows [wide].
INLINE void straight(const problem *p, const span *s, const float *x, int64_t padded, float *out) {
  memset(out, 0, padded * p->wide * sizeof(float));
  for (int32_t c = s->chain_from; c < s->chain_to; c++)
    for (int64_t row = p->chains[2 * c]; row < p->chains[2 * c + 1]; row++, out += p->wide)
      memcpy(out, x + row * p->kv_stride, p->shape.dim * sizeof(float));
}

// load copies a block of rows of a head, the rest of the block zero.
INLINE void load(const problem *p, const float *x, int64_t stride, int64_t rows, float *out) {
  memset(out, 0, BLOCK * p->wide * sizeof(float));
  for (int64_t i = 0; i < rows; i++) memcpy(out + i * p->wide, x + i * stride, p->shape.dim * sizeof(float));
}

// scores_of makes out [BLOCK, length] = x [BLOCK, wide] · panelsᵀ for columns from … to (multiples of 64 and 16).
INLINE void scores_of(const float *x, const float *panels, int64_t wide, int64_t from, int64_t to, float *out, int64_t length,
                      const int lanes) {
  for (int64_t c = from; c < to; c += PANEL)
    multiply(x, wide, 1, panels + c * wide, PANEL, out + c, length, BLOCK, to - c < PANEL ? to - c : PANEL, wide, lanes, 0);
}

// visible is the first key that position sees.
INLINE int64_t visible(const problem *p, int64_t position) {
  int64_t first = position - p->shape.window + 1;
  return p->shape.window > 0 && first > 0 ? first : 0;
}

// bounds are the columns that a block of queries computes.
INLINE void bounds(const problem *p, int64_t query, int64_t rows, int64_t *from, int64_t *to) {
  *from = visible(p, p->positions[query]) / PANEL * PANEL;
  *to = up(p->positions[query + rows - 1] + 1, 16);
}

// probabilities turns a row of scores into e^(scale·score - offset) over first … last and zero elsewhere; returns the sum.
INLINE float probabilities(float *row, int64_t from, int64_t first, int64_t last, int64_t to, float scale, float offset) {
  float sum = 0;
  for (int64_t j = from; j < first; j++) row[j] = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = first; j <= last; j++) {
    row[j] = fast_exp(row[j] * scale - offset);
    sum += row[j];
  }
  for (int64_t j = last + 1; j < to; j++) row[j] = 0;
  return sum;
}

// forward_block is one block of queries of one head.
INLINE void forward_block(const problem *p, room *r, int64_t length, int64_t head, int64_t query, int64_t rows, const int lanes) {
  int64_t from, to, wide = p->wide, dim = p->shape.dim, heads = p->shape.heads;
  float scale = p->shape.scale;
  bounds(p, query, rows, &from, &to);
  load(p, p->q + query * p->q_stride + head * dim, p->q_stride, rows, r->queries);
  scores_of(r->queries, r->keys_turned, wide, from, to, r->scores, length, lanes);
  float sums[BLOCK];
  for (int64_t i = 0; i < rows; i++) {
    float *row = r->scores + i * length, high = -INFINITY;
    int64_t last = p->positions[query + i], first = visible(p, last);
#pragma omp simd reduction(max : high)
    for (int64_t j = first; j <= last; j++) high = row[j] > high ? row[j] : high;
    sums[i] = probabilities(row, from, first, last, to, scale, high * scale);
    p->out_lse[(query + i) * heads + head] = high * scale + logf(sums[i]);
  }
  multiply(r->scores + from, length, 1, r->values + from * wide, wide, r->result, wide, up(rows, 4), wide, to - from, lanes, 0);
  for (int64_t i = 0; i < rows; i++) {
    float *out = p->out + ((query + i) * heads + head) * dim, factor = 1 / sums[i];
    for (int64_t j = 0; j < dim; j++) out[j] = r->result[i * wide + j] * factor;
  }
}

// backward_block adds a block's part to grad_k and grad_v [length, wide] and writes its grad_q.
INLINE void backward_block(const problem *p, room *r, int64_t length, int64_t head, int64_t query, int64_t rows, float *grad_k,
                           float *grad_v, const int lanes) {
  int64_t from, to, wide = p->wide, dim = p->shape.dim, heads = p->shape.heads;
  float scale = p->shape.scale;
  bounds(p, query, rows, &from, &to);
  const float *o = p->o + (query * heads + head) * dim, *grad_o = p->grad_o + (query * heads + head) * dim;
  load(p, p->q + query * p->q_stride + head * dim, p->q_stride, rows, r->queries);
  load(p, grad_o, heads * dim, rows, r->grads);
  scores_of(r->queries, r->keys_turned, wide, from, to, r->scores, length, lanes);
  scores_of(r->grads, r->values_turned, wide, from, to, r->slopes, length, lanes);
  for (int64_t i = 0; i < rows; i++) {
    float *row = r->scores + i * length, *slope = r->slopes + i * length, dot = 0;
    int64_t last = p->positions[query + i];
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < dim; j++) dot += o[i * heads * dim + j] * grad_o[i * heads * dim + j];
    probabilities(row, from, visible(p, last), last, to, scale, p->lse[(query + i) * heads + head]);
#pragma omp simd
    for (int64_t j = from; j < to; j++) slope[j] = row[j] * (slope[j] - dot) * scale;
  }
  for (int64_t i = rows; i < BLOCK; i++) {
    memset(r->scores + i * length + from, 0, (to - from) * sizeof(float));
    memset(r->slopes + i * length + from, 0, (to - from) * sizeof(float));
  }
  multiply(r->scores + from, 1, length, r->grads, wide, grad_v + from * wide, wide, to - from, wide, BLOCK, lanes, 1);
  multiply(r->slopes + from, 1, length, r->queries, wide, grad_k + from * wide, wide, to - from, wide, BLOCK, lanes, 1);
  multiply(r->slopes + from, length, 1, r->keys + from * wide, wide, r->result, wide, BLOCK, wide, to - from, lanes, 0);
  for (int64_t i = 0; i < rows; i++)
    memcpy(p->grad_q + (query + i) * p->q_stride + head * dim, r->result + i * wide, dim * sizeof(float));
}

// item is a span and one head of keys; grad_k and grad_v [length, wide] are null in the forward pass.
INLINE void item(const problem *p, room *r, const span *s, int64_t kv_head, int64_t length, float *grad_k, float *grad_v,
                 const int lanes) {
  int64_t dim = p->shape.dim, group = p->shape.heads / p->shape.kv_heads, padded = up(length, PANEL);
  const float *k = p->k + kv_head * dim, *v = p->v + kv_head * dim;
  turn(p, s, k, padded, r->keys_turned);
  if (grad_k) {
    turn(p, s, v, padded, r->values_turned);
    straight(p, s, k, padded, r->keys);
    memset(grad_k, 0, padded * p->wide * sizeof(float));
    memset(grad_v, 0, padded * p->wide * sizeof(float));
  } else {
    straight(p, s, v, padded, r->values);
  }
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++)
    for (int64_t query = s->query_from; query < s->query_to; query += BLOCK) {
      int64_t rows = s->query_to - query < BLOCK ? s->query_to - query : BLOCK;
      if (grad_k)
        backward_block(p, r, padded, head, query, rows, grad_k, grad_v, lanes);
      else
        forward_block(p, r, padded, head, query, rows, lanes);
    }
}

// The same for wider vector units; a tile must fit their registers, so this is no matter of clones.
static void item_plain(const problem *p, room *r, const span *s, int64_t h, int64_t n, float *gk, float *gv) {
  item(p, r, s, h, n, gk, gv, 4);
}

typedef void (*item_function)(const problem *, room *, const span *, int64_t, int64_t, float *, float *);

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target("arch=x86-64-v3"))) static void item_avx2(const problem *p, room *r, const span *s, int64_t h, int64_t n,
                                                                float *gk, float *gv) {
  item(p, r, s, h, n, gk, gv, 8);
}
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) static void item_avx512(const problem *p, room *r,
                                                                                           const span *s, int64_t h, int64_t n,
                                                                                           float *gk, float *gv) {
  item(p, r, s, h, n, gk, gv, 16);
}
static item_function pick(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    return item_avx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? item_avx2 : item_plain;
}
#else
static item_function pick(void) { return item_plain; }
#endif

// open_room takes a thread's memory for chains of up to padded keys; 0 when there is none.
static float *open_room(room *r, int64_t padded, int64_t wide) {
  int64_t side = padded * wide, block = BLOCK * wide;
  float *all = aligned_alloc(64, (4 * side + 3 * block + 2 * BLOCK * padded) * sizeof(float));
  float *at = all;
  r->keys_turned = at, at += side;
  r->values_turned = at, at += side;
  r->keys = at, at += side;
  r->values = at, at += side;
  r->queries = at, at += block;
  r->grads = at, at += block;
  r->result = at, at += block;
  r->scores = at, at += BLOCK * padded;
  r->slopes = at;
  return all;
}

// run goes through all items. parts holds an item's grad_k and grad_v at offsets[span] + head·2·padded·wide; null: forward.
static int run(const problem *p, int64_t spans, float *parts, const int64_t *offsets) {
  int64_t longest = 0;
  for (int64_t s = 0; s < spans; s++) {
    int64_t n = chain_length(p, p->spans + s);
    if (n > longest) longest = n;
  }
  item_function work = pick();
  int failed = 0;
#pragma omp parallel
  {
    room r;
    float *all = open_room(&r, up(longest, PANEL), p->wide);
    if (!all) {
#pragma omp atomic write
      failed = 1;
    }
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < spans * p->shape.kv_heads; i++) {
      const span *s = p->spans + i / p->shape.kv_heads;
      int64_t head = i % p->shape.kv_heads, length = chain_length(p, s), side = up(length, PANEL) * p->wide;
      float *grad = parts ? parts + offsets[i / p->shape.kv_heads] + head * 2 * side : 0;
      if (all) work(p, &r, s, head, length, grad, grad ? grad + side : 0);
    }
    free(all);
  }
  return failed;
}

// attention makes o [queries, heads, dim] and lse [queries, heads] (the logarithm of each row's sum). positions [queries]
// count from the start of a query's chain. It returns 1 where memory ran out.
int attention(const float *q, int64_t q_stride, const float *k, const float *v, int64_t kv_stride, const int32_t *positions,
              const span *spans, int64_t span_count, const int32_t *chains, head_shape shape, float *o, float *lse) {
  problem p = {.q = q, .k = k, .v = v, .out = o, .out_lse = lse, .q_stride = q_stride, .kv_stride = kv_stride,
               .positions = positions, .chains = chains, .spans = spans, .shape = shape, .wide = up(shape.dim, 16)};
  return run(&p, span_count, 0, 0);
}

// collect adds an item's gradients to the rows of its chain.
static void collect(const problem *p, const span *s, int64_t kv_head, const float *part, float *grad) {
  int64_t at = 0, dim = p->shape.dim;
  for (int32_t c = s->chain_from; c < s->chain_to; c++) {
    int64_t from = p->chains[2 * c], count = p->chains[2 * c + 1] - from;
    for (int64_t i = 0; i < count; i++, at++)
      for (int64_t j = 0; j < dim; j++) grad[(from + i) * p->kv_stride + kv_head * dim + j] += part[at * p->wide + j];
  }
}

// attention_backward writes grad_q (strided as q), grad_k and grad_v (strided as k and v) for kv_rows rows. Spans share keys:
// each item's gradients lie apart first and are then added up in the order of the spans, so that the bits do not depend on
// which thread was faster. It returns 1 where memory ran out.
int attention_backward(const float *q, int64_t q_stride, const float *k, const float *v, int64_t kv_stride,
                       const int32_t *positions, const span *spans, int64_t span_count, const int32_t *chains,
                       head_shape shape, const float *o, const float *lse, const float *grad_o, float *grad_q,
                       float *grad_k, float *grad_v, int64_t kv_rows) {
  problem p = {.q = q, .k = k, .v = v, .o = o, .lse = lse, .grad_o = grad_o, .grad_q = grad_q, .q_stride = q_stride,
               .kv_stride = kv_stride, .positions = positions, .chains = chains, .spans = spans, .shape = shape,
               .wide = up(shape.dim, 16)};
  int64_t *offsets = malloc(span_count * sizeof(int64_t)), total = 0;
  if (!offsets) return 1;
  for (int64_t s = 0; s < span_count; s++) {
    offsets[s] = total;
    total += up(chain_length(&p, spans + s), PANEL) * p.wide * 2 * shape.kv_heads;
  }
  float *parts = aligned_alloc(64, total * sizeof(float));
  int failed = !parts || run(&p, span_count, parts, offsets);
  if (!failed) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < kv_rows; i++) {
      memset(grad_k + i * kv_stride, 0, shape.kv_heads * shape.dim * sizeof(float));
      memset(grad_v + i * kv_stride, 0, shape.kv_heads * shape.dim * sizeof(float));
    }
#pragma omp parallel for schedule(static)
    for (int64_t h = 0; h < 2 * shape.kv_heads; h++)
      for (int64_t s = 0; s < span_count; s++) {
        int64_t side = up(chain_length(&p, spans + s), PANEL) * p.wide;
        collect(&p, spans + s, h / 2, parts + offsets[s] + h * side, h % 2 ? grad_v : grad_k);
      }
  }
  free(parts);
  free(offsets);
  return failed;
}
