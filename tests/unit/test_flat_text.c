/* Text of flat kernels: read back and printed it is the same; damaged texts are refused and never crash. */
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char rich[] =
    "flat rich {\n"
    "  programs 12\n"
    "  scratch 256\n"
    "  group 4\n"
    "  live 9\n"
    "  tensor X in f32 [b 2*64, n 64*1] padded\n"
    "  tensor I in i32 [n 64*1] range -1 to 63\n"
    "  tensor H in f16 [n 64*1]\n"
    "  tensor S inout f64 []\n"
    "  tensor O out f32 [n 64*1]\n"
    "  alloc buf local f32[32] at 128\n"
    "  alloc acc reg f32x16[4] @qk\n"
    "  for programs p {\n"
    "    let a : i32 = p // 3 % 7 - (2 - p) - -3 * (p + 1)\n"
    "    let b : f32 = -2.0 ^ 3.0 - -(4.0) + (-2.0) ^ 2.0 - 1e-30 @label\n"
    "    let c : bool = not (a < 3) and a == 4 or p != 2 and (true or false)\n"
    "    let d : f32x16 = load<16> X[a * 64] + splat<16>(b) * load<16> X[0, iota<16> < splat<16>(a), splat<16>(inf)]\n"
    "    let e : f32x16 = perm<16> X[a, iota<16>] + gather<16> X[iota<16> * splat<16>(2)]\n"
    "    let f : f32x16 = gather<16> X[iota<16>, iota<16> < splat<16>(3), splat<16>(-inf)] - guard<16, 4> X[a, 3, c]\n"
    "    let g : f32 = hsum(where(d < e, d, e)) + convert<f32>(load H[a]) + float(a) + extract(f, 3)\n"
    "    let h : f64 = f64(-2.5) + load S[0]\n"
    "    store<16> acc[2] = fma(d, e, shuffle(f, f, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 31)) @qk\n"
    "    for k = 0 to min(a, 8) step 4 @pv {\n"
    "      if c @mask {\n"
    "        store<16> O[k] = load<16> acc[2] mask iota<16> < splat<16>(k)\n"
    "      } else {\n"
    "        store<16> O[k] = insert(d, g, 0) scatter iota<16> * splat<16>(3) @ot\n"
    "      }\n"
    "      store O[1] = nan mask c\n"
    "    }\n"
    "    assert a <= 7\n"
    "    barrier\n"
    "  }\n"
    "  for group 0 i = 0 to 3 {\n"
    "    for item j = 0 to 4 {\n"
    "    }\n"
    "  }\n"
    "}\n";

static char *printed(fv_ctx *ctx, const char *text) {
    fv_buf b = { 0 };
    fv_flat_kernel *k = fv_flat_parse(ctx, "text", text);
    if (!k) return NULL;
    fv_flat_print(k, &b);
    return b.text;
}

Test(flat_text, reads_back) {
    fv_ctx *ctx = fv_ctx_new();
    char *out = printed(ctx, rich);
    cr_assert(out, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    cr_expect_str_eq(out, rich);
    char *again = printed(ctx, out);
    cr_expect_str_eq(again, rich);
    free(out);
    free(again);
    fv_ctx_dispose(ctx);
}

/* In another context names and nodes are made in another order: the text stays as it is. */
Test(flat_text, is_not_reordered) {
    static const char text[] =
        "flat k {\n  programs 1\n  for programs p {\n    let a : i32 = p + 1\n    let b : i32 = p * 2\n"
                               "    let c : i32 = b + a\n    let d : i32 = a + b + 0 * p + 1 * b\n  }\n}\n";
    fv_ctx *ctx = fv_ctx_new();
    fv_var(ctx, fv_intern(ctx, "b"), FV_I32);
    char *out = printed(ctx, text);
    cr_assert(out);
    cr_expect_str_eq(out, text);
    free(out);
    fv_ctx_dispose(ctx);
}

Test(flat_text, cut_anywhere) {
    for (size_t n = 0; n + 2 < sizeof rich; n++) {
        char cut[sizeof rich];
        memcpy(cut, rich, n);
        cut[n] = 0;
        fv_ctx *ctx = fv_ctx_new();
        cr_expect(!fv_flat_parse(ctx, "cut", cut), "%zu characters were accepted", n);
        cr_expect(fv_error_count(ctx) > 0, "%zu characters: no error", n);
        fv_ctx_dispose(ctx);
    }
}

Test(flat_text, one_wrong_character) {
    static const char wrong[] = "?@<}[0x-";
    for (size_t n = 0; n + 1 < sizeof rich; n++)
        for (size_t i = n % 3; i + 1 < sizeof wrong; i += 3) {
            char text[sizeof rich];
            memcpy(text, rich, sizeof rich);
            text[n] = wrong[i];
            fv_ctx *ctx = fv_ctx_new();
            fv_flat_kernel *k = fv_flat_parse(ctx, "wrong", text);
            cr_expect((k != NULL) == (fv_error_count(ctx) == 0));
            if (k) fv_flat_verify(k);                     /* may find faults, must not crash */
            fv_ctx_dispose(ctx);
        }
}

Test(flat_text, refused) {
    static const struct { const char *text, *want; } cases[] = {
        { "flat k { for i = 0 to 3 { let x : i32 = j } }", "no variable named 'j' here" },
        { "flat k { let x : f32 = load A[0] }", "no tensor or memory named 'A' here" },
        { "flat k { let x : f32x3000 = 1.0 }", "no type 'f32x3000'" },
        { "flat k { let x : i32 = 1.5 }", "x is declared i32 with 1 lanes and given f32 with 1" },
        { "flat k { tensor X in f32 [n 4*1] store<4> X[0] = 1.0 }", "a store of 4 lanes is given 1" },
        { "flat k { let step : i32 = 1 }", "a word of the grammar" },
        { "flat k { let x : i32 = max(1) }", "max takes 2 arguments, not 1" },
        { "flat k { } flat", "expected the end of the text, found 'flat'" },
        { "flat k { let x : bool = 1 < 2 < 3 }", "expected a statement" },
        { "flat k { tensor X in f32 [n -4*1] }", "an extent or a stride is negative" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_ctx *ctx = fv_ctx_new();
        cr_expect(!fv_flat_parse(ctx, "refused", cases[i].text), "%s", cases[i].text);
        const char *got = fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "nothing";
        cr_expect(strstr(got, cases[i].want), "%s: %s", cases[i].text, got);
        fv_ctx_dispose(ctx);
    }
}

Test(flat_text, deep_nesting) {
    fv_ctx *ctx = fv_ctx_new();
    fv_buf b = { 0 };
    fv_buf_puts(&b, "flat k { let x : i32 = ");
    for (int i = 0; i < 100000; i++) fv_buf_puts(&b, "(");
    cr_expect(!fv_flat_parse(ctx, "deep", b.text));
    cr_expect(strstr(fv_diag_at(ctx, 0)->text, "nested too deep"));
    fv_buf_dispose(&b);
    fv_buf_puts(&b, "flat k { ");
    for (int i = 0; i < 100000; i++) fv_buf_puts(&b, "if true { ");
    cr_expect(!fv_flat_parse(ctx, "deep", b.text));
    fv_buf_dispose(&b);
    fv_ctx_dispose(ctx);
}
