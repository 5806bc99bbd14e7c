/* Indices that conditions bound as they stand: 13 A + B + 9 where 0 <= A < 13 and 0 <= B < 13 are among the conditions,
 * whatever A and B are made of. Invariant: every step replaces terms by a bound that a condition gives, so that what
 * is proved holds for all integers, within whatever ranges their leaves have. */
#include "kernel/tile_prove.h"

#include <string.h>

/* sum of the terms >= least */
typedef struct {
    fv_affine terms;
    int64_t least;
} bound;

static int64_t coefficient(const fv_affine *a, const fv_expr *atom) {
    for (int i = 0; i < a->n; i++)
        if (a->term[i].atom == atom) return a->term[i].coef;
    return 0;
}
/* a <= b and a < b as a bound of b - a. */
static bool bound_of(fv_ctx *c, const fv_expr *cond, bound *out) {
    if ((cond->op != FV_X_LE && cond->op != FV_X_LT) || cond->arg[0]->type != FV_I32) return false;
    if (!fv_affine_of(fv_op2(c, FV_X_SUB, cond->arg[1], cond->arg[0]), &out->terms)) return false;
    out->least = (cond->op == FV_X_LT) - out->terms.constant;
    out->terms.constant = 0;
    return out->terms.n > 0;
}
/* How many times the bound's terms, all of them, are in a; 0: they are not. */
static int64_t times(const fv_affine *a, const bound *b) {
    int64_t k = coefficient(a, b->terms.term[0].atom) / b->terms.term[0].coef;
    for (int i = 0; i < b->terms.n; i++)
        if (coefficient(a, b->terms.term[i].atom) != k * b->terms.term[i].coef) return 0;
    return k > 0 ? k : 0;
}
static void replace(fv_affine *a, const bound *b, int64_t k) {
    int n = 0;
    for (int i = 0; i < a->n; i++)
        if (!coefficient(&b->terms, a->term[i].atom)) a->term[n++] = a->term[i];
    a->n = n;
    a->constant += k * b->least;
}
static bool never_negative(fv_prover *p, const fv_expr *e, const bound *b, int n) {
    fv_affine a;
    if (!fv_affine_of(e, &a)) return false;
    for (int i = 0; i < n; i++) {
        int64_t k = a.n ? times(&a, &b[i]) : 0;
        if (k && k < INT32_MAX && b[i].least > INT32_MIN && b[i].least < INT32_MAX) replace(&a, &b[i], k);
    }
    return fv_range_of(&p->facts, fv_affine_expr(p->ctx, &a)).lo >= 0;
}
bool fv_prove_by_sums(fv_prover *p, const fv_expr *e, int64_t extent, const fv_expr *const *cond, int n_conds) {
    bound b[FV_PROVE_CONDS];
    int n = 0;
    for (int i = 0; i < n_conds && n < FV_PROVE_CONDS; i++) n += bound_of(p->ctx, cond[i], &b[n]);
    return never_negative(p, e, b, n) &&
           never_negative(p, fv_op2(p->ctx, FV_X_SUB, fv_int(p->ctx, extent - 1), e), b, n);
}
