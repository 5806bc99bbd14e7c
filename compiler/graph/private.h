/* Shared inside compiler/graph only: how a node's results follow from its contents.  The rules of the language are
 * written once, in `fv_node_infer`: a builder makes a node by it, and the verifier infers again and compares. So a
 * builder and the verifier cannot disagree. */
#ifndef FV_GRAPH_PRIVATE_H
#define FV_GRAPH_PRIVATE_H
#include "graph/graph.h"

enum { FV_MAX_SETS = 64, FV_MAX_RESULTS = 64 };
#define FV_MAX_COUNT (INT64_C(1) << 40)                 /* elements of one tensor */
#define FV_MAX_POINTS (INT64_C(1) << 56)                /* points that one node visits */

typedef struct {
    fv_type type;
    int rank;
    fv_axis axis[FV_MAX_AXES];
    bool partial, free_form, ranged;
    int64_t lo, hi;
} fv_shape;

/* The shapes of all results of `n` (whose result array is not looked at), in the arena; NULL after recording what is
 * wrong. declared: type, axes and flags of leaves, constants and placeholders; the axes of a read and a compute; unused
 * otherwise. */
fv_shape *fv_node_infer(fv_graph *g, const fv_node *n, const fv_shape *declared, int *count);
fv_shape *fv_attend_infer(fv_graph *g, const fv_node *n, int *count);
fv_shape *fv_scan_infer(fv_graph *g, const fv_node *n, int *count);
fv_shape *fv_topk_infer(fv_graph *g, const fv_node *n, int *count);

/* -- Checks; `what` opens the message ("input \"x\"", "the body"). Each records an error and returns false. ------- */
bool fv_check_axes(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n);
/* of a leaf or an output: fits in a string */
bool fv_check_name(fv_graph *g, fv_loc loc, const char *what, fv_str name);
/* axes that are visited, not stored */
bool fv_check_points(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n);
bool fv_check_stored(fv_graph *g, fv_loc loc, const char *what, const fv_axis *axis, int n, const fv_stored *stored);
/* Axes in e are among `axis`, reads are of values of g with indices that stay inside (or a fill), operators belong to
 * graphs. */
bool fv_check_expr(fv_graph *g, fv_loc loc, const char *what, const fv_expr *e, const fv_axis *axis, int n,
                   const fv_facts *facts);
bool fv_expr_partial(const fv_expr *e);                 /* reads a partial value or divides exactly */
bool fv_expr_free(const fv_expr *e);                    /* reads free-form values only */

/* Same names with the same extents, in any order. */
bool fv_axes_same(const fv_axis *a, int na, const fv_axis *b, int nb);
const char *fv_axes_text(fv_ctx *ctx, const fv_axis *axis, int n);
void fv_axes_facts(fv_ctx *ctx, const fv_axis *axis, int n, fv_facts *f);
/* The range of an i32 expression, if it is a bound worth keeping. */
bool fv_expr_bound(const fv_facts *f, const fv_expr *e, int64_t *lo, int64_t *hi);
/* Proof that lo <= e <= hi. */
bool fv_expr_within(fv_ctx *ctx, const fv_facts *f, const fv_expr *e, int64_t lo, int64_t hi);

/* The node that owns a placeholder (as raw, p, state or element), or NULL. */
fv_node *fv_placeholder_owner(const fv_graph *g, const fv_value *v);
/* How often node `at` binds v as one of its placeholders: 1 if it owns it. */
int fv_node_owns(const fv_node *at, const fv_value *v);
/* The stored order of one dimension per axis, in their order. */
fv_stored fv_stored_plain(int n);
bool fv_border_parse(const char *s, fv_border *out);
const char *fv_border_name(fv_border b);                /* "none" "number" "cut" "clamp" "reflect" "wrap" */
const char *fv_monoid_name(fv_monoid m);                /* "map" "sum" "mean" "max" "min" "count" "any" "all" */
/* map, sum, ... or contract: a sum over axes of a product of two reads or more */
const char *fv_compute_word(const fv_compute_node *c);
#endif
