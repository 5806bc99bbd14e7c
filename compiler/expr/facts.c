/* Lists of facts: (expression, range). Invariant: an entry for coef * atom + constant is stored as one for the atom. */
#include "expr/expr_internal.h"

#include <string.h>

static void append(fv_ctx *ctx, fv_facts *f, const fv_expr *e, fv_range r) {
    if (f->n == f->cap) f->item = fv_grow(ctx, f->item, (size_t)f->n, &f->cap, sizeof f->item[0]);
    f->item[f->n].leaf = e;
    f->item[f->n++].range = r;
}
static bool is_leaf(const fv_expr *e) { return e->op == FV_X_AXIS || e->op == FV_X_VAR; }
/* ceil(a / b) and floor(a / b) of bounds that may be infinite, b != 0 */
static int64_t bound_div(int64_t a, int64_t c, int64_t b, bool up) {
    bool below = a <= FV_RANGE_MIN, above = a >= FV_RANGE_MAX;
    if (below || above) return below == (b > 0) ? FV_RANGE_MIN : FV_RANGE_MAX;
    a = fv_wadd(a, fv_wneg(c));
    return fv_clamp_bound(up ? fv_wneg(fv_floordiv(fv_wneg(a), b)) : fv_floordiv(a, b));
}
void fv_facts_add(fv_ctx *ctx, fv_facts *f, const fv_expr *leaf, int64_t lo, int64_t hi) {
    fv_range r = {fv_clamp_bound(lo), fv_clamp_bound(hi)};
    fv_affine s;
    if (leaf->op == FV_X_INT) return;
    if (leaf->type == FV_BOOL && r.lo == r.hi && !is_leaf(leaf)) {
        append(ctx, f, leaf, r);
        fv_facts_assume(ctx, f, r.lo ? leaf : fv_op1(ctx, FV_X_NOT, leaf));
        return;
    }
    if (!is_leaf(leaf) && leaf->type == FV_I32 && fv_affine_of(leaf, &s) && s.n == 1) {
        int64_t k = s.term[0].coef;
        fv_range at = {bound_div(k > 0 ? r.lo : r.hi, s.constant, k, true),
            bound_div(k > 0 ? r.hi : r.lo, s.constant, k, false)};
        fv_range old = fv_range_of(f, s.term[0].atom);
        if (old.lo > at.lo) at.lo = old.lo;
        if (old.hi < at.hi) at.hi = old.hi;
        append(ctx, f, s.term[0].atom, at);
        return;
    }
    append(ctx, f, leaf, r);
}
static void assume(fv_ctx *ctx, fv_facts *f, const fv_expr *p, int depth) {
    enum { NEST = 32, MANY = 256 };                    /* more is not worth the search; forgetting is sound */
    if (p->op == FV_X_INT || depth > NEST || f->n > MANY) return;
    for (int i = 0; p->op == FV_X_AND && i < MANY; i++, p = p->arg[0]) assume(ctx, f, p->arg[1], depth + 1);
    append(ctx, f, p, (fv_range){1, 1});
    if (p->op == FV_X_NOT) {
        const fv_expr *x = p->arg[0];
        append(ctx, f, x, (fv_range){0, 0});
        for (int i = 0; x->op == FV_X_OR && i < 2; i++) assume(ctx, f, fv_op1(ctx, FV_X_NOT, x->arg[i]), depth + 1);
        return;
    }
    if (p->op != FV_X_LT && p->op != FV_X_LE && p->op != FV_X_EQ) return;
    if (p->arg[0]->type != FV_I32 || p->lanes != 1) return;
    const fv_expr *d = fv_sub(ctx, p->arg[0], p->arg[1]);
    fv_facts_add(ctx, f, d, p->op == FV_X_EQ ? 0 : FV_RANGE_MIN, p->op == FV_X_LT ? -1 : 0);
}
void fv_facts_assume(fv_ctx *ctx, fv_facts *f, const fv_expr *pred) {
    if (pred && !fv_type_is_float(pred->type)) assume(ctx, f, fv_to_bool(ctx, pred), 0);
}
fv_facts fv_facts_copy(fv_ctx *ctx, const fv_facts *f) {
    fv_facts out = {0};
    if (!f || !f->n) return out;
    out.n = out.cap = f->n;
    out.item = fv_alloc(ctx, sizeof f->item[0] * (size_t)f->n);
    memcpy(out.item, f->item, sizeof f->item[0] * (size_t)f->n);
    return out;
}
