/* Wished schedules: what they say is what is lowered, the numbers stay those of the reference (tests/fuzz/
 * differential.h), what does not fit is refused with its reason, and without wishes nothing changes. */
#include "dense_graph.h"
#include "tests/fuzz/differential.h"
#include "tests/fuzz/random_graph.h"
#include "tune/group.h"

#include <criterion/criterion.h>
#include <string.h>

static const char linear[] = "graph \"linear\" {\n"
                             "  _0 : f32[m=37 k=24] = input \"x\" stored \"m k\"\n"
                             "  _1 : f32[k=24 n=70] = param \"w\" stored \"n k\"\n"
                             "  _2 : f32[m=37 n=70] = contract over [k=24] _0[m, k]*_1[k, n]\n"
                             "  _3 : f32[m=37 n=70] = map max(_2[m, n], 0.0)\n"
                             "  output \"y\" = _3 stored \"m n\"\n"
                             "}\n";
static const char rows[] = "graph \"rows\" {\n"
                           "  _0 : f32[r=37 c=24] = input \"x\" stored \"r c\"\n"
                           "  _1 : f32[r=37] = mean over [c=24] _0[r, c]\n"
                           "  _2 : f32[r=37 c=24] = map _0[r, c] - _1[r]\n"
                           "  output \"y\" = _2 stored \"r c\"\n"
                           "}\n";
static const char map[] = "graph \"map\" {\n"
                          "  _0 : f32[a=5 b=300] = input \"x\" stored \"a b\"\n"
                          "  _1 : f32[a=5 b=300] = map exp(_0[a, b])\n"
                          "  output \"y\" = _1 stored \"a b\"\n"
                          "}\n";
static const char dense[] = DENSE_ATTEND "  output \"y\" = _4 stored \"m e\"\n"
                                         "}\n";

typedef struct {
    const char *graph, *wish, *holds; /* holds: in the text of the kernel and its schedule; NULL: not looked at */
} accepted;
static const accepted good[] = {
    {linear, "tile.n=32", "grid n:32"},
    {linear, "contract.block tile.m=12 tile.n=64", "m:12"},
    {linear, "nest.mm0=n~,m/2!,k", "nest.mm0=n~,m/2!,k"},
    {linear, "vector=8 nest.mm0=n~,m/2!,k", "vector=8"},
    {linear, "tile.n=16 tile.m=1", NULL},
    {rows, "tile.r=5", "r:5"},
    {map, "tile.a_b=64", "a_b:64"},
    {dense, "attend.box tile.m=16 tile.n=48", "m:16"},
    {dense, "softmax=resident", "softmax=resident"},
    {dense, "softmax=online tile.n=400", "softmax=online"},
    {dense, "lane.acc=m", "lane.acc=m"},
};
typedef struct {
    const char *graph, *wish, *reason;
} refusal;
static const refusal bad[] = {
    {linear, "tile.m=40", "tile.m is 40: the axis has 37 points"},
    {linear, "tile.k=8", "tile.k, which this kernel does not choose; it chooses n, m"},
    {linear, "nest.mm7=n~", "names mm7, which is nothing here; the statements are mm0, st1"},
    {linear, "softmax=online", "sets softmax, which contract.block does not heed"},
    {linear, "place.acc=reg", "sets place, which contract.block does not heed"},
    {linear, "attend.box", "the schedule is for attend.box, this is contract.block"},
    {dense, "softmax=resident tile.n=64", "sets tile.n, which this kernel does not choose; it chooses m"},
    {dense, "attend.offset", "no strategy lowers this attend"},
    {dense, "attend.none", "no strategy lowers this attend"},
};

static fv_graph *parse(fv_ctx *ctx, const char *text) {
    fv_graph *g = fv_graph_parse(ctx, "graph", text);
    cr_assert(g, "the graph parses");
    return g;
}
/* The one group of these graphs, lowered by default. */
static const fv_launch *group_of(const fv_plan *p) {
    for (int i = 0; i < p->n_launches[1]; i++)
        if (p->launch[1][i]->group >= 0) return p->launch[1][i];
    return NULL;
}
static fv_driver_options wishing(fv_ctx *ctx, const fv_graph *g, const char *text) {
    fv_driver_options o = {.target = "avx512"};
    fv_compiled c;
    cr_assert(fv_compile_plan(ctx, (fv_graph *)(uintptr_t)g, (fv_str){0}, &o, &c));
    const fv_launch *l = group_of(c.plan);
    cr_assert(l && l->group < g->n_nodes);
    const fv_schedule **wish = FV_NEWN(ctx, const fv_schedule *, g->n_nodes);
    o.wish = wish;
    o.n_wish = g->n_nodes;
    if (text) cr_assert((wish[l->group] = fv_schedule_parse(ctx, "wish", text)) != NULL);
    return o;
}
static char *launch_text(fv_ctx *ctx, const fv_launch *l) {
    fv_buf b = {0};
    fv_kernel_print(l->kernel, &b);
    fv_schedule_print(ctx, l->schedule, &b);
    char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}
static char *plan_text(fv_ctx *ctx, fv_graph *g, const fv_driver_options *o) {
    fv_compiled c;
    fv_buf b = {0};
    cr_assert(fv_compile_plan(ctx, g, (fv_str){0}, o, &c));
    fv_plan_print(c.plan, &b, true);
    char *text = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return text;
}

Test(wish, is_followed_and_changes_no_result) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = parse(ctx, good[i].graph);
        fv_diff_variant v = {.driver = wishing(ctx, g, good[i].wish), .interpret = true, .flat = true};
        fv_compiled c;
        bool lowered = fv_compile_plan(ctx, g, (fv_str){0}, &v.driver, &c);
        fv_buf text = {0};
        fv_diag_render(ctx, &text);
        cr_expect(lowered, "%s: %s", good[i].wish, text.text ? text.text : "");
        if (lowered && good[i].holds)
            cr_expect(strstr(launch_text(ctx, group_of(c.plan)), good[i].holds), "%s: no '%s' in\n%s", good[i].wish,
                      good[i].holds, launch_text(ctx, group_of(c.plan)));
        fv_buf_dispose(&text);
        fv_diff d;
        cr_assert(fv_diff_open(&d, ctx, g, fv_random_source, ctx, false));
        if (lowered) cr_expect_eq(fv_diff_run(&d, &v), FV_DIFF_AGREES, "%s: %s", good[i].wish, d.report.text);
        fv_diff_close(&d);
        fv_ctx_dispose(ctx);
    }
}
Test(wish, that_does_not_fit_is_refused_with_its_reason) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = parse(ctx, bad[i].graph);
        fv_driver_options o = wishing(ctx, g, bad[i].wish);
        fv_compiled c;
        cr_expect(!fv_compile_plan(ctx, g, (fv_str){0}, &o, &c), "%s is taken", bad[i].wish);
        fv_buf b = {0};
        fv_diag_render(ctx, &b);
        cr_expect(b.text && strstr(b.text, bad[i].reason), "%s: %s", bad[i].wish, b.text ? b.text : "no reason");
        fv_buf_dispose(&b);
        fv_ctx_dispose(ctx);
    }
}
Test(wish, none_changes_nothing_and_a_launch_s_own_schedule_gives_it_again) {
    static const char *const graphs[] = {linear, rows, map, dense};
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = parse(ctx, graphs[i]);
        fv_driver_options none = {.target = "avx512"}, empty = wishing(ctx, g, NULL);
        char *want = plan_text(ctx, g, &none);
        cr_expect_str_eq(plan_text(ctx, g, &empty), want);
        fv_compiled c;
        cr_assert(fv_compile_plan(ctx, g, (fv_str){0}, &none, &c));
        fv_buf own = {0};
        fv_schedule_print(ctx, fv_launch_schedule(ctx, group_of(c.plan)), &own);
        fv_driver_options same = wishing(ctx, g, own.text);
        cr_expect_str_eq(plan_text(ctx, g, &same), want, "%s", own.text);
        fv_buf_dispose(&own);
        fv_ctx_dispose(ctx);
    }
}
Test(wish, groups_with_equal_kernels_have_one_text) {
    static const char two[] = "graph \"two\" {\n"
                              "  _0 : f32[a=5 b=300] = input \"x\" stored \"a b\"\n"
                              "  _1 : f32[a=5 b=300] = input \"z\" stored \"a b\"\n"
                              "  _2 : f32[a=5 b=300] = map exp(_0[a, b])\n"
                              "  _3 : f32[a=5 b=300] = map exp(_1[a, b])\n"
                              "  _4 : f32[a=5 b=300] = map sin(_1[a, b])\n"
                              "  output \"y\" = _2 stored \"a b\"\n"
                              "  output \"u\" = _3 stored \"a b\"\n"
                              "  output \"v\" = _4 stored \"a b\"\n"
                              "}\n";
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parse(ctx, two);
    fv_driver_options o = {.target = "avx512"};
    fv_compiled c;
    cr_assert(fv_compile_plan(ctx, g, (fv_str){0}, &o, &c));
    cr_assert_eq(c.plan->n_launches[1], 3);
    fv_launch *const *l = c.plan->launch[1];
    cr_expect_str_eq(fv_tune_group_text(ctx, l[0]), fv_tune_group_text(ctx, l[1]));
    cr_expect_str_neq(fv_tune_group_text(ctx, l[0]), fv_tune_group_text(ctx, l[2]));
    cr_expect_neq(l[0]->group, l[1]->group);
    fv_ctx_dispose(ctx);
}
