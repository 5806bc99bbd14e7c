/* cost_inside: what the parts of the cost model share: the tree of counts, and arithmetic on ranges of names. */
#ifndef FV_TUNE_COST_INSIDE_H
#define FV_TUNE_COST_INSIDE_H
#include "tune/cost.h"

typedef struct cost_node cost_node;
struct cost_node {
    const fv_flat *s;
    cost_node *next, *body, *orelse;
    bool steady;    /* FOR: no bound and no condition below depends on its variable: one walk stands for all */
    bool scalar;    /* LET and IF: of scalars alone, hence evaluated */
    double runs;    /* over all programs */
    double issued;  /* instructions of one execution */
    fv_counts each; /* of one execution */
};

/* -- Ranges of integer names at the levels of a loop nest (spans.c) ----
 * Level k of a path of `depth` nested levels: loops k and inner ones take all their values, those outside one. A loop
 * over a variable that is taken apart (p // 36, p % 36) is two levels: blocks of 36, and the steps in one. */
enum { COST_LEVELS = 24 };
typedef struct {
    double lo, hi;
} cost_span;
typedef struct {
    const fv_expr *let; /* NULL: a loop's variable */
    int levels;         /* spans known: of levels 0 .. levels - 1; beyond them the last, a point */
    cost_span *at;
    double divisor; /* it is a program or loop number // divisor; 0: it is not */
} cost_name;
typedef struct {
    fv_ctx *ctx;
    int depth;        /* levels open */
    int64_t programs; /* of the kernel: the bounds of a loop over programs, which has none of its own */
    cost_name *name;
} cost_scope;

/* What e may be at level k; what data decide: its whole range where the index may change, else one value. */
cost_span cost_span_of(const cost_scope *s, const fv_expr *e, int k);
void cost_scope_let(cost_scope *s, fv_str name, const fv_expr *e);
/* Opens a loop's levels, one per block size and one for all: levels[0] steps in all, levels[i] per block, falling.
 * lo, hi, step: of the whole loop. Returns how many were opened. */
int cost_scope_for(cost_scope *s, const fv_flat *loop, const int64_t *block, int n_blocks);
/* Block sizes (steps) by which the body takes a loop's variable apart, falling, each dividing those before it. */
int cost_scope_blocks(cost_scope *s, const cost_node *loop, int64_t *block, int most);

/* Fills in out->stalls. */
void cost_stalls(const fv_flat_kernel *k, const cost_node *root, fv_counts *out);
/* Fills in out->array; the nodes' runs are those of the walk. */
void cost_traffic(const fv_flat_kernel *k, const cost_node *root, const int64_t cache[4], fv_counts *out);
#endif
