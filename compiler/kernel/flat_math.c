/* flat_math: pass that expands transcendental functions of f32 into arithmetic, RINT, SCALEF, MANTISSA and EXPONENT,
 * and SAFE into a WHERE. Shared parts are bound by LETs ("math.N") in front of the statement, so that the text stays
 * linear in size. f64 stays as it is. Errors: docs/numerics.md.
 *
 * The polynomials are minimax fits (Lawson's iteration on a Chebyshev grid, coefficients rounded to f32 one by one, the
 * rest refitted). */
#include "kernel/flat.h"

#include <math.h>

typedef struct { fv_ctx *ctx; const fv_target *target; fv_flats *out; int *names; fv_loc loc; fv_str label; } pass;
typedef const fv_expr *E;

/* -- Small builders ---------------------------------------------------------------------------- */
static E num(pass *p, double v) { return fv_float(p->ctx, v); }
static E add(pass *p, E a, E b) { return fv_op2(p->ctx, FV_X_ADD, a, b); }
static E sub(pass *p, E a, E b) { return fv_op2(p->ctx, FV_X_SUB, a, b); }
static E mul(pass *p, E a, E b) { return fv_op2(p->ctx, FV_X_MUL, a, b); }
static E fma3(pass *p, E a, E b, E c) { return fv_op3(p->ctx, FV_X_FMA, a, b, c); }
static E less(pass *p, E a, E b) { return fv_op2(p->ctx, FV_X_LT, a, b); }
static E where(pass *p, E c, E a, E b) { return fv_op3(p->ctx, FV_X_WHERE, c, a, b); }
static E unary(pass *p, fv_op op, E a) { return fv_op1(p->ctx, op, a); }
static E rint1(pass *p, E a) { return fv_make(p->ctx, FV_X_RINT, FV_F32, a->lanes, 0, NULL, &a, 1); }

static E scalef(pass *p, E a, E n) {
    E arg[2] = { a, n };
    return fv_make(p->ctx, FV_X_SCALEF, FV_F32, a->lanes, 0, NULL, arg, 2);
}

/* The constant goes first: MIN and MAX then pass a NaN of x in one instruction. */
static E clamp(pass *p, E x, double lo, double hi) {
    return fv_op2(p->ctx, FV_X_MIN, num(p, hi), fv_op2(p->ctx, FV_X_MAX, num(p, lo), x));
}

static E bind(pass *p, E e) {
    if (e->op == FV_X_VAR || e->op == FV_X_FLOAT || (e->op == FV_X_SPLAT && e->arg[0]->op == FV_X_FLOAT)) return e;
    fv_flat *let = fv_flats_add(p->out, fv_flat_new(p->ctx, FV_L_LET));
    let->loc = p->loc;
    let->label = p->label;
    let->name = fv_internf(p->ctx, "math.%d", (*p->names)++);
    let->expr = e;
    return fv_var_n(p->ctx, let->name, e->type, e->lanes);
}

/* c[0] + x * (c[1] + x * (…)) */
static E horner(pass *p, E x, const double *c, int n) {
    E r = num(p, c[n - 1]);
    for (int i = n - 2; i >= 0; i--) r = fma3(p, r, x, num(p, c[i]));
    return r;
}
#define HORNER(p, x, c) horner((p), (x), (c), (int)(sizeof(c) / sizeof((c)[0])))

/* -- Exponentials ------------------------------------------------------------------------------ */
/* 2^r on -1/2..1/2; of degree 5 exactly 1 at 0, the others of least relative error. */
static const double exp2_c[] = { 1.0, 0.693147004, 0.240222469, 0.0555071086, 0.00967129227, 0.00132695353 };
static const double exp2_c2[] = { 1.0004431, 0.703448057, 0.238429189 };
static const double exp2_c3[] = { 0.999928057, 0.693260968, 0.242611215, 0.0551717654 };

/* 2^(x + tail), |tail| tiny. With scalef, n = -inf gives 0 whatever the polynomial (a NaN there), and +inf gives inf;
 * else the argument is clamped. */
static E expand_exp2(pass *p, E x, E tail, int64_t degree) {
    x = bind(p, p->target->scalef && !tail ? x : clamp(p, x, -150, 129));
    E n = bind(p, rint1(p, x));
    E r = sub(p, x, n);
    r = bind(p, tail ? add(p, r, tail) : r);
    return scalef(p, degree == 2 ? HORNER(p, r, exp2_c2) : degree == 3 ? HORNER(p, r, exp2_c3) : HORNER(p, r, exp2_c), n);
}

/* n = rint(x log2 e); f = x - n ln 2 in two exact steps (the high part of ln 2 has 9 bits); e^f = 1 + (f + f^2
 * q(f)). */
static const double exp_c[] = { 0.49999994, 0.166665211, 0.0416682661, 0.00836867746, 0.00138207339 };
static const double ln2_hi = 0.693359375, ln2_lo = -2.12194440e-4, log2_e = 1.44269502;

static E expand_exp(pass *p, E x) {
    x = bind(p, clamp(p, x, -104, 89));
    E n = bind(p, rint1(p, mul(p, x, num(p, log2_e))));
    E f = fma3(p, n, num(p, -ln2_hi), x);
    f = bind(p, fma3(p, n, num(p, -ln2_lo), f));
    E e = fma3(p, mul(p, f, f), HORNER(p, f, exp_c), f);
    return scalef(p, add(p, e, num(p, 1)), n);
}

/* -- Logarithms -------------------------------------------------------------------------------- */
/* x = 2^e (1 + t), t in sqrt(1/2)-1 .. sqrt(2)-1; ln(1 + t) = t - t^2/2 + t^3 P(t). Denormals are scaled first. */
static const double log_c[] = { 0.333333313, -0.250008196, 0.200012416, -0.166234091, 0.1420158, -0.131596103,
    0.127622172, -0.0763643906 };
typedef struct { E e, t, square, cube; } log_parts;     /* exponent, t, t^2, t^3 P(t) */

static log_parts split_log(pass *p, E x) {
    E tiny = bind(p, less(p, x, num(p, 0x1p-126)));
    E scaled = bind(p, where(p, tiny, mul(p, x, num(p, 0x1p23)), x));
    E m = bind(p, fv_make(p->ctx, FV_X_MANTISSA, FV_F32, x->lanes, 0, NULL, &scaled, 1));
    E e = fv_make(p->ctx, FV_X_EXPONENT, FV_F32, x->lanes, 0, NULL, &scaled, 1);
    E big = bind(p, less(p, num(p, 1.41421354), m));
    log_parts r;
    r.e = bind(p, add(p, add(p, e, where(p, big, num(p, 1), num(p, 0))), where(p, tiny, num(p, -23), num(p, 0))));
    r.t = bind(p, sub(p, where(p, big, mul(p, m, num(p, 0.5)), m), num(p, 1)));
    r.square = bind(p, mul(p, r.t, r.t));
    r.cube = mul(p, mul(p, r.t, r.square), HORNER(p, r.t, log_c));
    return r;
}

static E log_specials(pass *p, E x, E r) {
    double inf = (double)INFINITY;
    r = where(p, fv_op2(p->ctx, FV_X_EQ, x, num(p, inf)), num(p, inf), r);
    E other = where(p, fv_op2(p->ctx, FV_X_EQ, x, num(p, 0)), num(p, -inf), num(p, (double)NAN));
    return where(p, less(p, num(p, 0), x), r, other);
}

static E ln_of_one_plus_t(pass *p, const log_parts *l) {
    return add(p, l->t, fma3(p, num(p, -0.5), l->square, l->cube));
}

static E expand_log(pass *p, E x, bool base2) {
    x = bind(p, x);
    log_parts l = split_log(p, x);
    E r;
    if (base2) r = fma3(p, ln_of_one_plus_t(p, &l), num(p, log2_e), l.e);
    else {
        E y = fma3(p, l.e, num(p, ln2_lo), l.cube);
        y = fma3(p, num(p, -0.5), l.square, y);
        r = fma3(p, l.e, num(p, ln2_hi), add(p, l.t, y));
    }
    return log_specials(p, x, bind(p, r));
}

/* -- Powers ------------------------------------------------------------------------------------ */
static bool constant_of(E e, double *v) {
    if (e->op == FV_X_SPLAT) e = e->arg[0];
    if (e->op == FV_X_FLOAT) *v = e->f;
    return e->op == FV_X_FLOAT;
}

/* x^n by squaring, 0 < n <= 16. */
static E power_by_products(pass *p, E x, int n) {
    E result = NULL, square = bind(p, x);
    for (;; n >>= 1) {
        if (n & 1) result = result ? mul(p, result, square) : square;
        if (n <= 1) return result;
        square = bind(p, mul(p, square, square));
    }
}

/* |x|^y = 2^(y log2 |x|) with log2 |x| as a sum of two floats; then the signs and corners of C's pow. */
static E general_power(pass *p, E x, E y) {
    double inf = (double)INFINITY;
    x = bind(p, x);
    y = bind(p, y);
    E ax = bind(p, unary(p, FV_X_ABS, x));
    log_parts l = split_log(p, ax);
    E fraction = bind(p, mul(p, ln_of_one_plus_t(p, &l), num(p, log2_e)));
    E hi = bind(p, add(p, l.e, fraction));
    E lo = sub(p, fraction, sub(p, hi, l.e));
    E product = bind(p, mul(p, y, hi));
    E tail = fma3(p, y, lo, fma3(p, y, hi, unary(p, FV_X_NEG, product)));
    tail = bind(p, where(p, less(p, unary(p, FV_X_ABS, product), num(p, 200)), tail, num(p, 0)));
    E r = bind(p, expand_exp2(p, product, tail, 0));
    /* |x| = 0 and |x| = inf: 0 or inf by the sign of y */
    E up = where(p, less(p, num(p, 1), ax), y, unary(p, FV_X_NEG, y));
    E corner = fv_op2(p->ctx, FV_X_OR, fv_op2(p->ctx, FV_X_EQ, ax, num(p, 0)),
                      fv_op2(p->ctx, FV_X_EQ, ax, num(p, inf)));
    r = where(p, corner, where(p, less(p, num(p, 0), up), num(p, inf), num(p, 0)), r);
    r = where(p, fv_op2(p->ctx, FV_X_EQ, ax, num(p, 1)), num(p, 1), r);
    /* x < 0: only for whole y; odd ones change the sign. All floats beyond 2^24 are even. */
    E half = bind(p, mul(p, y, num(p, 0.5)));
    E odd = fv_op2(p->ctx, FV_X_NE, half, rint1(p, half));
    E whole = fv_op2(p->ctx, FV_X_EQ, y, rint1(p, y));
    r = bind(p, r);
    E negative = where(p, whole, where(p, odd, unary(p, FV_X_NEG, r), r), num(p, (double)NAN));
    r = where(p, fv_op2(p->ctx, FV_X_AND, less(p, x, num(p, 0)), less(p, num(p, -inf), x)), negative, r);
    E nan = fv_op2(p->ctx, FV_X_OR, unary(p, FV_X_ISNAN, x), unary(p, FV_X_ISNAN, y));
    r = where(p, nan, num(p, (double)NAN), r);
    E one = fv_op2(p->ctx, FV_X_OR, fv_op2(p->ctx, FV_X_EQ, y, num(p, 0)), fv_op2(p->ctx, FV_X_EQ, x, num(p, 1)));
    return where(p, one, num(p, 1), r);
}

static E expand_pow(pass *p, E x, E y) {
    double c;
    if (!constant_of(y, &c)) return general_power(p, x, y);
    if (c == 0) return where(p, less(p, x, x), num(p, 1), num(p, 1));       /* a one for every lane of x */
    double n = fabs(c);
    if (n == 0.5) {
        E root = unary(p, FV_X_SQRT, x);
        return c > 0 ? root : fv_op2(p->ctx, FV_X_DIV, num(p, 1), root);
    }
    if (n <= 16 && n == floor(n)) {
        E r = power_by_products(p, x, (int)n);
        return c > 0 ? r : fv_op2(p->ctx, FV_X_DIV, num(p, 1), r);
    }
    return general_power(p, x, y);
}

/* -- Others ------------------------------------------------------------------------------------ */
/* erf |x| = 1 - 2^(-|x| g(|x|)): g is smooth, and grows for all arguments, so that nothing needs a clamp. */
static const double erf_c[] = { 1.62790859, 0.91841644, 0.148481473, -0.0282534659, 0.000774439948, 0.00148954755,
    -0.000445543847, 4.5364206e-05 };

static E expand_erf(pass *p, E x) {
    x = bind(p, x);
    E a = bind(p, unary(p, FV_X_ABS, x));
    E power = expand_exp2(p, mul(p, unary(p, FV_X_NEG, a), HORNER(p, a, erf_c)), NULL, 0);
    E r = bind(p, sub(p, num(p, 1), power));
    return where(p, less(p, x, num(p, 0)), unary(p, FV_X_NEG, r), r);
}

/* tanh x = x (1 + t P(t)) / (1 + t Q(t)), t = x^2, on -8.8..8.8; beyond it is 1 in f32. */
static const double tanh_p[] = { 0.130941013, 0.00311523117, 1.12726092e-05, -2.07093876e-08, 5.51461944e-11,
    -9.10896764e-14 };
static const double tanh_q[] = { 1.0, 0.464274313, 0.0245400658, 0.000256258037 };

static E expand_tanh(pass *p, E x) {
    x = bind(p, clamp(p, x, -8.8, 8.8));
    E t = bind(p, mul(p, x, x));
    E above = fma3(p, mul(p, x, t), HORNER(p, t, tanh_p), x);
    return fv_op2(p->ctx, FV_X_DIV, above, HORNER(p, t, tanh_q));
}

/* sin x = ±sin r, r = x - n pi in -pi/2..pi/2, n whole; cos x the same with n = whole - 1/2. pi in three parts of 11,
 * 11 and 24 bits: the first two products are exact for |n| < 2^12. */
static const double sin_c[] = { -0.166666597, 0.00833306927, -0.000198097681, 2.60605384e-06 };

static E expand_sin(pass *p, E x, bool cosine) {
    const double inv_pi = 0.318309873, part1 = 3.140625, part2 = 0.0009675025939941406, part3 = 1.509958e-07;
    x = bind(p, x);
    E n = bind(p, rint1(p, fma3(p, x, num(p, inv_pi), num(p, cosine ? 0.5 : 0))));
    E m = cosine ? bind(p, sub(p, n, num(p, 0.5))) : n;
    E r = fma3(p, m, num(p, -part1), x);
    r = fma3(p, m, num(p, -part2), r);
    r = bind(p, fma3(p, m, num(p, -part3), r));
    E t = bind(p, mul(p, r, r));
    E s = bind(p, fma3(p, mul(p, r, t), HORNER(p, t, sin_c), r));
    E half = bind(p, mul(p, n, num(p, 0.5)));
    E odd = fv_op2(p->ctx, FV_X_NE, half, rint1(p, half));
    return where(p, odd, unary(p, FV_X_NEG, s), s);
}

static E expand_safe(pass *p, E m) {
    m = bind(p, m);
    return where(p, fv_op2(p->ctx, FV_X_EQ, m, num(p, -(double)INFINITY)), num(p, 0), m);
}

/* -- The pass ---------------------------------------------------------------------------------- */
static E expand_node(fv_ctx *ctx, E e, void *user) {
    pass *p = user;
    (void)ctx;
    if (e->type != FV_F32) return e;
    switch (e->op) {
    case FV_X_EXP2: return expand_exp2(p, e->arg[0], NULL, e->i);
    case FV_X_EXP: return expand_exp(p, e->arg[0]);
    case FV_X_LOG: return expand_log(p, e->arg[0], false);
    case FV_X_LOG2: return expand_log(p, e->arg[0], true);
    case FV_X_ERF: return expand_erf(p, e->arg[0]);
    case FV_X_TANH: return expand_tanh(p, e->arg[0]);
    case FV_X_SIN: return expand_sin(p, e->arg[0], false);
    case FV_X_COS: return expand_sin(p, e->arg[0], true);
    case FV_X_RSQRT: return fv_op2(p->ctx, FV_X_DIV, num(p, 1), unary(p, FV_X_SQRT, e->arg[0]));
    case FV_X_POW: return expand_pow(p, e->arg[0], e->arg[1]);
    case FV_X_SAFE: return expand_safe(p, e->arg[0]);
    default: return e;
    }
}

static E expand(pass *p, E e) {
    return e ? fv_rewrite(p->ctx, e, expand_node, p) : NULL;
}

static fv_flat *expand_list(fv_ctx *ctx, const fv_target *t, fv_flat *s, int *names) {
    fv_flats out = { 0 };
    for (fv_flat *next; s; s = next) {
        next = s->next;
        pass p = { ctx, t, &out, names, s->loc, s->label };
        s->expr = expand(&p, s->expr);
        s->offset = expand(&p, s->offset);
        s->mask = expand(&p, s->mask);
        s->scatter = expand(&p, s->scatter);
        s->lo = expand(&p, s->lo);
        s->hi = expand(&p, s->hi);
        s->body = expand_list(ctx, t, s->body, names);
        s->orelse = expand_list(ctx, t, s->orelse, names);
        s->next = NULL;
        fv_flats_add(&out, s);
    }
    return out.first;
}

void fv_flat_expand_math(fv_flat_kernel *k, const fv_target *t) {
    int names = 0;
    k->body = expand_list(k->ctx, t, k->body, &names);
}
