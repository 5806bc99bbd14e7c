/* What flat code means: small kernels with known results, and the faults that the interpreter catches. */
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define HEAD "flat k { programs 4 scratch 256 group 4 tensor X in f32 [n 8*1] tensor P in f32 [n 8*1] padded " \
             "tensor O out f32 [n 8*1] " \
             "tensor U inout f32 [n 8*1] "

typedef struct { fv_ctx *ctx; bool ok; double o[8], u[8]; const char *error; } outcome;

static outcome run(const char *text, int64_t begin, int64_t end, uint64_t seed) {
    double x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, p[8] = { 10, 20, 30, 40, 50, 60, 70, 80 };
    outcome r = { .ctx = fv_ctx_new() };
    for (int i = 0; i < 8; i++) r.o[i] = -1, r.u[i] = i;
    double *data[] = { x, p, r.o, r.u };
    fv_flat_kernel *k = fv_flat_parse(r.ctx, "interp", text);
    cr_assert(k, "%s: %s", text, fv_diag_count(r.ctx) ? fv_diag_at(r.ctx, 0)->text : "");
    cr_assert(fv_flat_verify(k) == 0, "%s: %s", text, fv_diag_count(r.ctx) ? fv_diag_at(r.ctx, 0)->text : "");
    r.ok = fv_flat_interpret(k, data, begin, end, seed);
    r.error = fv_diag_count(r.ctx) ? fv_diag_at(r.ctx, 0)->text : "";
    return r;
}
static void gives(const char *body, const double *want) {
    outcome r = run(body, 0, 4, 1);
    cr_expect(r.ok, "%s: %s", body, r.error);
    for (int i = 0; i < 8; i++)
        cr_expect(r.o[i] == want[i] || (r.o[i] != r.o[i] && want[i] != want[i]), "%s: element %d is %.9g, not %.9g",
                  body, i, r.o[i], want[i]);
    fv_ctx_dispose(r.ctx);
}
static void traps(const char *body, const char *want) {
    for (uint64_t seed = 1; seed < 6; seed++) {
        outcome r = run(body, 0, 4, seed);
        cr_expect(!r.ok && strstr(r.error, want), "%s: %s", body, r.ok ? "ran" : r.error);
        fv_ctx_dispose(r.ctx);
    }
}
#define W(...) ((const double[8]){ __VA_ARGS__ })

Test(flat_interp, vectors) {
    gives(HEAD "store<8> O[0] = load<8> X[0] * splat<8>(2.0) + convert<f32>(iota<8>) }",
          W(2, 5, 8, 11, 14, 17, 20, 23));
    gives(HEAD "store<8> O[0] = load<8> X[4, iota<8> < splat<8>(4), splat<8>(-3.0)] }", W(5, 6, 7, 8, -3, -3, -3, -3));
    gives(HEAD "store<8> O[0] = perm<8> X[0, splat<8>(7) - iota<8>] }", W(8, 7, 6, 5, 4, 3, 2, 1));
    gives(HEAD "store<8> O[0] = gather<8> X[iota<8> % splat<8>(3)] }", W(1, 2, 3, 1, 2, 3, 1, 2));
    gives(HEAD "let v : f32x4 = load<4> X[2] store<8> O[0] = shuffle(v, splat<4>(9.0), 3, 2, 1, 0, 4, 0, 7, 3) }",
          W(6, 5, 4, 3, 9, 3, 9, 6));
    gives(HEAD "store<4> O[0] = insert(load<4> X[0], extract(load<4> X[4], 3), 1) }", W(1, 8, 3, 4, -1, -1, -1, -1));
    gives(HEAD "store<4> O[0] = load<4> X[0] mask iota<4> != splat<4>(2) store<2> O[4] = load<2> X[6] scatter "
               "iota<2> * splat<2>(3) }",
          W(1, 2, -1, 4, 7, -1, -1, 8));
    gives(HEAD "let v : f32x8 = load<8> X[0] store O[0] = hsum(v) store O[1] = hmax(v) store O[2] = hmin(v) store "
               "O[3] = where(hany(v < splat<8>(0.0)), 1.0, 0.0) }",
          W(36, 8, 1, 0, -1, -1, -1, -1));
    gives(HEAD "store<8> O[0] = guard<8, 1> X[0, 0, load X[0] < 0.0] }", W(0, 0, 0, 0, 0, 0, 0, 0));
    gives(HEAD "store O[0] = guard<1, 4> X[100, 3, false] store O[1] = guard<1, 4> X[2, 3, true] }",
          W(0, 6, -1, -1, -1, -1, -1, -1));
}

Test(flat_interp, numbers) {
    double third = (double)(1.0f / 3.0f), big = 16777216;
    gives(HEAD "store O[0] = 1.0 / 3.0 store O[1] = 16777216.0 + 1.0 store O[2] = max(nan, 1.0) store O[3] = "
               "safe(-inf) store O[4] = rint(2.5) "
               "store O[5] = scalef(1.5, 4.0) store O[6] = mantissa(12.0) store O[7] = exponent(12.0) }",
                   W(third, big, (double)NAN, 0, 2, 24, 1.5, 3));
    gives(HEAD "let a : i32 = -7 store O[0] = float(a // 2) store O[1] = float(a % 3) store O[2] = "
               "float(floor(-2.5)) store O[3] = float(floor(nan)) "
               "store O[4] = float(floor(1e30)) store O[5] = convert<f32>(convert<f16>(1.0004)) store O[6] = "
               "convert<f32>(convert<bf16>(1.005)) "
               "store O[7] = fma(3.0, 4.0, 5.0) }", W(-4, 2, -3, 0, 2147483648.0, 1, 1.0078125, 17));
}

Test(flat_interp, programs) {
    static const char text[] = HEAD "for programs p { store O[p] = load X[p] * 10.0 } }";
    outcome r = run(text, 1, 3, 1);
    cr_expect(r.ok && r.o[0] == -1 && r.o[1] == 20 && r.o[2] == 30 && r.o[3] == -1);
    fv_ctx_dispose(r.ctx);
    traps(HEAD "for programs p { store O[0] = 1.0 } }", "program 1 writes element 0 of O, which program 0 wrote");
    traps(HEAD "for programs p { store U[p] = load U[1] } }",
          "program 1 writes element 1 of U, which another one read");
}

Test(flat_interp, poison) {
    gives(HEAD "store<8> O[0] = load<8> P[4] }", W(50, 60, 70, 80, (double)NAN, (double)NAN, (double)NAN, (double)NAN));
    gives(HEAD "alloc l local f32[8] at 0 store l[0] = 3.0 store<2> O[0] = load<2> l[0] }",
          W(3, (double)NAN, -1, -1, -1, -1, -1, -1));
    gives(HEAD "alloc l local i32[8] at 0 store O[0] = float(load l[0]) }",
          W(-2147483648.0, -1, -1, -1, -1, -1, -1, -1));
    gives(HEAD "alloc r reg f32[2] store r[0] = 1.0 store O[0] = load r[1] }",
          W((double)NAN, -1, -1, -1, -1, -1, -1, -1));
    /* two memories over the same bytes: what the other one wrote is gone */
    gives(HEAD "alloc a local f32[16] at 64 alloc b local f32[16] at 64 store a[3] = 1.0 store a[4] = 2.0 store b[3] "
               "= 5.0 "
               "store O[0] = load a[3] store O[1] = load a[4] store O[2] = load b[3] }",
                   W((double)NAN, 2, 5, -1, -1, -1, -1, -1));
}

Test(flat_interp, bounds) {
    traps(HEAD "store O[0] = load X[8] }", "loads element 8 of X, which has 8");
    traps(HEAD "let i : i32 = -1 store O[0] = load P[i] }", "loads element -1 of P");
    traps(HEAD "store<8> O[0] = load<8> P[30] }", "of P, which has 8");
    traps(HEAD "store O[8] = 0.0 }", "stores element 8 of O, which has 8");
    traps(HEAD "store<8> O[0] = gather<8> X[iota<8> + splat<8>(1)] }", "loads element 8 of X");
    traps(HEAD "store<8> O[0] = perm<8> X[0, iota<8> + splat<8>(1)] }", "a permutation of X takes lane 8");
    traps(HEAD "alloc l local f32[8] at 0 for i = 0 to 9 { store l[i] = 0.0 } }", "stores element 8 of l");
    traps(HEAD "let i : i32 = 4 store O[0] = guard<1, 4> X[0, i, true] }",
          "the offset 4 of a guarded load of X is outside 0..4");
    /* both branches are computed */
    traps(HEAD "let i : i32 = 9 store O[0] = where(i < 8, load X[i], 0.0) }", "loads element 9 of X");
    traps(HEAD "assert load X[0] < 1.0 }", "an assertion does not hold");
}

#define GROUP(body) HEAD "for group 0 g = 0 to 2 { alloc l local f32[8] at 0 for item t = 0 to 4 { " body " } } }"
Test(flat_interp, items) {
    static const char reverse[] = GROUP("store l[t] = load X[g * 4 + t] barrier store O[g * 4 + t] = load l[3 - t]");
    for (uint64_t seed = 1; seed < 20; seed++) {
        outcome r = run(reverse, 0, 0, seed);
        cr_expect(r.ok, "%s", r.error);
        for (int i = 0; i < 8; i++) cr_expect(r.o[i] == i / 4 * 4 + 4 - i % 4);
        fv_ctx_dispose(r.ctx);
    }
    traps(GROUP("store l[t] = load X[t] store O[g * 4 + t] = load l[3 - t]"), "no barrier between");
    traps(GROUP("store l[0] = 1.0"), "no barrier between");
    traps(GROUP("store l[t] = 1.0 barrier for i = 0 to 3 { let a : f32 = load l[3 - t] store l[t] = a }"),
          "no barrier between");
    traps(GROUP("store O[t] = load X[t]"), "which program");
    traps(GROUP("store U[g * 4 + t] = 1.0 store O[g * 4 + t] = load U[g * 4 + 3 - t]"), "no barrier between");
    /* items have their own registers, private memory and variables */
    gives(GROUP("alloc r reg f32[1] alloc q private f32[4] store r[0] = float(t) store q[t] = float(t * 2) barrier "
                "store O[g * 4 + t] = load r[0] + load q[t]"),
          W(0, 3, 6, 9, 0, 3, 6, 9));
    /* local memory is fresh in every group */
    gives(GROUP("if g == 0 { store l[t] = 5.0 } barrier store O[g * 4 + t] = load l[3 - t]"),
          W(5, 5, 5, 5, (double)NAN, (double)NAN, (double)NAN, (double)NAN));
    /* uniform loops with barriers inside */
    gives(GROUP("store l[t] = float(t) for i = 0 to 3 { barrier let a : f32 = load l[(t + 1) % 4] barrier store l[t] "
                "= a } barrier store O[g * 4 + t] = load l[t]"),
          W(3, 0, 1, 2, 3, 0, 1, 2));
}
