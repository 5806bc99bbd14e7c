/* Functions expanded by flat_math and compiled, over dense sweeps, against the C library in double. The bounds are
 * those of docs/numerics.md. */
#include "llvm_kit.h"

enum { N = 1 << 16 };
typedef double reference(double x);
typedef struct {
    const char *name;
    fv_op op;
    reference *f;
    float lo, hi;
    bool relative;                                      /* else absolute */
    double bound;
    int degree;                                         /* of exp2<degree> */
} sweep;

static double rsqrt_of(double x) { return 1 / sqrt(x); }
static double safe_of(double x) { return x; }

static const sweep sweeps[] = {
    { "exp2", FV_X_EXP2, exp2, -125.4F, 127.9F, true, 1.8e-7, 0 },
    { "exp2 near 0", FV_X_EXP2, exp2, -1, 1, true, 1.8e-7, 0 },
    { "exp2<2>", FV_X_EXP2, exp2, -125.4F, 127.9F, true, 1.8e-3, 2 },
    { "exp2<3>", FV_X_EXP2, exp2, -125.4F, 127.9F, true, 7.6e-5, 3 },
    { "exp2<5>", FV_X_EXP2, exp2, -125.4F, 127.9F, true, 1.8e-7, 5 },
    { "exp", FV_X_EXP, exp, -86.9F, 88.7F, true, 1e-7, 0 },
    { "exp near 0", FV_X_EXP, exp, -1, 1, true, 1e-7, 0 },
    { "log", FV_X_LOG, log, 1e-30F, 1e30F, true, 1e-7, 0 },
    { "log near 1", FV_X_LOG, log, 0.5F, 2, true, 1e-7, 0 },
    { "log2", FV_X_LOG2, log2, 1e-30F, 1e30F, true, 1.6e-7, 0 },
    { "log2 near 1", FV_X_LOG2, log2, 0.5F, 2, true, 1.6e-7, 0 },
    { "erf", FV_X_ERF, erf, -6, 6, false, 1.6e-7, 0 },
    { "tanh", FV_X_TANH, tanh, -12, 12, true, 3.2e-7, 0 },
    { "tanh near 0", FV_X_TANH, tanh, -0.01F, 0.01F, true, 1.7e-7, 0 },
    { "sin", FV_X_SIN, sin, -100, 100, false, 1.2e-7, 0 },
    { "sin far", FV_X_SIN, sin, -10000, 10000, false, 1.5e-7, 0 },
    { "cos", FV_X_COS, cos, -100, 100, false, 1.2e-7, 0 },
    { "cos far", FV_X_COS, cos, -10000, 10000, false, 1.5e-7, 0 },
    { "rsqrt", FV_X_RSQRT, rsqrt_of, 1e-30F, 1e30F, true, 1.3e-7, 0 },
    { "safe", FV_X_SAFE, safe_of, -5, 5, true, 0, 0 },
};

/* y[i] = op(x[i]) for lanes elements a time. */
static kit map_kernel(fv_op op, int degree, int lanes, int64_t n) {
    kit t = kit_new();
    const fv_tensor *x = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, n), *y = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, n);
    fv_flats body, *outer = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, n), lanes, &body);
    E v = kit_load(&t, &x->obj, lanes, kit_var(&t, "i"));
    E of = degree ? fv_cons(t.ctx, op, FV_F32, lanes, degree, NULL, &v, 1) : kit_make(&t, op, FV_F32, lanes, v, NULL, NULL);
    kit_store(&t, y, NULL, kit_var(&t, "i"), of);
    t.at = outer;
    kit_last(&t)->body = body.first;
    return t;
}

static double worst(const sweep *s, const float *x, const float *y, float *where) {
    double most = 0;
    for (int i = 0; i < N; i++) {
        double want = s->f((double)x[i]), error = fabs((double)y[i] - want);
        if (s->relative) error = want == 0 ? (y[i] == 0 ? 0 : INFINITY) : error / fabs(want);
        if (!(error <= most)) {
            most = isnan(error) ? (double)INFINITY : error;
            *where = x[i];
        }
    }
    return most;
}

static void fill(const sweep *s, float *x) {
    bool logarithmic = s->lo > 0 && s->hi / s->lo > 1e6F;
    for (int i = 0; i < N; i++) {
        double u = (double)i / (N - 1);
        x[i] = (float)(logarithmic ? exp(log((double)s->lo) + u * log((double)s->hi / (double)s->lo))
                       : (double)s->lo + u * ((double)s->hi - (double)s->lo));
    }
}

static void check_sweep(const sweep *s) {
    static _Alignas(64) float x[N], y[N];
    void *args[2] = { x, y };
    fill(s, x);
    for (int i = 0; i < KIT_TARGETS; i++)
        for (int lanes = 1; lanes <= 16; lanes = lanes == 1 ? 4 : lanes * 2) {
            kit t = map_kernel(s->op, s->degree, lanes, N);
            memset(y, 0xff, sizeof y);
            float where = 0;
            if (kit_run(&t, kit_targets[i], true, args, 0, 1)) {
                double most = worst(s, x, y, &where);
                if (getenv("FOVEA_SHOW_ERRORS")) fprintf(stderr, "%-12s %-7s x%-2d %.3g at %.9g\n", s->name,
                                                         kit_targets[i], lanes, most, (double)where);
                cr_expect(most <= s->bound, "%s on %s, %d lanes: error %.3g at %.9g", s->name, kit_targets[i], lanes,
                          most, (double)where);
            }
            kit_done(&t);
        }
}

Test(llvm_math, sweeps) {
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) check_sweep(&sweeps[i]);
}

/* -- Values that must be exact ----------------------------------------------------------------- */
typedef struct { fv_op op; float x, y; } exact;
#define NANF ((float)NAN)
#define INFF ((float)INFINITY)
static const exact exacts[] = {
    { FV_X_EXP2, 0, 1 }, { FV_X_EXP2, -INFF, 0 }, { FV_X_EXP2, INFF, INFF }, { FV_X_EXP2, NANF, NANF },
        { FV_X_EXP2, -1e30F, 0 },
    { FV_X_EXP2, 1e30F, INFF }, { FV_X_EXP2, -200, 0 }, { FV_X_EXP2, 128, INFF }, { FV_X_EXP2, 127, 0x1p127F },
        { FV_X_EXP2, -125, 0x1p-125F },
    { FV_X_EXP, 0, 1 }, { FV_X_EXP, -INFF, 0 }, { FV_X_EXP, INFF, INFF }, { FV_X_EXP, NANF, NANF },
        { FV_X_EXP, -1e30F, 0 }, { FV_X_EXP, 1e30F, INFF },
    { FV_X_EXP, 1e9F, INFF }, { FV_X_EXP, -1e9F, 0 },
    { FV_X_LOG, 1, 0 }, { FV_X_LOG, 0, -INFF }, { FV_X_LOG, -1, NANF }, { FV_X_LOG, INFF, INFF },
        { FV_X_LOG, NANF, NANF }, { FV_X_LOG, -INFF, NANF },
    { FV_X_LOG2, 1, 0 }, { FV_X_LOG2, 0, -INFF }, { FV_X_LOG2, -1, NANF }, { FV_X_LOG2, INFF, INFF },
        { FV_X_LOG2, 8, 3 }, { FV_X_LOG2, 0x1p-140F, -140 },
    { FV_X_ERF, 0, 0 }, { FV_X_ERF, INFF, 1 }, { FV_X_ERF, -INFF, -1 }, { FV_X_ERF, NANF, NANF }, { FV_X_ERF, 100, 1 },
        { FV_X_ERF, -1e30F, -1 },
    { FV_X_TANH, 0, 0 }, { FV_X_TANH, NANF, NANF }, { FV_X_SIN, 0, 0 }, { FV_X_SIN, NANF, NANF }, { FV_X_COS, 0, 1 },
        { FV_X_SIN, INFF, NANF },
    { FV_X_RSQRT, 0, INFF }, { FV_X_RSQRT, 4, 0.5F }, { FV_X_RSQRT, -1, NANF },
    { FV_X_SAFE, -INFF, 0 }, { FV_X_SAFE, INFF, INFF }, { FV_X_SAFE, NANF, NANF }, { FV_X_SAFE, -3, -3 },
};
enum { EXACTS = sizeof exacts / sizeof exacts[0] };

Test(llvm_math, exact_values) {
    for (int i = 0; i < EXACTS; i++)
        for (int j = 0; j < KIT_TARGETS; j++)
            for (int lanes = 1; lanes <= 16; lanes = lanes == 1 ? 8 : lanes * 2) {
                _Alignas(64) float x[16], y[16];
                void *args[2] = { x, y };
                for (int l = 0; l < 16; l++) x[l] = exacts[i].x;
                kit t = map_kernel(exacts[i].op, 0, lanes, lanes);
                if (kit_run(&t, kit_targets[j], true, args, 0, 1))
                    for (int l = 0; l < lanes; l++)
                        cr_expect(isnan(exacts[i].y) ? isnan(y[l]) : y[l] == exacts[i].y, "%s(%g) on %s x%d: %.9g",
                            fv_op_spelling(exacts[i].op), (double)exacts[i].x, kit_targets[j], lanes, (double)y[l]);
                kit_done(&t);
            }
}

/* The expansion itself, executed by the flat interpreter: the same values without LLVM. */
Test(llvm_math, expansions_are_interpreted_alike) {
    static const fv_target *const facts[] = { &fv_target_avx512, &fv_target_avx2 };
    for (int i = 0; i < EXACTS; i++)
        for (int j = 0; j < 2; j++) {
            double x[8], y[8], *data[2] = { x, y };
            for (int l = 0; l < 8; l++) x[l] = (double)exacts[i].x;
            kit t = map_kernel(exacts[i].op, 0, 8, 8);
            t.k->body = t.top.first;
            fv_flat_expand_math(t.k, facts[j]);
            bool ok = fv_flat_interpret(t.k, data, 0, 1, 1);
            cr_assert(ok, "%s", fv_diag_count(t.ctx) ? fv_diag_at(t.ctx, 0)->text : "");
            cr_expect(isnan(exacts[i].y) ? isnan(y[5]) : y[5] == (double)exacts[i].y, "%s(%g) for %s: %.9g",
                      fv_op_spelling(exacts[i].op), (double)exacts[i].x, facts[j]->name, y[5]);
            kit_done(&t);
        }
}

/* -- Powers ------------------------------------------------------------------------------------ */
static kit power_kernel(int lanes, int64_t n, const float *constant) {
    kit t = kit_new();
    const fv_tensor *x = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, n), *e = kit_tensor(&t, "e", FV_F32, FV_ROLE_IN, n);
    const fv_tensor *y = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, n);
    fv_flats body, *outer = kit_for(&t, "i", kit_i(&t, 0), kit_i(&t, n), lanes, &body);
    E v = kit_load(&t, &x->obj, lanes, kit_var(&t, "i"));
    E p = constant ? kit_splat(&t, kit_f(&t, (double)*constant), lanes)
        : kit_load(&t, &e->obj, lanes, kit_var(&t, "i"));
    kit_store(&t, y, NULL, kit_var(&t, "i"), kit_make(&t, FV_X_POW, FV_F32, lanes, v, p, NULL));
    t.at = outer;
    kit_last(&t)->body = body.first;
    return t;
}

static bool close_power(double got, double want, double x, double y, bool fma) {
    double size = fabs(y * log2(fabs(x)));
    if (isnan(want)) return isnan(got);
    if (!(size < 125)) return want == got || (fabs(want) < 1e-36 && fabs(got) < 1e-36) ||
        (fabs(want) > 1e37 && fabs(got) > 1e37);
    return fabs(got - want) <= 2e-7 * (1 + fabs(y) + (fma ? 0 : size)) * fabs(want);
}

Test(llvm_math, powers) {
    static const float base[] = { 0, 1, 2, 0.5F, 3.7F, 10000, 1e-20F, 1.0001F, -1, -2, -0.3F, INFF, -INFF, NANF,
        1e30F };
    static const float exponent[] = { 0, 1, 2, 3, -1, -2, 0.5F, -0.5F, 1.5F, -0.03125F, 7, 17, 100, -100, INFF, -INFF,
        NANF, 0.1F };
    enum { A = sizeof base / sizeof base[0], B = sizeof exponent / sizeof exponent[0], ALL = (A * B + 15) / 16 * 16 };
    static float x[ALL], e[ALL], y[ALL];
    void *args[3] = { x, e, y };
    for (int i = 0; i < ALL; i++) {
        x[i] = base[i % A];
        e[i] = exponent[i / A % B];
    }
    for (int j = 0; j < KIT_TARGETS; j++)
        for (int c = -1; c < B; c++) {
            kit t = power_kernel(c % 2 ? 16 : 1, ALL, c < 0 ? NULL : &exponent[c]);
            bool fma = strcmp(kit_targets[j], "sse2") != 0;
            if (kit_run(&t, kit_targets[j], true, args, 0, 1))
                for (int i = 0; i < A * B; i++) {
                    double p = c < 0 ? (double)e[i] : (double)exponent[c], want = pow((double)x[i], p);
                    if (fabs(p) == 0.5 && isinf(x[i])) continue;  /* constant halves are square roots: NaN of -inf */
                    bool ok = close_power((double)y[i], want, (double)x[i], p, fma) || (want == 0 && y[i] == 0) ||
                        (isinf(want) && y[i] == want);
                    if (isinf(want) && isinf(y[i]) && x[i] == 0) ok = true;  /* the sign of a zero is not looked at */
                    cr_expect(ok, "%g ^ %g on %s: %.9g, not %.9g", (double)x[i], p, kit_targets[j], (double)y[i], want);
                }
            kit_done(&t);
        }
}

/* -- MIN and MAX: NaN in either gives NaN ------------------------------------------------------ */
Test(llvm_math, minimum_and_maximum) {
    static const float v[] = { -INFF, -2, 0, 1, INFF, NANF };
    enum { V = 6, ALL = 48 };
    float x[ALL], e[ALL], y[ALL];
    void *args[3] = { x, e, y };
    for (int i = 0; i < ALL; i++) {
        x[i] = v[i % V];
        e[i] = v[i / V % V];
    }
    for (int j = 0; j < KIT_TARGETS; j++)
        for (int form = 0; form < 6; form++) {  /* min, max; both variable, the left constant 0, the right constant 0 */
            int lanes = 16;
            fv_op op = form % 2 ? FV_X_MAX : FV_X_MIN;
            kit t = kit_new();
            const fv_tensor *tx = kit_tensor(&t, "x", FV_F32, FV_ROLE_IN, ALL),
                *te = kit_tensor(&t, "e", FV_F32, FV_ROLE_IN, ALL);
            const fv_tensor *ty = kit_tensor(&t, "y", FV_F32, FV_ROLE_OUT, ALL);
            E zero = kit_splat(&t, kit_f(&t, 0), lanes);
            for (int i = 0; i < ALL; i += lanes) {
                E a = form / 2 == 1 ? zero : kit_load(&t, &tx->obj, lanes, kit_i(&t, i));
                E b = form / 2 == 2 ? zero : kit_load(&t, &te->obj, lanes, kit_i(&t, i));
                kit_store(&t, ty, NULL, kit_i(&t, i), kit_make(&t, op, FV_F32, lanes, a, b, NULL));
            }
            if (kit_run(&t, kit_targets[j], true, args, 0, 1))
                for (int i = 0; i < ALL; i++) {
                    double pair[2] = { form / 2 == 1 ? 0 : (double)x[i], form / 2 == 2 ? 0 : (double)e[i] },
                        want = fv_apply(op, FV_F32, pair);
                    cr_expect(isnan(want) ? isnan(y[i]) : (double)y[i] == want, "form %d of %g and %g on %s: %g", form,
                              pair[0], pair[1], kit_targets[j], (double)y[i]);
                }
            kit_done(&t);
        }
}
