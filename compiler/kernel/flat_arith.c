/* flat_arith: operators of flat code on numbers, as f32 code computes them (each float result rounded to f32), and
 * rounding to storage types. Invariant: every f32 value is exactly representable in f32; functions are libm's. */
#include "kernel/flat_internal.h"

#include <math.h>

/* Nearest, ties to even, on a grid of `bits` significant bits; exact in double. */
static double round_bits(double v, int bits, int least, double greatest) {
    if (v != v || isinf(v)) return v;
    if (fabs(v) < 0x1p-200) return copysign(0.0, v);
    int e = ilogb(v);
    if (e < least) e = least;
    double r = scalbn(nearbyint(scalbn(v, bits - 1 - e)), e - bits + 1);
    return fabs(r) > greatest ? copysign((double)INFINITY, v) : r;
}

double fv_flat_round(fv_type type, double v) {
    switch (type) {
    case FV_F32: return (double)(float)v;
    case FV_F16: return round_bits((double)(float)v, 11, -14, 65504.0);
    case FV_BF16: return round_bits((double)(float)v, 8, -126, 0x1.fep127);
    default: return v;
    }
}

static double to_i32(double v) {                         /* truncates; saturates; NaN gives 0 */
    if (v != v) return 0;
    v = trunc(v);
    return v < (double)INT32_MIN ? (double)INT32_MIN : v > (double)INT32_MAX ? (double)INT32_MAX : v + 0.0;
}

/* As vscalefps: n = -inf gives 0 and n = inf gives inf even of a NaN (exp2 of an infinity has no fraction). */
static float scale(float a, float n) {
    if (isinf(n) && a != a) return n < 0 ? 0 : INFINITY;
    if (a != a || n != n) return NAN;
    if (isinf(n) || fabsf(n) > 1000) return n < 0 ? copysignf(0, a) : a == 0 ? a : copysignf(INFINITY, a);
    return ldexpf(a, (int)n);
}

static float f32(fv_op op, float a, float b, float c) {
    switch (op) {
    case FV_X_ADD: return a + b;
    case FV_X_SUB: return a - b;
    case FV_X_MUL: return a * b;
    case FV_X_DIV: return a / b;
    case FV_X_POW: return powf(a, b);
    case FV_X_EXP: return expf(a);
    case FV_X_EXP2: return exp2f(a);
    case FV_X_LOG: return logf(a);
    case FV_X_LOG2: return log2f(a);
    case FV_X_SIN: return sinf(a);
    case FV_X_COS: return cosf(a);
    case FV_X_SQRT: return sqrtf(a);
    case FV_X_RSQRT: return 1.0f / sqrtf(a);
    case FV_X_ERF: return erff(a);
    case FV_X_TANH: return tanhf(a);
    case FV_X_FMA: return fmaf(a, b, c);
    case FV_X_RINT: return rintf(a);
    case FV_X_SCALEF: return scale(a, b);
    case FV_X_MANTISSA: { int e; return 2 * frexpf(a, &e); }
    case FV_X_EXPONENT: return (float)ilogbf(a);
    default: FV_ASSERT(false, "flat_arith: no float operator"); return 0;
    }
}

static double f64(fv_op op, double a, double b, double c) {
    int e;
    switch (op) {
    case FV_X_FMA: return fma(a, b, c);
    case FV_X_RINT: return rint(a);
    case FV_X_SCALEF: return fabs(b) > 5000 ? (b < 0 ? 0 * a : a * (double)INFINITY) : scalbn(a, (int)b);
    case FV_X_MANTISSA: return 2 * frexp(a, &e);
    case FV_X_EXPONENT: return (double)ilogb(a);
    default: return fv_apply(op, FV_F64, (double[]){ a, b, c });
    }
}

double fv_flat_apply(const fv_expr *e, const double *v) {
    switch (e->op) {
    case FV_X_CONVERT: return fv_type_is_float(e->type) ? fv_flat_round(e->type, v[0]) : to_i32(v[0]);
    case FV_X_TOFLOAT: return fv_flat_round(e->type, v[0]);
    case FV_X_NEG: case FV_X_ABS: case FV_X_MIN: case FV_X_MAX: case FV_X_WHERE: case FV_X_SAFE: case FV_X_FLOOR:
    case FV_X_ISNAN: case FV_X_NOT:
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: case FV_X_AND: case FV_X_OR:
        return fv_apply(e->op, e->type, v);
    case FV_X_FLOORDIV: case FV_X_MOD: return fv_flat_round(e->type, fv_apply(e->op, e->type, v));
    default: break;
    }
    double b = e->n > 1 ? v[1] : 0, c = e->n > 2 ? v[2] : 0;
    if (e->type == FV_F32) return (double)f32(e->op, (float)v[0], (float)b, (float)c);
    if (e->type == FV_F64) return f64(e->op, v[0], b, c);
    return fv_apply(e->op, e->type, v);
}
