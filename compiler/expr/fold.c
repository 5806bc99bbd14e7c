/* Folding of integer products, quotients, remainders, minima and maxima that hold whatever the leaves are. Operands
 * are canonical scalars of type i32; results are canonical. Identities (n > 0): (n*a + b) // n = a + b // n; (g*a +
 * c) // (g*n) = (a + c // g) // n; (x // a + c) // b = (x + a*c) // (a*b); (x % (a*b)) // a = (x // a) % b; (x %
 * (a*b)) % b = x % b. */
#include "expr/expr_internal.h"

#define DIVISOR_MAX (INT64_C(1) << 31)

/* -- Products --------------------------------------------------------------------------------------------------- */
static const fv_expr *scale(fv_ctx *ctx, const fv_expr *a, int64_t k) {
    fv_affine s = {0};
    if (fv_affine_add(&s, a, k)) return fv_affine_expr(ctx, &s);
    return fv_cons2(ctx, FV_X_MUL, FV_I32, a, fv_int(ctx, k));
}
const fv_expr *fv_fold_mul(fv_ctx *ctx, const fv_expr *a, const fv_expr *b) {
    if (b->op == FV_X_INT) return scale(ctx, a, b->i);
    if (a->op == FV_X_INT) return scale(ctx, b, a->i);
    int64_t k = 1;
    if (fv_is_scaled(a)) { k = fv_wmul(k, a->arg[1]->i); a = a->arg[0]; }
    if (fv_is_scaled(b)) { k = fv_wmul(k, b->arg[1]->i); b = b->arg[0]; }
    const fv_expr *p = a->id < b->id ? fv_cons2(ctx, FV_X_MUL, FV_I32, a, b) : fv_cons2(ctx, FV_X_MUL, FV_I32, b, a);
    return k == 1 ? p : scale(ctx, p, k);
}

/* -- Quotients and remainders by a positive constant --------------------------------------------------------------- */
static const fv_expr *divide(fv_ctx *ctx, const fv_expr *e, int64_t n);
static const fv_expr *modulo(fv_ctx *ctx, const fv_expr *e, int64_t n);

/* The one atom of r if r = atom + constant. */
static const fv_expr *single(const fv_affine *r) { return r->n == 1 && r->term[0].coef == 1 ? r->term[0].atom : NULL; }
/* Is r inside 0..n-1 because its one atom is a small remainder? */
static bool small_remainder(const fv_affine *r, int64_t n) {
    const fv_expr *t = single(r);
    return t && fv_is_divmod(t, FV_X_MOD) && r->constant >= 0 && t->arg[1]->i + r->constant <= n;
}
static void reduce_gcd(fv_affine *r, int64_t g) {
    for (int i = 0; i < r->n; i++) r->term[i].coef /= g;
    r->constant = fv_floordiv(r->constant, g);
}
/* r // n for the part of a dividend that n does not divide term by term; 0 <= r.constant < n. */
static const fv_expr *divide_rest(fv_ctx *ctx, fv_affine *r, int64_t n) {
    int64_t g = fv_gcd(fv_affine_gcd(r), n);
    if (g > 1) { reduce_gcd(r, g); n /= g; }
    if (n == 1) return fv_affine_expr(ctx, r);
    if (r->n == 0 || small_remainder(r, n)) return fv_int(ctx, 0);
    const fv_expr *t = single(r);
    if (t && fv_is_divmod(t, FV_X_FLOORDIV) && t->arg[1]->i <= DIVISOR_MAX / n) {
        fv_affine s = {0};
        int64_t m = t->arg[1]->i;
        if (fv_affine_add(&s, t->arg[0], 1)) {
            s.constant = fv_wadd(s.constant, fv_wmul(m, r->constant));
            return divide(ctx, fv_affine_expr(ctx, &s), m * n);
        }
    }
    if (t && fv_is_divmod(t, FV_X_MOD) && !r->constant && t->arg[1]->i % n == 0)
        return modulo(ctx, divide(ctx, t->arg[0], n), t->arg[1]->i / n);
    return fv_cons2(ctx, FV_X_FLOORDIV, FV_I32, fv_affine_expr(ctx, r), fv_int(ctx, n));
}
static const fv_expr *divide(fv_ctx *ctx, const fv_expr *e, int64_t n) {
    fv_affine a, q = {0}, r = {0};
    if (n == 1) return e;
    if (!fv_affine_of(e, &a)) return fv_cons2(ctx, FV_X_FLOORDIV, FV_I32, e, fv_int(ctx, n));
    for (int i = 0; i < a.n; i++) {
        bool whole = a.term[i].coef % n == 0;
        fv_affine_term(whole ? &q : &r, a.term[i].atom, whole ? a.term[i].coef / n : a.term[i].coef);
    }
    q.constant = fv_floordiv(a.constant, n);
    r.constant = fv_floormod(a.constant, n);
    const fv_expr *rest = divide_rest(ctx, &r, n);
    return q.n || q.constant ? fv_add(ctx, fv_affine_expr(ctx, &q), rest) : rest;
}
/* Terms that n divides vanish; an inner remainder by a multiple of n is opened. Repeats while something opens. */
static bool reduce_mod(fv_affine *a, int64_t n) {
    for (int i = 0; i < a->n; i++) {
        const fv_expr *t = a->term[i].atom;
        int64_t k = a->term[i].coef;
        if (k % n == 0) {
            fv_affine_drop(a, i);
            i = -1;
        } else if (fv_is_divmod(t, FV_X_MOD) && fv_wmul(k % n, t->arg[1]->i % n) % n == 0) {
            fv_affine_drop(a, i);
            if (!fv_affine_add(a, t->arg[0], k)) return false;
            i = -1;
        }
    }
    a->constant = fv_floormod(a->constant, n);
    return true;
}
static const fv_expr *modulo(fv_ctx *ctx, const fv_expr *e, int64_t n) {
    fv_affine a;
    if (n == 1) return fv_int(ctx, 0);
    if (n > DIVISOR_MAX || !fv_affine_of(e, &a) || !reduce_mod(&a, n))
        return fv_cons2(ctx, FV_X_MOD, FV_I32, e, fv_int(ctx, n));
    fv_affine whole = a;
    if (!fv_affine_recombine(ctx, &a)) a = whole;
    if (a.n == 0) return fv_int(ctx, fv_floormod(a.constant, n));
    int64_t g = fv_gcd(fv_affine_gcd(&a), n), left = fv_floormod(a.constant, g);
    if (g > 1) {                                       /* (g*X + c) % (g*m) = g * ((X + c // g) % m) + c % g */
        reduce_gcd(&a, g);
        const fv_expr *m = modulo(ctx, fv_affine_expr(ctx, &a), n / g);
        return fv_addi(ctx, scale(ctx, m, g), left);
    }
    if (small_remainder(&a, n)) return fv_affine_expr(ctx, &a);
    return fv_cons2(ctx, FV_X_MOD, FV_I32, fv_affine_expr(ctx, &a), fv_int(ctx, n));
}
/* By anything but a number other than 0: only 0 // x and 0 % x fold. */
static const fv_expr *by_unknown(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    return a->op == FV_X_INT && !a->i && b->op != FV_X_INT ? a : fv_cons2(ctx, op, FV_I32, a, b);
}
const fv_expr *fv_fold_floordiv(fv_ctx *ctx, const fv_expr *a, const fv_expr *b) {
    if (b->op != FV_X_INT || b->i == 0) return by_unknown(ctx, FV_X_FLOORDIV, a, b);
    return b->i > 0 ? divide(ctx, a, b->i) : divide(ctx, scale(ctx, a, -1), fv_wneg(b->i));
}
const fv_expr *fv_fold_mod(fv_ctx *ctx, const fv_expr *a, const fv_expr *b) {
    if (b->op != FV_X_INT || b->i == 0) return by_unknown(ctx, FV_X_MOD, a, b);
    return b->i > 0 ? modulo(ctx, a, b->i) : scale(ctx, modulo(ctx, scale(ctx, a, -1), fv_wneg(b->i)), -1);
}
const fv_expr *fv_fold_exact(fv_ctx *ctx, const fv_expr *a, const fv_expr *b) {
    fv_affine s;
    if (b->op != FV_X_INT || b->i <= 0 || !fv_affine_of(a, &s)) return fv_cons2(ctx, FV_X_EXACT, FV_I32, a, b);
    bool whole = s.constant % b->i == 0 && fv_affine_gcd(&s) % b->i == 0;
    return whole ? divide(ctx, a, b->i) : fv_cons2(ctx, FV_X_EXACT, FV_I32, a, b);
}

/* -- Minima and maxima: a chain in order of ids, at most one constant, last --------------------------------------- */
static bool is_minmax(const fv_expr *e, fv_op op) { return e->op == op && e->type == FV_I32 && e->lanes == 1; }
bool fv_minmax_args(const fv_expr *e, fv_op op, const fv_expr **out, int *n, int cap) {
    for (; is_minmax(e, op); e = e->arg[0]) {
        if (is_minmax(e->arg[1], op)) { if (!fv_minmax_args(e->arg[1], op, out, n, cap)) return false; continue; }
        if (*n == cap) return false;
        out[(*n)++] = e->arg[1];
    }
    if (*n == cap) return false;
    out[(*n)++] = e;
    return true;
}
/* Which of two that lie a constant apart does op choose? 0: not comparable, 1: a, 2: b. */
static int better(fv_op op, const fv_expr *a, const fv_expr *b) {
    fv_affine d;
    if (a == b) return 1;
    if (!fv_affine_diff(a, b, &d) || d.n) return 0;
    return (op == FV_X_MIN) == (d.constant <= 0) ? 1 : 2;
}
/* max(min(.., c), d) with d >= c is d, and the other way round. */
static bool absorbs(fv_op op, const fv_expr *chain, int64_t d) {
    fv_op other = op == FV_X_MIN ? FV_X_MAX : FV_X_MIN;
    if (!is_minmax(chain, other) || chain->arg[1]->op != FV_X_INT) return false;
    return op == FV_X_MAX ? d >= chain->arg[1]->i : d <= chain->arg[1]->i;
}
static bool before(const fv_expr *a, const fv_expr *b) {
    if ((a->op == FV_X_INT) != (b->op == FV_X_INT)) return b->op == FV_X_INT;
    return a->id < b->id;
}
const fv_expr *fv_fold_minmax(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    const fv_expr *in[FV_MINMAX_CAP], *keep[FV_MINMAX_CAP];
    int n = 0, m = 0;
    if (!fv_minmax_args(a, op, in, &n, FV_MINMAX_CAP) || !fv_minmax_args(b, op, in, &n, FV_MINMAX_CAP))
        return before(a, b) ? fv_cons2(ctx, op, FV_I32, a, b) : fv_cons2(ctx, op, FV_I32, b, a);
    for (int i = 0; i < n; i++) {
        int j = 0, won = 0;
        while (j < m && !(won = better(op, keep[j], in[i]))) j++;
        if (won == 1) continue;
        if (won == 2) { for (int k = j; k + 1 < m; k++) keep[k] = keep[k + 1]; m--; }
        int at = m++;
        for (; at > 0 && before(in[i], keep[at - 1]); at--) keep[at] = keep[at - 1];
        keep[at] = in[i];
    }
    if (m > 1 && keep[m - 1]->op == FV_X_INT) {
        int64_t d = keep[m - 1]->i;
        for (int i = 0; i < m - 1; i++)
            if (absorbs(op, keep[i], d)) { for (int k = i; k + 1 < m; k++) keep[k] = keep[k + 1]; m--; i--; }
    }
    const fv_expr *e = keep[0];
    for (int i = 1; i < m; i++) e = fv_cons2(ctx, op, FV_I32, e, keep[i]);
    return e;
}
