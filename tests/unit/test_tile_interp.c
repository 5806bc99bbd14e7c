/* The tile interpreter on its own: every operator of a reduction and of a scan, roundings, and one fault of every
 * kind. */
#include "golden.h"
#include "kernel/tile.h"

#include <criterion/criterion.h>
#include <math.h>

typedef struct { fv_ctx *ctx; fv_kernel *k; } one;

static one parse(const char *text) {
    one o = {fv_ctx_new(), NULL};
    o.k = fv_kernel_parse(o.ctx, "t", text);
    cr_assert(o.k, "%s", fv_diag_count(o.ctx) ? fv_diag_at(o.ctx, 0)->text : "");
    return o;
}

static bool run_as(one o, double **data, bool f32) {
    fv_interp_options options = {.f32 = f32, .check_poison = true};
    return fv_kernel_interpret(o.k, data, &options);
}

static void row(const char *name, const char *text, const double *x, int n, const double *want) {
    double in[16], out[16];
    double *data[] = {in, out};
    one o = parse(text);
    int faults = fv_kernel_verify(o.k);
    cr_assert_eq(faults, 0, "%s: %s", name, fv_diag_count(o.ctx) ? fv_diag_at(o.ctx, 0)->text : "");
    memcpy(in, x, sizeof(double) * (size_t)n);
    for (int j = 0; j < 16; j++) out[j] = 99;
    cr_assert(run_as(o, data, false), "%s: %s", name, fv_diag_count(o.ctx) ? fv_diag_at(o.ctx, 0)->text : "");
    for (int j = 0; j < n; j++)
        cr_expect((isnan(out[j]) && isnan(want[j])) || !(fabs(out[j] - want[j]) > 1e-12),
                  "%s: element %d is %g, not %g", name, j, out[j], want[j]);
    fv_ctx_dispose(o.ctx);
}

#define ROWS "kernel k { in X : f32[n=7] out O : f32[n=7] grid b<1 { axis t:8 @ 0..7 "
static const double X[7] = {3, -1, 4, -1, 5, -9, 2};

Test(tile_interp, scans) {
    static const double SUM[7] = {3, 2, 6, 5, 10, 1, 3}, EXCLUSIVE[7] = {0, 3, 2, 6, 5, 10, 1}, REVERSE[7] =
        {3, 0, 1, -3, -2, -7, 2};
    static const double MAX[7] = {3, 3, 4, 4, 5, 5, 5}, INF = (double)INFINITY, BOTH[7] = {5, 5, 5, 5, 2, 2, -INFINITY},
        SOME[7] = {3, 3, 7, 7, 12, 12, 14};
    (void)INF;
    row("sum", ROWS "s: a[t] = scan sum X[t] along t o: O[t] = a[t] } }", X, 7, SUM);
    row("exclusive", ROWS "s: a[t] = scan sum X[t] along t exclusive o: O[t] = a[t] } }", X, 7, EXCLUSIVE);
    row("reverse", ROWS "s: a[t] = scan sum X[t] along t reverse o: O[t] = a[t] } }", X, 7, REVERSE);
    row("max", ROWS "s: a[t] = scan max X[t] along t o: O[t] = a[t] } }", X, 7, MAX);
    row("max, both", ROWS "s: a[t] = scan max X[t] along t exclusive reverse o: O[t] = a[t] } }", X, 7, BOTH);
    row("where", ROWS "s: a[t] = scan sum X[t] along t where X[t] > 0.0 o: O[t] = a[t] } }", X, 7, SOME);
}

static void scalar(const char *statements, const double *x, double want) {
    char text[512];
    double in[8], out[1] = {99};
    double *data[] = {in, out};
    snprintf(text, sizeof text, "kernel k { in X : f32[n=7] out O : f32[b=1] axis t:8 @ 0..7 grid b<1 { %s } }",
             statements);
    one o = parse(text);
    memcpy(in, x, 7 * sizeof(double));
    cr_assert_eq(fv_kernel_verify(o.k), 0, "%s: %s", statements, fv_diag_count(o.ctx)
                 ? fv_diag_at(o.ctx, 0)->text : "");
    cr_assert(run_as(o, data, false), "%s: %s", statements, fv_diag_count(o.ctx) ? fv_diag_at(o.ctx, 0)->text : "");
    cr_expect((isnan(out[0]) && isnan(want)) || out[0] == want || fabs(out[0] - want) < 1e-12, "%s gives %g, not %g",
              statements, out[0], want);
    fv_ctx_dispose(o.ctx);
}

Test(tile_interp, reductions) {
    static const double N[7] = {3, NAN, 4, -1, 5, -9, 2}, ALL_NAN[7] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    scalar("r: a[] =sum X[t] over t o: O[b] = a[]", X, 3);
    scalar("r: a[] =max X[t] over t o: O[b] = a[]", X, 5);
    scalar("r: a[] =min X[t] over t o: O[b] = a[]", X, -9);
    scalar("r: a[] =max X[t] over t o: O[b] = a[]", N, NAN);
    scalar("r: a[] =max X[t] over t where X[t] < 0.0 o: O[b] = a[]", X, -1);
    scalar("r: a[] =max X[t] over t where X[t] > 100.0 o: O[b] = a[]", X, -INFINITY);
    scalar("r: a[] =min X[t] over t where X[t] > 100.0 o: O[b] = a[]", X, INFINITY);
    scalar("r: a[] =sum X[t] over t where b > 0 else 7.0 o: O[b] = a[]", X, 7);
    scalar("r: a[] : i32 =argmax X[t] over t o: O[b] = a[]", X, 4);
    scalar("r: a[] : i32 =argmax -X[t] over t where X[t] > -5.0 o: O[b] = a[]", X, 1);
    scalar("r: a[] : i32 =argmax X[t] over t o: O[b] = a[]", N, 4);
    scalar("r: a[] : i32 =argmax X[t] over t o: O[b] = a[]", ALL_NAN, 0);
    scalar("r: a[] : i32 =argmax X[t] over t where X[t] > 100.0 o: O[b] = a[]", X, -1);
    scalar("alloc a[] = 10.0 r: a[] += X[t] over t o: O[b] = a[]", X, 13);
    scalar("alloc a[] = 10.0 r: a[] max= X[t] over t o: O[b] = a[]", X, 10);
    scalar("alloc a[] = -10.0 r: a[] min= X[t] over t o: O[b] = a[]", X, -10);
    scalar("alloc a[] = 1.0 r: a[] += 2.0 o: O[b] = a[]", X, 3);
    scalar("alloc a[] = 1.0 if all(X[t] > -10.0) { r: a[] += 2.0 } if any(X[t] > 5.0) { q: a[] += 4.0 } o: O[b] = a[]",
           X, 3);
    scalar("r: a[] =sum X[2*t - 2]?0.5 over t o: O[b] = a[]", X, 0.5 + 3 + 4 + 5 + 2 + 2 * 0.5);
}

Test(tile_interp, roundings) {
    static const char *const TYPE[] = {"f32", "bf16", "f16"};
    static const double WANT[3][4] = {{(double)1.1f, (double)70000.1f, (double)1e-9f, (double)-0.3f},
                                      {1.1015625, 70144, 0x1.12p-30, -0.30078125},
                                      {1.099609375, INFINITY, 0, -0.300048828125}};
    for (int t = 0; t < 3; t++) {
        char text[200];
        double in[4] = {1.1, 70000.1, 1e-9, -0.3}, out[4];
        double *data[] = {in, out};
        snprintf(text, sizeof text,
                 "kernel k { in X : f32[n=4] out O : f32[n=4] grid t:4<4 { c: a[t] : %s = X[t] o: O[t] = a[t] } }",
                     TYPE[t]);
        one o = parse(text);
        cr_assert(run_as(o, data, true));
        for (int j = 0; j < 4; j++)
            cr_expect_eq(out[j], WANT[t][j], "%s: %.17g, not %.17g", TYPE[t], out[j], WANT[t][j]);
        cr_assert(run_as(o, data, false));
        for (int j = 0; j < 4; j++) cr_expect_eq(out[j], in[j]);
        fv_ctx_dispose(o.ctx);
    }
}

/* Faults that no verifier can exclude, or that it was not asked about: the message names statement and place. */
static void trap(const char *body, const char *expected) {
    char text[512];
    double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, i[8] = {0, 1, 2, 3, 4, 5, 6, 70}, out[64];
    double *data[] = {x, i, out};
    for (int j = 0; j < 64; j++) out[j] = 0;
    snprintf(text, sizeof text, "kernel k { in X : f32[n=8] in I : i32[n=8] range 0..8 inout O : f32[n=8] %s }", body);
    one o = parse(text);
    cr_expect(!run_as(o, data, false), "%s: no fault", body);
    cr_assert_eq(fv_error_count(o.ctx), 1);
    cr_expect(strstr(fv_diag_at(o.ctx, 0)->text, expected), "%s: '%s' does not say '%s'", body,
              fv_diag_at(o.ctx, 0)->text, expected);
    cr_expect_eq(fv_diag_at(o.ctx, 0)->code, FV_E_TRAP);
    fv_ctx_dispose(o.ctx);
}

Test(tile_interp, faults) {
    trap("grid n<8 { o: O[n] = X[n + 1] }", "k, o: X[n + 1]: index 0 is 8, outside 0..8");
    trap("grid n<8 { o: O[n] = X[I[n]] }", "X[I[n]]: index 0 is 70");
    trap("grid n<8 { o: O[n + 3] = X[n] }", "a store to O: index 0 is 8");
    trap("grid n<8 { o: O[n // 2] = X[n] }", "is stored twice");
    trap("axis u:4, v:4 grid n<1 { o: O[u + v] = 1.0 }", "is stored twice");
    trap("grid n<7 { o: O[n] = O[n + 1] }", "after another program read it");
    trap("grid n<8 { o: O[n] = 1.0 p: O[0] = O[0] + 1.0 }", "where another program wrote it");
    trap("grid t:4<8 { m: a[t] = X[t] where t > 0 o: O[t] = a[t] }", "k, o: a value that was never written is used");
    trap("grid t:4<8 { m: a[t] = X[t] where t > 0 r: s[] =max a[t] over t o: O[t] = s[] }",
         "k, r: a value that was never written is used");
    trap("axis u:4 grid t:4<8 { m: a[t] = X[t] where t > 0 if any(a[t] > 3.0) { o: O[t] = 1.0 } }", "decides");
    trap("axis u:6 grid n<1 { axis t:6 @ 0..5 m: a[t] = X[t] r: s[] =sum a[u] over u o: O[n] = s[] }",
         "k, r: a value that was never written");
    trap("grid n<8 { let z = I[n] in 0..8 o: O[n] = X[z] }", "z is 70, outside 0..8");
    trap("grid n<8 { let z = X[n] * 1e300 > 0.0 let q = I[n] * 1000000 for t in 0..q*1000000 { let w = I[9] } o: O[n] "
         "= X[n] }", "index 0 is 9");
    /* a branch that is not taken may hold poison; a reduction that skips it too */
    char text[] = "kernel k { in X : f32[n=8] in I : i32[n=8] inout O : f32[n=8] grid t:4<8 { m: a[t] = X[t] where t "
                  "> 0 "
                  "w: e[t] = where(t > 0, a[t], 9.0) r: s[] =sum a[t] over t where t > 0 o: O[t] = e[t] + s[] } }";
    double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, i[8] = {0}, out[8];
    double *data[] = {x, i, out};
    one o = parse(text);
    cr_assert(run_as(o, data, false), "%s", fv_diag_count(o.ctx) ? fv_diag_at(o.ctx, 0)->text : "");
    cr_expect_eq(out[0], 9 + 2 + 3 + 4);
    cr_expect_eq(out[7], 8 + 5 + 6 + 7 + 8);
    fv_ctx_dispose(o.ctx);
}

/* A read hoisted out of a loop whose points are all excluded is no fault: nothing was read. */
Test(tile_interp, excluded_reads_are_no_faults) {
    double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    double *data[] = {x, out};
    one o = parse("kernel k { in X : f32[n=8] out O : f32[n=8] axis u:3 grid n<8 { r: a[] =sum X[n + 1] * u over u "
                  "where n < 7 o: O[n] = a[] } }");
    cr_assert_eq(fv_kernel_verify(o.k), 0);
    cr_assert(run_as(o, data, false));
    cr_expect_eq(out[0], 2 * 3);
    cr_expect_eq(out[7], 0);
    fv_ctx_dispose(o.ctx);
}
