/* Folding of float operations (exact ones only: never x + 0, never x * 0), comparisons, logic and where. Scalars,
 * operands of one type. */
#include "expr/expr_internal.h"

#include <math.h>

/* -- Floats -------------------------------------------------------------------------------------------------------- */
static bool is_float(const fv_expr *e, double v) {
    return e->op == FV_X_FLOAT && e->f == v && !signbit(e->f) == !signbit(v);
}
static const fv_expr *float_binary(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    switch (op) {
    case FV_X_ADD:                                     /* -0 is the neutral one; x + 0 turns -0 into 0 */
        if (is_float(b, -0.0)) return a;
        return is_float(a, -0.0) ? b : NULL;
    case FV_X_SUB: return is_float(b, 0.0) ? a : NULL;
    case FV_X_MUL:
        if (is_float(b, 1.0)) return a;
        if (is_float(a, 1.0)) return b;
        if (is_float(b, -1.0)) return fv_op1(ctx, FV_X_NEG, a);
        return is_float(a, -1.0) ? fv_op1(ctx, FV_X_NEG, b) : NULL;
    case FV_X_DIV: case FV_X_POW: return is_float(b, 1.0) ? a : NULL;
    case FV_X_MIN: case FV_X_MAX: return a == b ? a : NULL;
    default: return NULL;
    }
}
const fv_expr *fv_fold_float(fv_ctx *ctx, fv_op op, fv_type t, const fv_expr *a, const fv_expr *b) {
    if (a->op == FV_X_FLOAT && (!b || b->op == FV_X_FLOAT)) {
        double v[2] = {a->f, b ? b->f : 0};
        return fv_float_of(ctx, t, fv_apply(op, t, v));
    }
    if (!b) {
        if (a->op == op && (op == FV_X_NEG || op == FV_X_ABS || op == FV_X_SAFE)) return op == FV_X_NEG ? a->arg[0] : a;
        if (op == FV_X_ABS && a->op == FV_X_NEG) a = a->arg[0];
        return fv_cons1(ctx, op, t, a);
    }
    const fv_expr *e = float_binary(ctx, op, a, b);
    if (e && e->type == t) return e;
    return fv_cons2(ctx, op, t, a, b);
}

/* -- Comparisons --------------------------------------------------------------------------------------------------- */
static bool decide(fv_op op, double a, double b) {
    switch (op) {
    case FV_X_LT: return a < b;
    case FV_X_LE: return a <= b;
    case FV_X_EQ: return a == b;
    default: return a != b;
    }
}
static bool decide_sign(fv_op op, int64_t d) {        /* of the difference of two integers */
    switch (op) {
    case FV_X_LT: return d < 0;
    case FV_X_LE: return d <= 0;
    case FV_X_EQ: return d == 0;
    default: return d != 0;
    }
}
static const fv_expr *compare_bool(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    if (a == b) return fv_bool(ctx, op == FV_X_EQ);
    if (b->op == FV_X_INT) return (b->i != 0) == (op == FV_X_EQ) ? a : fv_fold_not(ctx, a);
    if (a->op == FV_X_INT) return (a->i != 0) == (op == FV_X_EQ) ? b : fv_fold_not(ctx, b);
    return NULL;
}
const fv_expr *fv_fold_compare(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    if (fv_type_is_float(a->type)) {
        if (a->op == FV_X_FLOAT && b->op == FV_X_FLOAT) return fv_bool(ctx, decide(op, a->f, b->f));
        if (op == FV_X_LT && a == b) return fv_bool(ctx, false);
    } else if (a->type == FV_BOOL) {
        const fv_expr *e = compare_bool(ctx, op, a, b);
        if (e) return e;
    } else {
        fv_affine d;
        if (fv_affine_diff(a, b, &d)) {
            if (d.n == 0) return fv_bool(ctx, decide_sign(op, d.constant));
            if ((op == FV_X_EQ || op == FV_X_NE) && d.constant % fv_affine_gcd(&d)) return fv_bool(ctx, op == FV_X_NE);
        }
    }
    if (op == FV_X_EQ || op == FV_X_NE) {              /* symmetric: constants right, else by id */
        bool a_const = a->op == FV_X_INT || a->op == FV_X_FLOAT, b_const = b->op == FV_X_INT || b->op == FV_X_FLOAT;
        if (a_const > b_const || (a_const == b_const && a->id > b->id)) { const fv_expr *t = a; a = b; b = t; }
    }
    return fv_cons2(ctx, op, FV_BOOL, a, b);
}

/* -- Logic --------------------------------------------------------------------------------------------------------- */
const fv_expr *fv_fold_not(fv_ctx *ctx, const fv_expr *a) {
    if (a->op == FV_X_INT) return fv_bool(ctx, !a->i);
    if (a->op == FV_X_NOT) return a->arg[0];
    if (a->op == FV_X_EQ) return fv_fold_compare(ctx, FV_X_NE, a->arg[0], a->arg[1]);
    if (a->op == FV_X_NE) return fv_fold_compare(ctx, FV_X_EQ, a->arg[0], a->arg[1]);
    bool ordered = a->n == 2 && !fv_type_is_float(a->arg[0]->type);   /* NaN makes both of < and >= false */
    if (ordered && a->op == FV_X_LT) return fv_fold_compare(ctx, FV_X_LE, a->arg[1], a->arg[0]);
    if (ordered && a->op == FV_X_LE) return fv_fold_compare(ctx, FV_X_LT, a->arg[1], a->arg[0]);
    return fv_cons1(ctx, FV_X_NOT, FV_BOOL, a);
}
/* Is b the negation of a, as the builders write it? */
static bool opposite(const fv_expr *a, const fv_expr *b) {
    if ((a->op == FV_X_NOT && a->arg[0] == b) || (b->op == FV_X_NOT && b->arg[0] == a)) return true;
    if ((a->op == FV_X_EQ && b->op == FV_X_NE) || (a->op == FV_X_NE && b->op == FV_X_EQ))
        return a->arg[0] == b->arg[0] && a->arg[1] == b->arg[1];
    if (!((a->op == FV_X_LT && b->op == FV_X_LE) || (a->op == FV_X_LE && b->op == FV_X_LT))) return false;
    return !fv_type_is_float(a->arg[0]->type) && a->arg[0] == b->arg[1] && a->arg[1] == b->arg[0];
}
const fv_expr *fv_fold_logic(fv_ctx *ctx, fv_op op, const fv_expr *a, const fv_expr *b) {
    bool neutral = op == FV_X_AND;
    if (a->op == FV_X_INT) return (a->i != 0) == neutral ? b : a;
    if (b->op == FV_X_INT) return (b->i != 0) == neutral ? a : b;
    if (a == b) return a;
    if (opposite(a, b)) return fv_bool(ctx, !neutral);
    return fv_cons2(ctx, op, FV_BOOL, a, b);
}
const fv_expr *fv_fold_where(fv_ctx *ctx, const fv_expr *c, const fv_expr *a, const fv_expr *b) {
    if (a == b) return a;
    if (c->op == FV_X_NOT) return fv_fold_where(ctx, c->arg[0], b, a);
    if (a->type == FV_BOOL && a->op == FV_X_INT && b->op == FV_X_INT) return a->i ? c : fv_fold_not(ctx, c);
    if (a->op == FV_X_WHERE && a->arg[0] == c) a = a->arg[1];
    if (b->op == FV_X_WHERE && b->arg[0] == c) b = b->arg[2];
    if (a == b) return a;
    const fv_expr *arg[3] = {c, a, b};
    return fv_cons(ctx, FV_X_WHERE, a->type, 1, 0, NULL, arg, 3);
}
