/* Bounds of i32 and bool expressions over a box, as expressions. Where the whole is monotone in every leaf, the
 * corners are substituted: exact. Else bounds go node by node, each node again by corners where it can: sound.
 * Leaves are taken to lie in their own interval. */
#include "expr/expr_internal.h"

typedef struct {
    fv_ctx *ctx;
    const fv_facts *f;                                 /* with the leaves' ranges */
    fv_query ask;
    fv_map depends, memo;                              /* depends: the nodes of the whole that hold a leaf */
    const fv_expr *const *leaf, *const *lo, *const *hi;
    int n, level, left;                                /* left: nodes that may still be visited */
} box;
typedef struct { const fv_expr *lo, *hi; } pair;
static bool bound(box *b, const fv_expr *e, pair *out);

static bool note(const fv_expr *e, void *user) {
    box *b = user;
    bool yes = false;
    for (int j = 0; j < b->n && !yes; j++) yes = e == b->leaf[j];
    for (int j = 0; j < e->n && !yes; j++) yes = fv_map_find(&b->depends, e->arg[j])->v.e != NULL;
    fv_map_put(&b->depends, e)->v.e = yes ? e : NULL;
    return false;
}
static bool is_free(const box *b, const fv_expr *e) {
    const fv_map_slot *s = fv_map_find(&b->depends, e);
    if (s) return !s->v.e;
    for (int j = 0; j < b->n; j++) if (fv_uses(e, b->leaf[j])) return false;
    return true;
}
/* Both corners of an expression that is monotone in every leaf. */
static bool corners(box *b, const fv_expr *e, pair *out) {
    fv_binding *low = FV_NEWN(b->ctx, fv_binding, b->n), *high = FV_NEWN(b->ctx, fv_binding, b->n);
    for (int j = 0; j < b->n; j++) {
        int d = fv_query_monotone(&b->ask, e, b->leaf[j]);
        if (d == 2) return false;
        low[j] = (fv_binding){b->leaf[j], d < 0 ? b->hi[j] : b->lo[j]};
        high[j] = (fv_binding){b->leaf[j], d < 0 ? b->lo[j] : b->hi[j]};
    }
    out->lo = fv_subst(b->ctx, e, low, b->n);
    out->hi = fv_subst(b->ctx, e, high, b->n);
    return true;
}
static const fv_expr *pick(box *b, fv_op op, const fv_expr *x, const fv_expr *y) { return fv_op2(b->ctx, op, x, y); }
static bool constants(box *b, fv_range r, pair *out) {
    if (r.lo <= FV_RANGE_MIN || r.hi >= FV_RANGE_MAX) return false;
    *out = (pair){fv_int(b->ctx, r.lo), fv_int(b->ctx, r.hi)};
    return true;
}
static bool sum(box *b, const fv_expr *e, pair *out) {
    fv_affine a;
    if (!fv_affine_of(e, &a)) return false;
    out->lo = out->hi = fv_int(b->ctx, a.constant);
    for (int i = 0; i < a.n; i++) {
        pair t;
        int64_t k = a.term[i].coef;
        if (!bound(b, a.term[i].atom, &t)) return false;
        out->lo = fv_add(b->ctx, out->lo, fv_muli(b->ctx, k > 0 ? t.lo : t.hi, k));
        out->hi = fv_add(b->ctx, out->hi, fv_muli(b->ctx, k > 0 ? t.hi : t.lo, k));
    }
    return true;
}
static bool product(box *b, const fv_expr *e, pair *out) {
    pair x, y;
    if (!bound(b, e->arg[0], &x) || !bound(b, e->arg[1], &y)) return false;
    const fv_expr *p[4] = {fv_mul(b->ctx, x.lo, y.lo), fv_mul(b->ctx, x.lo, y.hi), fv_mul(b->ctx, x.hi, y.lo),
        fv_mul(b->ctx, x.hi, y.hi)};
    *out = (pair){p[0], p[0]};
    for (int i = 1; i < 4; i++) *out = (pair){pick(b, FV_X_MIN, out->lo, p[i]), pick(b, FV_X_MAX, out->hi, p[i])};
    return true;
}
static bool divmod(box *b, const fv_expr *e, pair *out) {
    pair x;
    const fv_expr *n = e->arg[1];
    if (!is_free(b, n) || fv_query_range(&b->ask, n).lo < 1) return false;
    bool inner = bound(b, e->arg[0], &x);
    if (e->op == FV_X_MOD) {
        if (inner) {
            const fv_expr *q = fv_simplify(b->ctx, b->f, fv_op2(b->ctx, FV_X_FLOORDIV, x.lo, n));
            if (q == fv_simplify(b->ctx, b->f, fv_op2(b->ctx, FV_X_FLOORDIV, x.hi, n))) {
                *out = (pair){fv_op2(b->ctx, FV_X_MOD, x.lo, n), fv_op2(b->ctx, FV_X_MOD, x.hi, n)};
                return true;
            }
        }
        *out = (pair){fv_int(b->ctx, 0), fv_addi(b->ctx, n, -1)};
        return true;
    }
    if (!inner) return false;
    *out = (pair){fv_op2(b->ctx, FV_X_FLOORDIV, x.lo, n), fv_op2(b->ctx, FV_X_FLOORDIV, x.hi, n)};
    return true;
}
/* Bounds of a - b, so that what both share cancels. */
static bool difference(box *b, const fv_expr *e, pair *d) {
    if (e->arg[0]->type != FV_I32) return false;
    return bound(b, fv_sub(b->ctx, e->arg[0], e->arg[1]), d);
}
static bool comparison(box *b, const fv_expr *e, pair *out) {
    const fv_expr *zero = fv_int(b->ctx, 0), *always, *may;
    pair d;
    *out = (pair){fv_bool(b->ctx, false), fv_bool(b->ctx, true)};
    if (!difference(b, e, &d)) return true;
    if (e->op == FV_X_LT || e->op == FV_X_LE) {        /* always: the greatest difference; sometimes: the least */
        *out = (pair){fv_op2(b->ctx, e->op, d.hi, zero), fv_op2(b->ctx, e->op, d.lo, zero)};
        return true;
    }
    /* 0 <= lo and hi <= 0: equal always */
    always = fv_and(b->ctx, fv_op2(b->ctx, FV_X_LE, zero, d.lo), fv_op2(b->ctx, FV_X_LE, d.hi, zero));
    may = fv_and(b->ctx, fv_op2(b->ctx, FV_X_LE, d.lo, zero), fv_op2(b->ctx, FV_X_LE, zero, d.hi));
    *out = (pair){always, may};
    if (e->op == FV_X_NE) *out = (pair){fv_op1(b->ctx, FV_X_NOT, may), fv_op1(b->ctx, FV_X_NOT, always)};
    return true;
}
static bool choice(box *b, const fv_expr *e, pair *out) {
    pair x, y;
    if (!bound(b, e->arg[1], &x) || !bound(b, e->arg[2], &y)) return false;
    if (is_free(b, e->arg[0])) {
        *out = (pair){fv_op3(b->ctx, FV_X_WHERE, e->arg[0], x.lo, y.lo),
            fv_op3(b->ctx, FV_X_WHERE, e->arg[0], x.hi, y.hi)};
        return true;
    }
    bool truth = e->type == FV_BOOL;
    *out = (pair){pick(b, truth ? FV_X_AND : FV_X_MIN, x.lo, y.lo), pick(b, truth ? FV_X_OR : FV_X_MAX, x.hi, y.hi)};
    return true;
}
static bool by_operator(box *b, const fv_expr *e, pair *out) {
    pair x, y;
    switch (e->op) {
    case FV_X_ADD: case FV_X_MUL:
        if (fv_is_sum(e) || fv_is_scaled(e)) return sum(b, e, out);
        if (e->op == FV_X_MUL) return product(b, e, out);
        if (!bound(b, e->arg[0], &x) || !bound(b, e->arg[1], &y)) return false;
        *out = (pair){fv_add(b->ctx, x.lo, y.lo), fv_add(b->ctx, x.hi, y.hi)};
        return true;
    case FV_X_FLOORDIV: case FV_X_MOD: case FV_X_EXACT: return divmod(b, e, out);
    case FV_X_MIN: case FV_X_MAX: case FV_X_AND: case FV_X_OR:
        if (!bound(b, e->arg[0], &x) || !bound(b, e->arg[1], &y)) return false;
        *out = (pair){pick(b, e->op, x.lo, y.lo), pick(b, e->op, x.hi, y.hi)};
        return true;
    case FV_X_NOT:
        if (!bound(b, e->arg[0], &x)) return false;
        *out = (pair){fv_op1(b->ctx, FV_X_NOT, x.hi), fv_op1(b->ctx, FV_X_NOT, x.lo)};
        return true;
    case FV_X_ABS:
        if (!bound(b, e->arg[0], &x)) return false;
        y.lo = fv_op1(b->ctx, FV_X_NEG, x.hi);
        y.hi = fv_op1(b->ctx, FV_X_NEG, x.lo);
        *out = (pair){pick(b, FV_X_MAX, pick(b, FV_X_MAX, x.lo, y.lo), fv_int(b->ctx, 0)),
            pick(b, FV_X_MAX, x.hi, y.hi)};
        return true;
    case FV_X_WHERE: return choice(b, e, out);
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: return comparison(b, e, out);
    default: break;
    }
    if (e->type != FV_BOOL) return constants(b, fv_query_range(&b->ask, e), out);
    *out = (pair){fv_bool(b->ctx, false), fv_bool(b->ctx, true)};
    return true;
}
static bool bound(box *b, const fv_expr *e, pair *out) {
    if (e->lanes != 1 || fv_type_is_float(e->type) || b->level >= FV_DEPTH_CAP) return false;
    for (int j = 0; j < b->n; j++) if (b->leaf[j] == e) { *out = (pair){b->lo[j], b->hi[j]}; return true; }
    if (is_free(b, e)) { *out = (pair){e, e}; return true; }
    const fv_map_slot *s = fv_map_find(&b->memo, e);
    if (s) { *out = (pair){s->v.b.lo, s->v.b.hi}; return s->v.b.lo != NULL; }
    if (--b->left < 0) return false;
    b->level++;
    bool ok = corners(b, e, out) || by_operator(b, e, out);
    b->level--;
    if (!ok) *out = (pair){NULL, NULL};
    fv_map_slot *put = fv_map_put(&b->memo, e);
    put->v.b.lo = out->lo;
    put->v.b.hi = out->hi;
    return ok;
}
bool fv_bounds(fv_ctx *ctx, const fv_facts *f, const fv_expr *e, const fv_expr *const *leaf, const fv_expr *const *lo,
               const fv_expr *const *hi, int n, const fv_expr **out_lo, const fv_expr **out_hi) {
    enum { VISITS = 1000 };
    fv_facts inner = fv_facts_copy(ctx, f);
    for (int j = 0; j < n; j++) fv_facts_add(ctx, &inner, leaf[j], fv_range_of(f, lo[j]).lo, fv_range_of(f, hi[j]).hi);
    box b = {.ctx = ctx, .f = &inner, .leaf = leaf, .lo = lo, .hi = hi, .n = n, .left = VISITS};
    fv_query_init(&b.ask, &inner);
    fv_map_init(&b.depends);
    fv_map_init(&b.memo);
    fv_visit(e, note, &b);
    pair r;
    bool ok = bound(&b, e, &r);
    if (ok) {
        *out_lo = fv_simplify(ctx, f, r.lo);
        *out_hi = fv_simplify(ctx, f, r.hi);
    }
    fv_query_free(&b.ask);
    fv_map_free(&b.depends);
    fv_map_free(&b.memo);
    return ok;
}
