/* Random graphs: legal, the same for one seed, their text is a fixed point, and the text means the same. */
#include "tests/fuzz/random_graph.c"

#include <criterion/criterion.h>
#include <stdlib.h>

static char *rendered(const fv_ctx *ctx) {
    fv_buf b = {0};
    fv_diag_render(ctx, &b);
    return b.text ? b.text : NULL;
}
static int runs(void) {
    const char *s = getenv("FOVEA_FUZZ");
    return s ? atoi(s) : 300;
}
static void run(fv_ctx *ctx, fv_graph *g, uint64_t seed, double **out) {
    bool fine = fv_reference_run(g, (fv_str){0}, fv_random_source, ctx, out, NULL, NULL);
    cr_assert(fine, "seed %llu: %s", (unsigned long long)seed, rendered(ctx));
}
Test(graph_random, texts_are_fixed_points_and_mean_the_same, .timeout = 300) {
    int kinds[FV_NODE_COUNT] = {0};
    double odd = 0, all = 0;
    for (int i = 0; i < runs(); i++) {
        uint64_t seed = (uint64_t)i;
        fv_ctx *one = fv_ctx_new(), *two = fv_ctx_new();
        fv_graph *g = fv_random_graph(one, seed);
        cr_assert(g && fv_graph_verify(g) == 0, "seed %d: %s", i, rendered(one));
        fv_buf a = {0}, b = {0};
        fv_graph_print(g, &a);
        fv_graph *h = fv_graph_parse(two, "", a.text);
        cr_assert(h != NULL, "seed %d: %s\n%s", i, rendered(two), a.text);
        fv_graph_print(h, &b);
        cr_assert_str_eq(b.text, a.text, "seed %d", i);
        double *x[3], *y[3];
        run(one, g, seed, x);
        run(two, h, seed, y);
        for (int o = 0; o < g->n_outputs; o++) {
            for (int64_t e = 0; e < fv_value_count(g->output[o].value); e++) {
                cr_assert(x[o][e] == y[o][e] || (isnan(x[o][e]) && isnan(y[o][e])),
                          "seed %d output %d element %lld: %g, %g", i, o, (long long)e, x[o][e], y[o][e]);
                odd += !isfinite(x[o][e]) || fabs(x[o][e]) > 1e3;
                all++;
            }
            free(x[o]);
            free(y[o]);
        }
        for (int n = 0; n < g->n_nodes; n++) kinds[g->node[n]->op]++;
        fv_buf_dispose(&a);
        fv_buf_dispose(&b);
        fv_ctx_dispose(one);
        fv_ctx_dispose(two);
    }
    for (int k = 0; k < FV_NODE_COUNT; k++)
        cr_expect(kinds[k] || k == FV_NODE_STATE, "no random graph has a %s", fv_node_op_name((fv_node_op)k));
    cr_expect(odd <= all * 0.01, "%g of %g elements are no use for a comparison", odd, all);
}
Test(graph_random, one_seed_is_one_graph) {
    for (int i = 0; i < 20; i++) {
        fv_buf t[2] = {{0}};
        for (int k = 0; k < 2; k++) {
            fv_ctx *ctx = fv_ctx_new();
            fv_graph_print(fv_random_graph(ctx, (uint64_t)i + 1000), &t[k]);
            fv_ctx_dispose(ctx);
        }
        cr_assert_str_eq(t[0].text, t[1].text);
        fv_buf_dispose(&t[0]);
        fv_buf_dispose(&t[1]);
    }
}
