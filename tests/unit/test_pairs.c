/* Products of pairs of bf16 and of fragments. Attends on pairs of bf16 and on fragments, against the f64 reference:
 * random shapes, ragged tiles and padded reduced axes, masks, rows without keys, blocks of keys, several sets; keys as
 * the caller gives them (copied) and as a kernel stored them (read in place). The error stays below 1e-2 of the largest
 * output. */
#include "kernel/flat.h"
#include "tests/fuzz/differential.h"
#include "tests/fuzz/random_graph.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS "x86_64-linux-gnu:+avx2,+fma,+f16c,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512bf16"
static const double LIMIT = 1e-2;

typedef enum { FULL, KEYS, CAUSAL, EMPTY, BIAS, MASKS } mask_kind;
typedef struct {
    int q, m, d, e;
    mask_kind mask;
    bool stored, two_sets, lse;
} shape;

static uint32_t state = 2463534242U;
static int below(int n) {
    state = state * 1664525U + 1013904223U;
    return (int)((state >> 8) % (uint32_t)n);
}
static const char *only_of(const shape *s, char *text, size_t size) {
    switch (s->mask) {
    case KEYS: snprintf(text, size, "m*7 %% 5 != 2"); break;
    case CAUSAL: snprintf(text, size, "m <= q + %d", s->m / 3); break;
    case EMPTY: snprintf(text, size, "m + %d < q", s->q / 2); break;
    default: return NULL;
    }
    return text;
}
static void write_graph(const shape *s, fv_buf *b) {
    char cond[80];
    const char *only = only_of(s, cond, sizeof cond);
    fv_buf_printf(b, "graph \"attend\" {\n  _0 : f32[q=%d d=%d] = input \"q\" stored \"q d\"\n", s->q, s->d);
    if (s->stored) /* keys and values that a kernel makes lie in bf16 */
        fv_buf_printf(b,
                      "  _1 : f32[m=%d c=6] = input \"x\" stored \"m c\"\n"
                      "  _2 : f32[d=%d c=6] = param \"wk\" stored \"d c\"\n"
                      "  _3 : f32[m=%d d=%d] = contract over [c=6] _1[m, c]*_2[d, c]\n"
                      "  _4 : f32[e=%d c=6] = param \"wv\" stored \"e c\"\n"
                      "  _5 : f32[m=%d e=%d] = contract over [c=6] _1[m, c]*_4[e, c]\n",
                      s->m, s->d, s->m, s->d, s->e, s->m, s->e);
    else
        fv_buf_printf(b,
                      "  _3 : f32[m=%d d=%d] = input \"k\" stored \"m d\"\n"
                      "  _5 : f32[m=%d e=%d] = input \"v\" stored \"m e\"\n",
                      s->m, s->d, s->m, s->e);
    if (only) fv_buf_printf(b, "  _6 : bool[q=%d m=%d] = map %s\n", s->q, s->m, only);
    if (s->mask == BIAS) fv_buf_printf(b, "  _7 : f32[q=%d m=%d] = param \"bias\" stored \"q m\"\n", s->q, s->m);
    fv_buf_printf(b, "  _8 : f32[q=%d m=%d] = placeholder \"raw\"\n  _9 : f32[q=%d m=%d] = map _8[q, m]*0.25%s\n", s->q,
                  s->m, s->q, s->m, s->mask == BIAS ? " + _7[q, m]" : "");
    if (s->two_sets)
        fv_buf_printf(b,
                      "  _11 : f32[n=%d d=%d] = input \"k2\" stored \"n d\"\n"
                      "  _12 : f32[n=%d e=%d] = input \"v2\" stored \"n e\"\n"
                      "  _13 : f32[q=%d n=%d] = placeholder \"raw2\"\n  _14 : f32[q=%d n=%d] = map _13[q, n]*0.25\n",
                      s->m / 2 + 8, s->d, s->m / 2 + 8, s->e, s->q, s->m / 2 + 8, s->q, s->m / 2 + 8);
    fv_buf_printf(b, "  _15 : f32[q=%d e=%d]", s->q, s->e);
    if (s->lse) fv_buf_printf(b, ", _16 : f32[q=%d]", s->q);
    fv_buf_printf(b, " = attend q _0 dot [d=%d] %s{\n    set over [m=%d] k _3 v _5%s raw _8 score _9\n", s->d,
                  s->lse ? "lse " : "", s->m, only ? " only _6" : "");
    if (s->two_sets) fv_buf_printf(b, "    set over [n=%d] k _11 v _12 raw _13 score _14\n", s->m / 2 + 8);
    fv_buf_puts(b, "    softmax\n  }\n  output \"y\" = _15 stored \"q e\"\n");
    if (s->lse) fv_buf_puts(b, "  output \"z\" = _16 stored \"q\"\n");
    fv_buf_puts(b, "}\n");
}
static const char *const mask_names[MASKS] = {"all pairs", "a mask of keys", "causal", "rows without keys", "a bias"};

static fv_diff_verdict judge(void *user, fv_buf *report) {
    static const fv_diff_variant variants[] = {
        {.driver = {.storage = FV_BF16, .storage_small = 1, .attend_strategy = "box", .target = PAIRS},
         .interpret = true,
         .flat = true},
        {.driver = {.storage = FV_BF16, .storage_small = 1, .attend_strategy = "box"}, .compile = true},
        {.driver = {.storage = FV_BF16, .storage_small = 1, .attend_strategy = "box", .target = "amx-simulated"},
         .interpret = true,
         .flat = true,
         .compile = true},
    };
    const shape *s = user;
    fv_ctx *ctx = fv_ctx_new();
    fv_buf text = {0};
    fv_diff d = {0};
    fv_diff_verdict all = FV_DIFF_AGREES;
    write_graph(s, &text);
    fv_graph *g = fv_graph_parse(ctx, "attend", text.text);
    bool open = g && fv_diff_open(&d, ctx, g, fv_random_source, ctx, false);
    if (!open) {
        fv_diag_render(ctx, report);
        all = FV_DIFF_WRONG;
    }
    d.limit = LIMIT;
    for (size_t i = 0; open && i < sizeof variants / sizeof *variants; i++) {
        size_t before = d.report.len;
        fv_diff_verdict v = fv_diff_run(&d, &variants[i]);
        if (v == FV_DIFF_WRONG) all = v;
        if (v != FV_DIFF_AGREES)
            fv_buf_printf(report, "%d queries, %d keys, d %d, e %d, %s%s%s, variant %d: %s", s->q, s->m, s->d, s->e,
                          mask_names[s->mask], s->stored ? ", stored" : "", s->two_sets ? ", two sets" : "", (int)i,
                          d.report.text + before);
    }
    fv_diff_close(&d);
    fv_buf_dispose(&text);
    fv_ctx_dispose(ctx);
    return all;
}
static void expect(shape s) {
    fv_buf report = {0};
    fv_diff_verdict v = fv_diff_isolated(judge, &s, 60, &report);
    cr_expect(v == FV_DIFF_AGREES, "%s", report.text ? report.text : "");
    fv_buf_dispose(&report);
}

Test(pairs, chosen_shapes, .timeout = 300) {
    static const shape shapes[] = {
        {196, 196, 64, 64, FULL, true, false, false},  {49, 49, 32, 32, BIAS, true, false, false},
        {130, 400, 32, 32, CAUSAL, true, false, true}, {33, 350, 24, 40, EMPTY, false, false, false},
        {8, 8, 8, 8, FULL, false, false, false},       {70, 33, 16, 48, KEYS, false, true, false},
        {17, 340, 9, 11, KEYS, true, false, true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) expect(shapes[i]);
}
Test(pairs, random_shapes, .timeout = 300) {
    for (int i = 0; i < 16; i++) {
        shape s = {.q = 2 + below(80),
                   .m = i % 4 ? 2 + below(90) : 321 + below(120),
                   .d = 4 + below(40),
                   .e = 4 + below(40),
                   .mask = (mask_kind)below(MASKS),
                   .stored = below(2),
                   .two_sets = i % 5 == 1,
                   .lse = below(3) == 0};
        expect(s);
    }
}

/* -- What the kernels are made of -------------------------------------------------------------------------------- */
static int fragments(const fv_flat *s) {
    int n = 0;
    for (; s; s = s->next)
        n += (s->kind == FV_L_FRAG && s->frag == FV_FRAG_DOT) + fragments(s->body) + fragments(s->orelse);
    return n;
}
static bool is_dot2(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_DOT2;
}
static int pairs(const fv_flat *s) {
    int n = 0;
    for (; s; s = s->next) n += (s->expr && fv_visit(s->expr, is_dot2, NULL)) + pairs(s->body) + pairs(s->orelse);
    return n;
}
/* The flat text of the last kernel, on a target. */
static const fv_flat *last_of(fv_ctx *ctx, const char *text, const fv_target *t, bool no_pairs) {
    fv_graph *g = fv_graph_parse(ctx, "graph", text);
    fv_lower_options o = {.target = t, .storage = FV_BF16, .storage_small = 1, .no_pairs = no_pairs};
    fv_plan *p = g ? fv_lower(g, (fv_str){0}, &o) : NULL;
    cr_assert(p, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    const fv_launch *l = p->launch[1][p->n_launches[1] - 1];
    fv_flat_kernel *f = fv_flatten_cpu(l->kernel, l->schedule, t);
    cr_assert(f && fv_flat_verify(f) == 0, "%s", fv_error_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
    return f->body;
}
static const fv_flat *attend_of(fv_ctx *ctx, const shape *s, const fv_target *t, bool no_pairs) {
    fv_buf text = {0};
    write_graph(s, &text);
    const char *copy = fv_printf(ctx, "%s", text.text);
    fv_buf_dispose(&text);
    return last_of(ctx, copy, t, no_pairs);
}
Test(pairs, both_products_are_pairs_or_fragments) {
    static const shape shapes[] = {{196, 196, 64, 64, FULL, true, false, false},
                                   {49, 49, 32, 32, BIAS, true, false, false},
                                   {100, 400, 40, 48, CAUSAL, true, false, false}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fv_ctx *ctx = fv_ctx_new();
        const fv_flat *tiles = attend_of(ctx, &shapes[i], &fv_target_amx, false),
                      *vectors = attend_of(ctx, &shapes[i], &fv_target_avx512_bf16, false),
                      *floats = attend_of(ctx, &shapes[i], &fv_target_avx512_bf16, true);
        cr_expect(fragments(tiles) > 0 && !pairs(tiles), "shape %d: %d fragments, %d pairs", (int)i, fragments(tiles),
                  pairs(tiles));
        cr_expect(pairs(vectors) > 0 && !fragments(vectors));
        cr_expect(!pairs(floats) && !fragments(floats));
        fv_ctx_dispose(ctx);
    }
}
/* Reduced axes that are no whole fragments are filled up with zeros. */
Test(pairs, products_of_any_length_are_fragments) {
    static const int lengths[] = {48, 17, 70, 35};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        fv_ctx *ctx = fv_ctx_new();
        int n = lengths[i];
        const char *text = fv_printf(ctx,
                                     "graph \"product\" {\n"
                                     "  _0 : f32[m=49 c=5] = input \"x\" stored \"m c\"\n"
                                     "  _1 : f32[k=%d c=5] = param \"a\" stored \"k c\"\n"
                                     "  _2 : f32[m=49 k=%d] = contract over [c=5] _0[m, c]*_1[k, c]\n"
                                     "  _3 : f32[n=64 k=%d] = param \"b\" stored \"n k\"\n"
                                     "  _4 : f32[m=49 n=64] = contract over [k=%d] _2[m, k]*_3[n, k]\n"
                                     "  output \"y\" = _4 stored \"m n\"\n"
                                     "}\n",
                                     n, n, n, n);
        cr_expect_gt(fragments(last_of(ctx, text, &fv_target_amx, false)), 0, "%d", n);
        cr_expect_gt(pairs(last_of(ctx, text, &fv_target_avx512_bf16, false)), 0, "%d", n);
        fv_ctx_dispose(ctx);
    }
}
