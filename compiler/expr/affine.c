/* Affine normal form of i32 sums: coefficient * atom in ascending order of the atoms' ids, then a constant.
 * Invariant of a canonical sum: no zero coefficients, no atom that is itself a sum, scaled or constant, and nothing
 * left that recombine would join. */
#include "expr/expr_internal.h"

#include <string.h>

void fv_affine_drop(fv_affine *a, int i) {
    memmove(&a->term[i], &a->term[i + 1], sizeof a->term[0] * (size_t)(a->n - i - 1));
    a->n--;
}
bool fv_affine_term(fv_affine *a, const fv_expr *atom, int64_t coef) {
    if (!coef) return true;
    int i = a->n;
    while (i > 0 && a->term[i - 1].atom->id > atom->id) i--;
    if (i > 0 && a->term[i - 1].atom == atom) {
        a->term[i - 1].coef = fv_wadd(a->term[i - 1].coef, coef);
        if (!a->term[i - 1].coef) fv_affine_drop(a, i - 1);
        return true;
    }
    if (a->n == FV_MAX_TERMS) return false;
    memmove(&a->term[i + 1], &a->term[i], sizeof a->term[0] * (size_t)(a->n - i));
    a->term[i].coef = coef;
    a->term[i].atom = atom;
    a->n++;
    return true;
}
static bool add_one(fv_affine *a, const fv_expr *e, int64_t k) {
    if (e->op == FV_X_INT) { a->constant = fv_wadd(a->constant, fv_wmul(k, e->i)); return true; }
    if (fv_is_scaled(e)) return fv_affine_term(a, e->arg[0], fv_wmul(k, e->arg[1]->i));
    return fv_affine_term(a, e, k);
}
bool fv_affine_add(fv_affine *a, const fv_expr *e, int64_t k) {
    for (; fv_is_sum(e); e = e->arg[0]) if (!add_one(a, e->arg[1], k)) return false;
    return add_one(a, e, k);
}
bool fv_affine_of(const fv_expr *e, fv_affine *out) {
    out->n = 0;
    out->constant = 0;
    return fv_affine_add(out, e, 1);
}
bool fv_affine_diff(const fv_expr *a, const fv_expr *b, fv_affine *out) {
    return fv_affine_of(a, out) && fv_affine_add(out, b, -1);
}
int64_t fv_affine_gcd(const fv_affine *a) {
    int64_t g = 0;
    for (int i = 0; i < a->n; i++) g = fv_gcd(g, a->term[i].coef);
    return g;
}

/* -- Recombination: every step leaves fewer terms ----------------------------------------------------------------- */
/* Is y = x + c with a known c? */
static bool constant_apart(const fv_expr *y, const fv_expr *x, int64_t *c) {
    fv_affine d;
    if (!fv_affine_diff(y, x, &d) || d.n) return false;
    *c = d.constant;
    return true;
}
/* Is the atom q the quotient x // n? Either plainly, or folded: x = y // a + c, q = (y + a*c) // (a*n). */
static bool is_quotient(const fv_expr *q, const fv_expr *x, int64_t n) {
    if (!fv_is_divmod(q, FV_X_FLOORDIV)) return false;
    if (q->arg[0] == x && q->arg[1]->i == n) return true;
    fv_affine s;
    if (!fv_affine_of(x, &s) || s.n != 1 || s.term[0].coef != 1 || !fv_is_divmod(s.term[0].atom, FV_X_FLOORDIV))
        return false;
    const fv_expr *inner = s.term[0].atom;
    int64_t a = inner->arg[1]->i, c;
    return q->arg[1]->i == fv_wmul(a, n) && constant_apart(q->arg[0], inner->arg[0], &c) && c == fv_wmul(a, s.constant);
}
/* Joins the remainder at i with another term; false: nothing fits. Sets *room to false when the sum became too long. */
static bool join(fv_ctx *ctx, fv_affine *a, int i, bool *room) {
    const fv_expr *x = a->term[i].atom->arg[0];
    int64_t n = a->term[i].atom->arg[1]->i, c = a->term[i].coef;
    for (int j = 0; j < a->n; j++) {
        const fv_expr *t = a->term[j].atom;
        if (j == i || a->term[j].coef != fv_wmul(c, n)) continue;
        bool whole = is_quotient(t, x, n);
        if (!whole && !(ctx && fv_is_divmod(t, FV_X_MOD) && is_quotient(t->arg[0], x, n))) continue;
        if (!whole) x = fv_op2(ctx, FV_X_MOD, x, fv_int(ctx, fv_wmul(n, t->arg[1]->i)));
        fv_affine_drop(a, i > j ? i : j);
        fv_affine_drop(a, i > j ? j : i);
        *room = fv_affine_add(a, x, c);
        return true;
    }
    return false;
}
/* c*x - c*n*(x // n) at the quotient i, all terms of x present: c * (x % n). */
static bool remainder_of(fv_ctx *ctx, fv_affine *a, int i, bool *room) {
    const fv_expr *x = a->term[i].atom->arg[0];
    int64_t n = a->term[i].atom->arg[1]->i, c = a->term[i].coef % n ? 0 : fv_wneg(a->term[i].coef / n);
    fv_affine inner, left = *a;
    if (!c || !fv_affine_of(x, &inner)) return false;
    fv_affine_drop(&left, i);
    int before = left.n;
    if (!fv_affine_add(&left, x, fv_wneg(c)) || left.n != before - inner.n) return false;
    *a = left;
    *room = fv_affine_add(a, fv_op2(ctx, FV_X_MOD, x, fv_int(ctx, n)), c);
    return true;
}
bool fv_affine_recombine(fv_ctx *ctx, fv_affine *a) {
    bool room = true;
    for (int i = 0; i < a->n && room; i++) {
        const fv_expr *t = a->term[i].atom;
        if (fv_is_divmod(t, FV_X_MOD) && join(ctx, a, i, &room)) i = -1;
        else if (ctx && fv_is_divmod(t, FV_X_FLOORDIV) && remainder_of(ctx, a, i, &room)) i = -1;
    }
    return room;
}

/* -- Building ------------------------------------------------------------------------------------------------------ */
static const fv_expr *chain(fv_ctx *ctx, const fv_affine *a) {
    const fv_expr *e = NULL;
    for (int i = 0; i < a->n; i++) {
        const fv_expr *t = a->term[i].atom;
        if (a->term[i].coef != 1) t = fv_cons2(ctx, FV_X_MUL, FV_I32, t, fv_int(ctx, a->term[i].coef));
        e = e ? fv_cons2(ctx, FV_X_ADD, FV_I32, e, t) : t;
    }
    if (!e) return fv_int(ctx, a->constant);
    return a->constant ? fv_cons2(ctx, FV_X_ADD, FV_I32, e, fv_int(ctx, a->constant)) : e;
}
const fv_expr *fv_affine_expr(fv_ctx *ctx, const fv_affine *a) {
    fv_affine s = {.constant = a->constant};
    for (int i = 0; i < a->n; i++)                    /* a caller's list need not be sorted, nor its atoms be atoms */
        if (!fv_affine_add(&s, fv_to_i32(ctx, a->term[i].atom), a->term[i].coef)) return chain(ctx, a);
    fv_affine whole = s;
    return chain(ctx, fv_affine_recombine(ctx, &s) ? &s : &whole);
}
bool fv_split_affine(fv_ctx *ctx, const fv_expr *e, const fv_expr *leaf, int64_t *coef, const fv_expr **rest) {
    fv_affine s;
    *coef = 0;
    if (!fv_affine_of(e, &s)) return false;
    for (int i = 0; i < s.n; i++) {
        if (s.term[i].atom == leaf) *coef = s.term[i].coef;
        else if (fv_uses(s.term[i].atom, leaf)) return false;
    }
    for (int i = 0; i < s.n; i++) if (s.term[i].atom == leaf) { fv_affine_drop(&s, i); break; }
    *rest = *coef ? fv_affine_expr(ctx, &s) : e;
    return true;
}
