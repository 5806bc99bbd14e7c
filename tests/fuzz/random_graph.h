/* Legal random graphs, the same for one seed everywhere: reads of every class, maps, reductions, contractions, concat,
 * topk, attend with one or several sets, scan. Extents are 1 to 7. What is not continuous (topk, comparisons, floor) is
 * applied to inputs and coordinates only, and values are kept near 1, so that f32 and f64 agree to about 1e-4. */
#ifndef FV_RANDOM_GRAPH_H
#define FV_RANDOM_GRAPH_H
#include "backends/reference/reference.h"

/* WIDE: extents up to 40 that straddle vectors, beside small ones. WHOLE: no attend, and where leaves are whole numbers
 * in -3..3 every value is one in -4..4, every sum one below 2^24: any order of f32 operations is exact. BLOCKS: WIDE,
 * and most steps are products of matrices and attends that fill the fragments of a matrix unit. */
enum { FV_RANDOM_WIDE = 1, FV_RANDOM_WHOLE = 2, FV_RANDOM_BLOCKS = 4 };
fv_graph *fv_random_graph_of(fv_ctx *ctx, uint64_t seed, unsigned flags);
/* NULL never happens for a correct generator; otherwise the context holds the reason. */
fv_graph *fv_random_graph(fv_ctx *ctx, uint64_t seed);
/* An fv_ref_source: f32 numbers in -1..1 that depend on the leaf's name, i32 and bool within their types. user: the
 * context. */
bool fv_random_source(void *ctx, const fv_node *leaf, double *out, int64_t count);
/* The same with whole numbers in -3..3 for floats. */
bool fv_random_whole_source(void *ctx, const fv_node *leaf, double *out, int64_t count);
#endif
