/* The whole pipeline against the reference: random graphs, and graphs made of the cases that go wrong first. What is
 * compared and how closely: tests/fuzz/differential.h. FOVEA_FUZZ raises the number of random graphs, FOVEA_FUZZ_FROM
 * says where they begin; every graph runs in a process of its own, so that a crash names its seed. */
#include "tests/fuzz/graph_case.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
    const char *s = getenv(name);
    return s && atoi(s) > 0 ? atoi(s) : otherwise;
}
static void random_graphs(const char *variants, int usual) {
    int count = number("FOVEA_FUZZ", usual), from = number("FOVEA_FUZZ_FROM", 0), refused = 0, wrong = 0;
    for (int i = from; i < from + count; i++) {
        fv_graph_case c = {.seed = (uint64_t)i, .no_flat = count <= usual && i % 4 != 0, .variants = variants};
        fv_buf report = {0};
        fv_diff_verdict v = fv_diff_isolated(fv_graph_case_run, &c, 60, &report);
        cr_expect(v != FV_DIFF_WRONG, "seed %d:\n%s", i, report.text ? report.text : "");
        refused += v == FV_DIFF_REFUSED;
        wrong += v == FV_DIFF_WRONG;
        fv_buf_dispose(&report);
    }
    cr_expect(refused <= count / 4 + 1, "%d of %d graphs are refused", refused, count);
}
Test(differential, random_graphs, .timeout = 3000) { random_graphs("cpu", 200); }
Test(differential, random_blocks, .timeout = 3000) { random_graphs("blocks", 24); }

/* -- Graphs written by hand -- */
/* Names say what a leaf holds: "wild": infinities, NaN and ties beside numbers; "tail N…": NaN and infinities from
 * element N on; "mask": 0 and 1; "neg": -inf; the rest as in random graphs. */
static bool source(void *user, const fv_node *leaf, double *out, int64_t count) {
    static const double wild[] = {-INFINITY, 1, NAN, 1, INFINITY, -INFINITY, 0, NAN, -1, 0.5, -0.0};
    const char *name = fv_cstr(user, leaf->u.leaf.name);
    if (!fv_random_source(user, leaf, out, count)) return false;
    long from = !strncmp(name, "tail", 4) ? strtol(name + 4, NULL, 10) : -1;
    for (int64_t i = 0; i < count; i++) {
        if (!strncmp(name, "wild", 4)) out[i] = wild[(i * 7 + i / 11) % 11];
        if (!strncmp(name, "neg", 3)) out[i] = -INFINITY;
        if (from >= 0 && i >= from) out[i] = i % 3 ? (double)NAN : i % 2 ? INFINITY : -INFINITY;
    }
    return true;
}
typedef struct {
    const char *name, *text;
    bool finite;
} hand;
typedef struct {
    const hand *h;
    bool sixteen; /* in 16-bit storage alone */
} hand_run;
static fv_diff_verdict run_hand(void *user, fv_buf *report) {
    static const fv_diff_variant variants[] = {
        {.interpret = true, .flat = true, .compile = true},
        {.driver = {.target = "avx2"}, .interpret = true, .compile = true},
        {.driver = {.attend_strategy = "box"}, .interpret = true, .compile = true},
        {.driver = {.attend_strategy = "offset"}, .interpret = true, .compile = true},
        {.driver = {.attend_strategy = "offset", .no_row_sharing = true}, .interpret = true, .compile = true},
    };
    /* One names an instruction that this processor may lack: the flat interpreter judges it. */
    static const fv_diff_variant stored[] = {
        {.driver = {.storage = FV_BF16, .storage_small = 1}, .interpret = true, .flat = true, .compile = true},
        {.driver = {.storage = FV_BF16, .storage_small = 1, .target = "avx2"}, .interpret = true, .compile = true},
        {.driver = {.storage = FV_F16, .storage_small = 1}, .interpret = true, .compile = true},
        {.driver = {.storage = FV_BF16,
                    .storage_small = 1,
                    .target = "x86_64-linux-gnu:+avx2,+fma,+f16c,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512bf16"},
         .interpret = true,
         .flat = true},
        {.driver = {.storage = FV_BF16, .storage_small = 1, .target = "amx-simulated"},
         .interpret = true,
         .flat = true,
         .compile = true,
         .if_here = true},
    };
    const hand_run *run = user;
    const hand *h = run->h;
    const fv_diff_variant *list = run->sixteen ? stored : variants;
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = fv_graph_parse(ctx, h->name, h->text);
    fv_diff d = {0};
    fv_diff_verdict all = FV_DIFF_REFUSED;
    bool open = g && fv_diff_open(&d, ctx, g, source, ctx, false);
    if (!open) {
        fv_diag_render(ctx, report);
        all = FV_DIFF_WRONG;
    }
    for (int o = 0; open && o < g->n_outputs; o++)
        for (int64_t e = 0; e < fv_value_count(g->output[o].value); e++)
            if (h->finite && !isfinite(d.want[o][e])) {
                fv_buf_printf(report, "the reference gives %g at %lld\n", d.want[o][e], (long long)e);
                all = FV_DIFF_WRONG;
            }
    bool attends = strstr(h->text, "attend") != NULL;
    for (int i = 0; open && all != FV_DIFF_WRONG && i < (run->sixteen ? 5 : attends ? 5 : 2); i++) {
        size_t before = d.report.len;
        fv_diff_verdict v = fv_diff_run(&d, &list[i]);
        if (v == FV_DIFF_WRONG || (v == FV_DIFF_REFUSED && !i))
            fv_buf_printf(report, "variant %d: %s", i, d.report.text + before);
        if (v != FV_DIFF_REFUSED) all = v;
    }
    fv_diff_close(&d);
    fv_ctx_dispose(ctx);
    return all;
}
static void expect_hand(const hand *list, size_t n, bool sixteen) {
    for (size_t i = 0; i < n; i++) {
        hand h = list[i];
        hand_run run = {&h, sixteen};
        fv_buf report = {0};
        fv_diff_verdict v = fv_diff_isolated(run_hand, &run, 60, &report);
        cr_expect(v == FV_DIFF_AGREES, "%s: %s\n%s", h.name, v == FV_DIFF_REFUSED ? "refused" : "wrong",
                  report.text ? report.text : "");
        fv_buf_dispose(&report);
    }
}
#define EXPECT(list) expect_hand((list), sizeof(list) / sizeof *(list), false)

/* Rows whose keys are all gone give 0, by predicate, border or score. */
static const hand empty[] = {
    {"no key for any row",
     "graph \"hand\" {\n"
     "  _0 : f32[q=5 d=4] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=7 d=4] = input \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=7 e=3] = input \"x2\" stored \"m e\"\n"
     "  _3 : bool[q=5 m=7] = map m + 10 < q\n"
     "  _4 : f32[q=5 m=7] = placeholder \"raw\"\n"
     "  _5 : f32[q=5 e=3], _6 : f32[q=5] = attend q _0 dot [d=4] lse {\n"
     "    set over [m=7] k _1 v _2 only _3 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _5 stored \"q e\"\n"
     "  output \"y1\" = _6 stored \"q\"\n"
     "}\n",
     false},
    {"the first rows have no key",
     "graph \"hand\" {\n"
     "  _0 : f32[q=37 d=4] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=37 d=4] = input \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=37 e=19] = input \"tail0\" stored \"m e\"\n"
     "  _20 : f32[m=37 e=19] = map where(m < 16, 1.5, _2[m, e])\n"
     "  _3 : bool[q=37 m=37] = map m + 21 <= q\n"
     "  _4 : f32[q=37 m=37] = placeholder \"raw\"\n"
     "  _5 : f32[q=37 e=19] = attend q _0 dot [d=4] {\n"
     "    set over [m=37] k _1 v _20 only _3 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _5 stored \"q e\"\n"
     "}\n",
     true},
    {"every score is -inf, and a sink that counts",
     "graph \"hand\" {\n"
     "  _0 : f32[q=5 d=4] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=7 d=4] = input \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=7 e=3] = input \"x2\" stored \"m e\"\n"
     "  _3 : f32[q=5 m=7] = placeholder \"raw\"\n"
     "  _4 : f32[q=5 m=7] = map where(q < 3, -inf, _3[q, m])\n"
     "  _5 : f32[q=5] = input \"x5\" stored \"q\"\n"
     "  _6 : f32[q=5 e=3] = attend q _0 dot [d=4] {\n"
     "    set over [m=7] k _1 v _2 raw _3 score _4\n"
     "    softmax\n"
     "  }\n"
     "  _7 : f32[q=5 m=7] = placeholder \"raw\"\n"
     "  _8 : f32[q=5 m=7] = map where(q < 3, -inf, _7[q, m])\n"
     "  _9 : f32[q=5 e=3] = attend q _0 dot [d=4] {\n"
     "    set over [m=7] k _1 v _2 raw _7 score _8\n"
     "    set over [] s _5 v 0.5 score _5\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _6 stored \"q e\"\n"
     "  output \"y1\" = _9 stored \"q e\"\n"
     "}\n",
     true},
    {"more keys than fit, blocks of keys that no row sees",
     "graph \"hand\" {\n"
     "  _0 : f32[q=19 d=4] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=700 d=4] = input \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=700 e=17] = input \"tail5100\" stored \"m e\"\n"
     "  _3 : bool[q=19 m=700] = map m <= q*16 and 40 < m + q\n"
     "  _4 : f32[q=19 m=700] = placeholder \"raw\"\n"
     "  _5 : f32[q=19 e=17], _6 : f32[q=19] = attend q _0 dot [d=4] lse {\n"
     "    set over [m=700] k _1 v _2 only _3 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _5 stored \"q e\"\n"
     "  output \"y1\" = _6 stored \"q\"\n"
     "}\n",
     false},
};
Test(differential, rows_without_keys) { EXPECT(empty); }

/* What an absent pair's v holds does not matter. */
static const hand absent[] = {
    {"NaN and inf behind a predicate",
     "graph \"hand\" {\n"
     "  _0 : f32[q=21 d=4] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=18 d=4] = input \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=18 e=5] = input \"tail45\" stored \"m e\"\n"
     "  _3 : bool[q=21 m=18] = map m <= q and m < 9\n"
     "  _4 : f32[q=21 m=18] = placeholder \"raw\"\n"
     "  _5 : f32[q=21 e=5] = attend q _0 dot [d=4] {\n"
     "    set over [m=18] k _1 v _2 only _3 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _5 stored \"q e\"\n"
     "}\n",
     true},
    {"NaN in k and v that a window cuts off",
     "graph \"hand\" {\n"
     "  _0 : f32[b=2 h=20 d=4] = input \"x0\" stored \"b h d\"\n"
     "  _1 : f32[h=24 d=4] = input \"tail80\" stored \"h d\"\n"
     "  _2 : f32[h=24 e=18] = input \"tail360\" stored \"h e\"\n"
     "  _3 : f32[h=20 u=3 d=4] partial = read _1 { h = h + u - 1, d = d } border cut\n"
     "  _4 : f32[h=20 u=3 e=18] partial = read _2 { h = h + u - 1, e = e } border cut\n"
     "  _5 : bool[h=20 u=3] = map h + u < 21\n"
     "  _6 : f32[b=2 h=20 u=3] = placeholder \"raw\"\n"
     "  _7 : f32[b=2 h=20 e=18] = attend q _0 dot [d=4] {\n"
     "    set over [u=3] k _3 v _4 only _5 raw _6 score _6\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _7 stored \"b h e\"\n"
     "}\n",
     true},
    {"sums, products and means over what exists",
     "graph \"hand\" {\n"
     "  _0 : f32[a=20 b=7] = input \"tail70\" stored \"a b\"\n"
     "  _1 : f32[b=7 c=18] = input \"x1\" stored \"b c\"\n"
     "  _2 : f32[a=20 b=7] partial = map _0[a, b] only a < 10\n"
     "  _3 : f32[a=20 c=18] = contract over [b=7] _2[a, b]*_1[b, c]\n"
     "  _4 : f32[b=7] = mean over [a=20] _2[a, b]\n"
     "  _5 : f32[b=7] = max over [a=20] _2[a, b]\n"
     "  _6 : i32[b=7] = count over [a=20] _2[a, b]\n"
     "  output \"y0\" = _3 stored \"a c\"\n"
     "  output \"y1\" = _4 stored \"b\"\n"
     "  output \"y2\" = _5 stored \"b\"\n"
     "  output \"y3\" = _6 stored \"b\"\n"
     "}\n",
     true},
};
Test(differential, absent_elements_do_not_count) { EXPECT(absent); }

/* NaN ranks last, ties go to the lower index, infinities are numbers. */
static const hand ranks[] = {
    {"top of wild numbers",
     "graph \"hand\" {\n"
     "  _0 : f32[a=19 k=11] = input \"wild0\" stored \"a k\"\n"
     "  _1 : i32[a=19 t=9], _2 : f32[a=19 t=9] = topk _0 over [k] name t = 9\n"
     "  _3 : i32[a=19 t=11], _4 : f32[a=19 t=11] = topk _0 over [k] name t = 11 ascending\n"
     "  output \"y0\" = _1 stored \"a t\"\n"
     "  output \"y1\" = _2 stored \"a t\"\n"
     "  output \"y2\" = _3 stored \"a t\"\n"
     "  output \"y3\" = _4 stored \"a t\"\n"
     "}\n",
     false},
    {"top of nothing but -inf",
     "graph \"hand\" {\n"
     "  _0 : f32[a=3 k=5] = input \"neg0\" stored \"a k\"\n"
     "  _1 : i32[a=3 t=4], _2 : f32[a=3 t=4] = topk _0 over [k] name t = 4\n"
     "  output \"y0\" = _1 stored \"a t\"\n"
     "  output \"y1\" = _2 stored \"a t\"\n"
     "}\n",
     false},
};
Test(differential, ranking_of_what_is_no_number) { EXPECT(ranks); }

/* Names of axes that kernels use for their own things, and long thin shapes. */
static const hand shapes[] = {
    {"an axis called as the base of another",
     "graph \"hand\" {\n"
     "  _0 : f32[h=20 h0=40] = input \"x0\" stored \"h h0\"\n"
     "  _1 : f32[h=20] = max over [h0=40] _0[h, h0]\n"
     "  _2 : f32[h=20 h0=40] = map exp(_0[h, h0] - _1[h])\n"
     "  _3 : f32[h=20] = sum over [h0=40] _2[h, h0]\n"
     "  _4 : f32[h=20 h0=40] = map _2[h, h0]/_3[h]\n"
     "  _5 : f32[h00=3 h=20] = input \"x5\" stored \"h00 h\"\n"
     "  _6 : f32[h00=3 h0=40] = contract over [h=20] _5[h00, h]*_4[h, h0]\n"
     "  output \"y0\" = _4 stored \"h h0\"\n"
     "  output \"y1\" = _6 stored \"h00 h0\"\n"
     "}\n",
     true},
    {"axes called as buffers are",
     "graph \"hand\" {\n"
     "  _0 : f32[acc=5 l=3] = input \"x0\" stored \"acc l\"\n"
     "  _1 : f32[m=400 l=3] = input \"x1\" stored \"m l\"\n"
     "  _2 : f32[m=400 full=3] = input \"x2\" stored \"m full\"\n"
     "  _3 : bool[acc=5 m=400] = map m <= acc*90\n"
     "  _4 : f32[acc=5 m=400] = placeholder \"raw\"\n"
     "  _5 : f32[acc=5 full=3] = attend q _0 dot [l=3] {\n"
     "    set over [m=400] k _1 v _2 only _3 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  _6 : f32[T0=3 acc0=400] = contract over [full=3] _2[acc0, full]*_5[T0, full]\n"
     "  output \"y0\" = _5 stored \"acc full\"\n"
     "  output \"y1\" = _6 stored \"T0 acc0\"\n"
     "}\n",
     true},
    {"everything is one",
     "graph \"hand\" {\n"
     "  _0 : f32[q=1 d=1] = input \"x0\" stored \"q d\"\n"
     "  _1 : f32[m=1 d=1] = param \"x1\" stored \"m d\"\n"
     "  _2 : f32[m=1 e=1] = input \"x2\" stored \"m e\"\n"
     "  _4 : f32[q=1 m=1] = placeholder \"raw\"\n"
     "  _5 : f32[q=1 e=1] = attend q _0 dot [d=1] {\n"
     "    set over [m=1] k _1 v _2 raw _4 score _4\n"
     "    softmax\n"
     "  }\n"
     "  _6 : f32[q=1 e=1] = contract over [d=1 m=1] _0[q, d]*_2[m, e]\n"
     "  _7 : f32[] = sum over [q=1 e=1] _6[q, e]\n"
     "  _8 : f32[] = max _7[]\n"
     "  output \"y0\" = _5 stored \"q e\"\n"
     "  output \"y1\" = _6 stored \"q e\"\n"
     "  output \"y2\" = _8 stored \"\"\n"
     "}\n",
     true},
    {"primes, and a sum of a hundred thousand",
     "graph \"hand\" {\n"
     "  _0 : f32[a=101 b=997] = input \"x0\" stored \"a b\"\n"
     "  _1 : f32[b=997 c=2] = param \"x1\" stored \"c b\"\n"
     "  _2 : f32[] = mean over [a=101 b=997] _0[a, b]\n"
     "  _3 : f32[a=101 c=2] = contract over [b=997] _0[a, b]*_1[b, c]\n"
     "  _4 : f32[c=2] = max over [a=101] _3[a, c]\n"
     "  output \"y0\" = _2 stored \"\"\n"
     "  output \"y1\" = _3 stored \"a c\"\n"
     "  output \"y2\" = _4 stored \"c\"\n"
     "}\n",
     true},
    {"two scores and their sums beside a scan that is built step by step",
     "graph \"hand\" {\n"
     "  _0 : f32[n=3] = input \"x0\" stored \"n\"\n"
     "  _1 : f32[] = input \"x1\" stored \"\"\n"
     "  _2 : f32[] = placeholder \"state\"\n"
     "  _3 : f32[] = placeholder \"element\"\n"
     "  _4 : f32[] = map _2[]*0.5 + _3[]\n"
     "  _5 : f32[n=3], _6 : f32[] = scan over [n=3] {\n"
     "    element _3 of _0\n"
     "    state _2 first _1 next _4\n"
     "    output _4\n"
     "  }\n"
     "  _7 : f32[q=5 d=4] = input \"x2\" stored \"q d\"\n"
     "  _8 : f32[m=7 d=4] = input \"x3\" stored \"m d\"\n"
     "  _9 : f32[m=7 e=3] = input \"x4\" stored \"m e\"\n"
     "  _10 : f32[q=5 m=7] = placeholder \"raw\"\n"
     "  _11 : f32[q=5 m=7] = map _10[q, m]*0.5\n"
     "  _12 : f32[q=5 m=7] = placeholder \"p\"\n"
     "  _13 : f32[q=5 m=7] = placeholder \"p\"\n"
     "  _14 : f32[q=5 m=7] = map _12[q, m]*0.75 - _13[q, m]*0.25\n"
     "  _15 : f32[q=5 e=3], _16 : f32[q=5], _17 : f32[q=5] = attend q _7 dot [d=4] lse {\n"
     "    set over [m=7] k _8 v _9 raw _10 score _10, _11 p _12, _13 weight _14\n"
     "    softmax\n"
     "  }\n"
     "  output \"y0\" = _5 stored \"n\"\n"
     "  output \"y1\" = _15 stored \"q e\"\n"
     "  output \"y2\" = _17 stored \"q\"\n"
     "}\n",
     true},
};
Test(differential, shapes_and_names) { EXPECT(shapes); }

/* Products of pairs: a linear map, a convolution with borders, an odd number of channels, heads that merge. */
static const hand pairs[] = {
    {"linear maps and a convolution",
     "graph \"hand\" {\n"
     "  _0 : f32[b=2 h=5 w=7 c=6] = input \"x0\" stored \"b h w c\"\n"
     "  _1 : f32[c'=24 c=6] = param \"x1\" stored \"c' c\"\n"
     "  _2 : f32[b=2 h=5 w=7 c'=24] = contract over [c=6] _0[b, h, w, c]*_1[c', c]\n"
     "  _3 : f32[b=2 h=5 w=7 c=24] = read _2 { b = b, h = h, w = w, c' = c }\n"
     "  _4 : f32[c'=35 c=24 k.h=3 k.w=3] = param \"x2\" stored \"c' c k.h k.w\"\n"
     "  _5 : f32[b=2 c=24 h=5 k.h=3 w=7 k.w=3] = read _3 { b = b, h = h + k.h - 1, w = k.w + w - 1, c = c } border "
     "0.0\n"
     "  _6 : f32[b=2 h=5 w=7 c'=35] = contract over [c=24 k.h=3 k.w=3] _5[b, c, h, k.h, w, k.w]*_4[c', c, k.h, k.w]\n"
     "  _7 : f32[b=2 h=5 w=7 c=35] = read _6 { b = b, h = h, w = w, c' = c }\n"
     "  _8 : f32[c'=50 c=35] = param \"x3\" stored \"c' c\"\n"
     "  _9 : f32[b=2 h=5 w=7 c'=50] = contract over [c=35] _7[b, h, w, c]*_8[c', c]\n"
     "  _10 : f32[b=2 h=5 w=7 head=5 d=10] = read _9 { b = b, h = h, w = w, c' = head*10 + d }\n"
     "  _11 : f32[c'=17 c=50] = param \"x4\" stored \"c' c\"\n"
     "  _12 : f32[b=2 h=5 w=7 c=50] = read _10 { b = b, h = h, w = w, head = c // 10, d = c % 10 }\n"
     "  _13 : f32[b=2 h=5 w=7 c'=17] = contract over [c=50] _12[b, h, w, c]*_11[c', c]\n"
     "  output \"y0\" = _13 stored \"b h w c'\"\n"
     "}\n",
     true},
    {"rows, columns and channels that fill fragments of a matrix unit",
     "graph \"hand\" {\n"
     "  _0 : f32[b=2 n=49 c=5] = input \"x0\" stored \"b n c\"\n"
     "  _1 : f32[c'=96 c=5] = param \"x1\" stored \"c' c\"\n"
     "  _2 : f32[b=2 n=49 c'=96] = contract over [c=5] _0[b, n, c]*_1[c', c]\n"
     "  _3 : f32[e=70 c'=96] = param \"x2\" stored \"e c'\"\n"
     "  _4 : f32[b=2 n=49 e=70] = contract over [c'=96] _2[b, n, c']*_3[e, c']\n"
     "  _5 : f32[e=70] = param \"x3\" stored \"e\"\n"
     "  _6 : f32[b=2 n=49 e=70] = map max(_4[b, n, e] + _5[e], 0.0)\n"
     "  output \"y0\" = _6 stored \"b n e\"\n"
     "}\n",
     true},
    {"reduced axes that are filled up to fragments, or to a pair",
     "graph \"hand\" {\n"
     "  _0 : f32[b=2 n=49 c=5] = input \"x0\" stored \"b n c\"\n"
     "  _1 : f32[c'=48 c=5] = param \"x1\" stored \"c' c\"\n"
     "  _2 : f32[b=2 n=49 c'=48] = contract over [c=5] _0[b, n, c]*_1[c', c]\n"
     "  _3 : f32[e=17 c'=48] = param \"x2\" stored \"e c'\"\n"
     "  _4 : f32[b=2 n=49 e=17] = contract over [c'=48] _2[b, n, c']*_3[e, c']\n"
     "  _5 : f32[f=70 e=17] = param \"x3\" stored \"f e\"\n"
     "  _6 : f32[b=2 n=49 f=70] = contract over [e=17] _4[b, n, e]*_5[f, e]\n"
     "  _7 : f32[g=3 f=70] = param \"x4\" stored \"g f\"\n"
     "  _8 : f32[b=2 n=49 g=3] = contract over [f=70] _6[b, n, f]*_7[g, f]\n"
     "  _9 : f32[g=3 h=40] = param \"x5\" stored \"h g\"\n"
     "  _10 : f32[b=2 n=49 h=40] = contract over [g=3] _8[b, n, g]*_9[g, h]\n"
     "  output \"y0\" = _10 stored \"b n h\"\n"
     "}\n",
     true},
    {"a convolution with a border on fragments",
     "graph \"hand\" {\n"
     "  _0 : f32[b=2 h=4 w=19 c=3] = input \"x0\" stored \"b h w c\"\n"
     "  _1 : f32[c'=32 c=3] = param \"x1\" stored \"c' c\"\n"
     "  _2 : f32[b=2 h=4 w=19 c'=32] = contract over [c=3] _0[b, h, w, c]*_1[c', c]\n"
     "  _3 : f32[b=2 h=4 w=19 c=32] = read _2 { b = b, h = h, w = w, c' = c }\n"
     "  _4 : f32[c'=33 c=32 k.h=3 k.w=3] = param \"x2\" stored \"c' c k.h k.w\"\n"
     "  _5 : f32[b=2 c=32 h=4 k.h=3 w=19 k.w=3] = read _3 { b = b, h = h + k.h - 1, w = k.w + w - 1, c = c } border "
     "0.0\n"
     "  _6 : f32[b=2 h=4 w=19 c'=33] = contract over [c=32 k.h=3 k.w=3] _5[b, c, h, k.h, w, k.w]*_4[c', c, k.h, k.w]\n"
     "  output \"y0\" = _6 stored \"b h w c'\"\n"
     "}\n",
     true},
    {"one row, one column, two channels",
     "graph \"hand\" {\n"
     "  _0 : f32[a=1 c=3] = input \"x0\" stored \"a c\"\n"
     "  _1 : f32[e=2 c=3] = param \"x1\" stored \"e c\"\n"
     "  _2 : f32[a=1 e=2] = contract over [c=3] _0[a, c]*_1[e, c]\n"
     "  _3 : f32[f=33 e=2] = param \"x2\" stored \"f e\"\n"
     "  _4 : f32[a=1 f=33] = contract over [e=2] _2[a, e]*_3[f, e]\n"
     "  output \"y0\" = _4 stored \"a f\"\n"
     "}\n",
     true},
};
Test(differential, products_of_sixteen_bit_pairs) { expect_hand(pairs, sizeof pairs / sizeof *pairs, true); }
