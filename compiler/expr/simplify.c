/* Simplification under facts, bottom-up to a fixed point: quotients and remainders whose range is narrow, minima and
 * maxima whose order is known, comparisons and where that are decided. The result equals the expression wherever the
 * facts hold. */
#include "expr/expr_internal.h"

/* -- Quotients and remainders ------------------------------------------------------------------------------------- */
/* e = g*X + r with 0 <= r < g for a divisor g of n: then e // n = X // (n/g), e % n = g*(X % (n/g)) + r. */
static const fv_expr *by_group(fv_ctx *ctx, fv_query *q, const fv_expr *e, const fv_affine *a, int64_t n,
    int64_t g, bool mod) {
    fv_affine x = {0}, r = {.constant = fv_floormod(a->constant, g)};
    for (int i = 0; i < a->n; i++) {
        bool whole = a->term[i].coef % g == 0;
        fv_affine_term(whole ? &x : &r, a->term[i].atom, whole ? a->term[i].coef / g : a->term[i].coef);
    }
    if (!x.n || !r.n) return e;
    fv_range in = fv_query_affine(q, &r);
    int64_t k = fv_floordiv(in.lo, g);
    if (in.lo <= FV_RANGE_MIN || in.hi >= FV_RANGE_MAX || k != fv_floordiv(in.hi, g)) return e;
    r.constant -= k * g;
    x.constant = fv_wadd(fv_floordiv(a->constant, g), k);
    const fv_expr *whole = fv_affine_expr(ctx, &x), *by = fv_int(ctx, n / g);
    if (!mod) return fv_op2(ctx, FV_X_FLOORDIV, whole, by);
    return fv_add(ctx, fv_muli(ctx, fv_op2(ctx, FV_X_MOD, whole, by), g), fv_affine_expr(ctx, &r));
}
static const fv_expr *divmod(fv_ctx *ctx, fv_query *q, const fv_expr *e) {
    const fv_expr *x = e->arg[0];
    int64_t n = e->arg[1]->i;
    bool mod = e->op == FV_X_MOD;
    fv_range r = fv_query_range(q, x);
    if (r.lo > FV_RANGE_MIN && r.hi < FV_RANGE_MAX && fv_floordiv(r.lo, n) == fv_floordiv(r.hi, n)) {
        int64_t k = fv_floordiv(r.lo, n);
        return mod ? fv_addi(ctx, x, -k * n) : fv_int(ctx, k);
    }
    fv_affine a;
    if (!fv_affine_of(x, &a)) return e;
    for (int i = 0; i < a.n; i++) {
        int64_t g = fv_gcd(a.term[i].coef, n);
        const fv_expr *to = g > 1 ? by_group(ctx, q, e, &a, n, g, mod) : e;
        if (to != e) return to;
    }
    return e;
}

/* -- The rest ----------------------------------------------------------------------------------------------------- */
static const fv_expr *minmax(fv_ctx *ctx, fv_query *q, const fv_expr *e) {
    const fv_expr *arg[FV_MINMAX_CAP];
    int n = 0;
    if (!fv_minmax_args(e, e->op, arg, &n, FV_MINMAX_CAP)) return e;
    bool is_min = e->op == FV_X_MIN, out[FV_MINMAX_CAP] = {false};
    int left = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n && !out[i]; j++) {       /* i goes where j is never worse */
            if (i == j || out[j]) continue;
            out[i] = is_min ? fv_query_le(q, arg[j], arg[i], 0) : fv_query_le(q, arg[i], arg[j], 0);
            left -= out[i];
        }
    if (left == n) return e;
    const fv_expr *to = NULL;
    for (int i = 0; i < n; i++) if (!out[i]) to = to ? fv_op2(ctx, e->op, to, arg[i]) : arg[i];
    return to;
}
static const fv_expr *one(fv_ctx *ctx, const fv_expr *e, void *user) {
    fv_query *q = user;
    if (e->lanes != 1 || e->op == FV_X_INT) return e;
    if (e->type == FV_BOOL) {
        int v = fv_query_prove(q, e);
        return v < 0 ? e : fv_bool(ctx, v);
    }
    if (e->op == FV_X_WHERE) {
        int v = fv_query_prove(q, e->arg[0]);
        return v < 0 ? e : e->arg[v ? 1 : 2];
    }
    if (e->type != FV_I32) return e;
    fv_range r;
    switch (e->op) {
    case FV_X_AXIS: case FV_X_VAR:
        r = fv_query_range(q, e);
        return r.lo == r.hi ? fv_int(ctx, r.lo) : e;
    case FV_X_FLOORDIV: case FV_X_MOD: return fv_is_divmod(e, e->op) ? divmod(ctx, q, e) : e;
    case FV_X_MIN: case FV_X_MAX: return minmax(ctx, q, e);
    case FV_X_ABS:
        r = fv_query_range(q, e->arg[0]);
        return r.lo >= 0 ? e->arg[0] : r.hi <= 0 ? fv_op1(ctx, FV_X_NEG, e->arg[0]) : e;
    default: return e;
    }
}
const fv_expr *fv_simplify(fv_ctx *ctx, const fv_facts *f, const fv_expr *e) {
    enum { ROUNDS = 6 };
    fv_query q;
    fv_query_init(&q, f);
    for (int i = 0; e && i < ROUNDS; i++) {
        const fv_expr *to = fv_rewrite(ctx, e, one, &q);
        if (to == e) break;
        e = to;
    }
    fv_query_free(&q);
    return e;
}
