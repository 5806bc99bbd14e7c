/* Keys first: attends that are linear in q and k, and some that only look so, compiled and held against the reference;
 * the work of the plan says whether the sum over the keys is made once. */
#define _DEFAULT_SOURCE
#include "dsl/dsl.h"
#include "tests/fuzz/differential.h"

#include <criterion/criterion.h>
#include <math.h>
#include <unistd.h>

static bool numbers(void *user, const fv_node *leaf, double *out, int64_t count) {
    (void)user;
    for (int64_t i = 0; i < count; i++) out[i] = sin((double)(i * 7 + leaf->id * 13)) * 0.7;
    return true;
}

/* 96 queries and 120 keys: pair by pair 2 * 96 * 120 * (8 + 12) operations for each of b and head. */
static const char head[] = "local q, k = input('q', 'b=2 head=3 m=96 d=8'), input('k', 'b=2 head=3 n=120 d=8')\n"
                           "local v, gate = input('v', 'b=2 head=3 n=120 e=12'), input('g', 'b=2 m=96')\n"
                           "local t, bias = param('t', 'head', { head = 3 }), param('bias', 'n', { n = 120 })\n"
                           "output('o', attend{ q = q, k = k, over = 'n', dot = 'd', ";

static void expect(const char *rest, bool first) {
    char path[] = "/tmp/fovea_associate_XXXXXX.lua";
    int fd = mkstemps(path, 4);
    cr_assert(fd >= 0);
    cr_assert(write(fd, head, sizeof head - 1) == (ssize_t)sizeof head - 1 &&
              write(fd, rest, strlen(rest)) == (ssize_t)strlen(rest));
    close(fd);
    fv_ctx *ctx = fv_ctx_new();
    fv_spec spec;
    bool good = fv_spec_load(ctx, path, NULL, &(fv_spec_options){.declare = true}, &spec);
    fv_buf b = {0};
    fv_diag_render(ctx, &b);
    cr_assert(good, "%s: %s", rest, b.text ? b.text : "");
    fv_buf_dispose(&b);
    fv_diff d;
    cr_assert(fv_diff_open(&d, ctx, spec.graph, numbers, NULL, false), "%s: %s", rest, d.report.text);
    fv_diff_verdict v = fv_diff_run(&d, &(fv_diff_variant){.interpret = true, .compile = true});
    cr_expect_eq(v, FV_DIFF_AGREES, "%s: %s", rest, d.report.text);
    fv_diff_close(&d);
    fv_cost cost;
    fv_graph_cost(spec.graph, &cost);
    fv_compiled c = {0};
    cr_assert(fv_compile_plan(ctx, spec.graph, (fv_str){0}, &(fv_driver_options){0}, &c));
    double flops = 0;
    for (int i = 0; i < c.plan->n_launches[1]; i++) flops += c.plan->launch[1][i]->flops;
    cr_expect((flops < cost.macs / 2) == first, "%s: %.0f operations, %.0f pair by pair", rest, flops, 2 * cost.macs);
    fv_compiled_dispose(&c);
    fv_ctx_dispose(ctx);
    unlink(path);
}

Test(associate, linear_attends_sum_their_keys_once) {
    expect("v = v, scale = 1, normalise = 'none' }, 'b head m e')", true);
    expect("v = v, scale = 0.25, normalise = ratio{ floor = 0.5 } }, 'b head m e')", true);
    expect("v = v, normalise = ratio{ eps = 40.0 } }, 'b head m e')", true);
    expect("v = v:as'e=d', normalise = ratio{ floor = 2.0 }, weight = function(p) return t * p end }, 'b head m d')",
           true);
    expect("v = v, normalise = ratio{ floor = 1.5 }, score = function(s) return -(s * gate) / (t + 3) end,\n"
           "weight = function(p) return exp(gate) * p * t end }, 'b head m e')", true);
    expect("v = v:split'n = y x=10', normalise = 'none', k = k:split'n = y x=10', over = 'y x' }, 'b head m e')", true);
}
Test(associate, what_is_not_linear_stays_pair_by_pair) {
    expect("v = v }, 'b head m e')", false);
    expect("v = v, normalise = 'none', score = function(s) return s + bias end }, 'b head m e')", false);
    expect("v = v, normalise = 'none', score = function(s) return s * bias end }, 'b head m e')", false);
    expect("v = v, normalise = 'none', score = function(s) return s * s end }, 'b head m e')", false);
    expect("v = v, normalise = 'none', score = relu }, 'b head m e')", false);
    expect("v = v, normalise = 'none', only = le(k:index'n', q:index'm') }, 'b head m e')", false);
    expect("v = v, normalise = { { softmax = 'm' }, ratio{ eps = 0.1 } } }, 'b head m e')", false);
    expect("v = v:slice{ n = {0, 9} }, k = k:slice{ n = {0, 9} }, normalise = 'none' }, 'b head m e')", false);
}
