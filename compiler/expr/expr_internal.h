/* Shared by the files of expr only: the pool, integer helpers, affine sums in place, and a map keyed by node. */
#ifndef FV_EXPR_INTERNAL_H
#define FV_EXPR_INTERNAL_H
#include "expr/expr.h"

/* -- Pool: the raw hash-consing maker; folds nothing ----------------------------------------------------------- */
const fv_expr *fv_cons(fv_ctx *ctx, fv_op op, fv_type type, int lanes, int64_t i, const fv_obj *ref,
                       const fv_expr *const *arg, int n);
static inline const fv_expr *fv_cons1(fv_ctx *ctx, fv_op op, fv_type t, const fv_expr *a) {
    return fv_cons(ctx, op, t, a->lanes, 0, NULL, &a, 1);
}
static inline const fv_expr *fv_cons2(fv_ctx *ctx, fv_op op, fv_type t, const fv_expr *a, const fv_expr *b) {
    const fv_expr *arg[2] = {a, b};
    return fv_cons(ctx, op, t, a->lanes, 0, NULL, arg, 2);
}

/* -- Integers: wrap instead of overflowing; quotients round down ------------------------------------------------ */
static inline int64_t fv_wadd(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t fv_wmul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static inline int64_t fv_wneg(int64_t a) { return (int64_t)(0 - (uint64_t)a); }
static inline int64_t fv_floordiv(int64_t a, int64_t b) {           /* b != 0 */
    if (b == -1) return fv_wneg(a);
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
static inline int64_t fv_floormod(int64_t a, int64_t b) {
    if (b == -1) return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t fv_gcd(int64_t a, int64_t b) { /* of magnitudes, as long as they are representable */
    while (b) { int64_t t = b == -1 ? 0 : a % b; a = b; b = t; }
    return a < 0 ? fv_wneg(a) : a;
}

/* -- Affine sums in place ---------------------------------------------------------------------------------------- */
/* A canonical i32 sum is a chain ADD(ADD(t1, t2), INT) with t = atom or MUL(atom, INT); an ADD with i = 1 is opaque:
 * an atom made where a sum would have more than FV_MAX_TERMS terms. */
static inline bool fv_is_sum(const fv_expr *e) {
    return e->op == FV_X_ADD && e->type == FV_I32 && e->lanes == 1 && !e->i;
}
static inline bool fv_is_scaled(const fv_expr *e) {
    return e->op == FV_X_MUL && e->type == FV_I32 && e->lanes == 1 && e->arg[1]->op == FV_X_INT;
}
static inline bool fv_is_divmod(const fv_expr *e, fv_op op) {       /* an atom x // n or x % n with a constant n > 0 */
    return e->op == op && e->type == FV_I32 && e->lanes == 1 && e->arg[1]->op == FV_X_INT && e->arg[1]->i > 0;
}
bool fv_affine_term(fv_affine *a, const fv_expr *atom, int64_t coef);      /* false: no room; a is then unchanged */
bool fv_affine_add(fv_affine *a, const fv_expr *e, int64_t k); /* a += k * e; false: no room, a is then broken */
void fv_affine_drop(fv_affine *a, int i);
/* Puts c*n*(x // n) + c*(x % n) together; with a context also c*(x % n) + c*n*((x // n) % k) to c*(x % (n*k)),
 * and c*x - c*n*(x // n) to c*(x % n). */
bool fv_affine_recombine(fv_ctx *ctx, fv_affine *a);
int64_t fv_affine_gcd(const fv_affine *a);                                  /* of the coefficients; 0 without terms */
bool fv_affine_diff(const fv_expr *a, const fv_expr *b, fv_affine *out);   /* a - b */

/* -- Folding rules by operator: lanes = 1, operands already of the right type -------------------------------------- */
const fv_expr *fv_fold_floordiv(fv_ctx *ctx, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_mod(fv_ctx *ctx, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_mul(fv_ctx *ctx, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_minmax(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_float(fv_ctx *ctx, fv_op op, fv_type t, const fv_expr *a, const fv_expr *b); /* b NULL: unary */
const fv_expr *fv_fold_compare(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_logic(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_not(fv_ctx *ctx, const fv_expr *a);
const fv_expr *fv_fold_where(fv_ctx *ctx, const fv_expr *c, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_fold_exact(fv_ctx *ctx, const fv_expr *a, const fv_expr *b);

/* The operands of a chain of one of min, max: at most cap; false: more. */
bool fv_minmax_args(const fv_expr *e, fv_op op, const fv_expr **out, int *n, int cap);
enum { FV_MINMAX_CAP = 12 };

/* -- Map from nodes to small values: open addressing, on the heap once it outgrows its own slots ------------------ */
typedef struct {
    const fv_expr *key;
    union { const fv_expr *e; double f; fv_range r; struct { const fv_expr *lo, *hi; } b; } v;
} fv_map_slot;
typedef struct { uint32_t n, cap; fv_map_slot *slot; fv_map_slot own[64]; } fv_map;
void fv_map_init(fv_map *m);
void fv_map_free(fv_map *m);
fv_map_slot *fv_map_find(const fv_map *m, const fv_expr *key);     /* NULL: absent */
fv_map_slot *fv_map_put(fv_map *m, const fv_expr *key);            /* finds or inserts; valid until the next put */

/* -- Bounds ------------------------------------------------------------------------------------------------------- */
static inline int64_t fv_clamp_bound(int64_t v) {
    return v < FV_RANGE_MIN ? FV_RANGE_MIN : v > FV_RANGE_MAX ? FV_RANGE_MAX : v;
}
/* Questions under one set of facts: what was found of an atom is kept until the query is freed. Each question has
 * its own budget of steps. */
typedef struct { const fv_facts *f; int budget, level; fv_map memo; } fv_query;
void fv_query_init(fv_query *q, const fv_facts *f);
void fv_query_free(fv_query *q);
fv_range fv_query_range(fv_query *q, const fv_expr *e);
fv_range fv_query_affine(fv_query *q, const fv_affine *a);
bool fv_query_le(fv_query *q, const fv_expr *a, const fv_expr *b, int64_t c);       /* a <= b + c, of i32 */
int fv_query_monotone(fv_query *ask, const fv_expr *e, const fv_expr *leaf);
int fv_query_prove(fv_query *q, const fv_expr *pred);                               /* of a bool: 1, 0, -1 */
enum { FV_DEPTH_CAP = 160 }; /* of recursion over integer expressions; deeper is "unknown" */
#endif
