/* fv_graph_mixes: what keeps the elements of a batch apart, and what does not. */
#include "graph/graph.h"

#include <criterion/criterion.h>
#include <string.h>

#define X "graph \"t\" {\n  _0 : f32[b=4 n=6 c=8] = input \"x\"\n"
#define Y(v) "  output " v "\n}\n"
static const struct {
    const char *text, *words; /* NULL: apart */
    int node;
} cases[] = {
    {X "  _1 : f32[c=8] = param \"w\"\n  _2 : f32[b=4 n=6] = sum over [c=8] _0[b, n, c]*_1[c]\n" Y("\"y\" = _2"), NULL,
     0},
    /* another name for the batch */
    {X
     "  _1 : f32[e=4 n=6 c=8] = read _0 { b = e, n = n, c = c }\n  _2 : f32[e=4 c=8] = max over [n=6] _1[e, n, c]\n" Y(
         "\"y\" = _2"),
     NULL, 0},
    {X "  _1 : f32[n=6 c=8] = mean over [b=4] _0[b, n, c]\n" Y("\"y\" = _1"), "goes over elements", 1},
    {X "  _1 : f32[b=4 n=6 c=8] = map _0[b, n, c]*float(b)\n" Y("\"y\" = _1"), "uses the number", 1},
    {X "  _1 : f32[b=4 c=8] = param \"w\"\n  _2 : f32[b=4 n=6 c=8] = map _0[b, n, c]*_1[b, c]\n" Y("\"y\" = _2"),
     "uses the number", 2},
    {X "  _1 : f32[b=4 n=6 c=8] = read _0 { b = 3 - b, n = n, c = c }\n" Y("\"y\" = _1"), "computed number", 1},
    {X "  _1 : f32[b=2 n=6 c=8] = read _0 { b = b, n = n, c = c }\n" Y("\"y\" = _1"), "a part of the batch", 1},
    {X "  _1 : f32[b=4 n=6 c=8] = read _0 { b = b, n = (n + b) % 6, c = c }\n" Y("\"y\" = _1"), "uses the number", 1},
    {X "  _1 : f32[p=24 c=8] = read _0 { b = p//6, n = p % 6, c = c }\n" Y("\"y\" = _1"), "computed number", 1},
    {X "  _1 : f32[b=4 e=4 n=6] = sum over [c=8] _0[b, n, c]*_0[e, n, c]\n" Y("\"y\" = _1"), "pairs elements", 1},
    {X "  _1 : f32[n=6 b=4 c=8] = map _0[b, n, c]\n" Y("\"y\" = _1 stored \"n b c\""), "output without the axis", 1},
    {"graph \"t\" {\n  _0 : f32[n=6 b=4] = input \"x\" stored \"n b\"\n" Y("\"y\" = _0"), "input without the axis", 0},
    {X "  _1 : f32[n=6] = input \"z\"\n  _2 : f32[b=4 n=6 c=8] = map _0[b, n, c] + _1[n]\n" Y("\"y\" = _2"),
     "input without the axis", 1},
};
Test(graph_batch, cases) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = fv_graph_parse(ctx, "t", cases[i].text);
        cr_expect(g != NULL, "case %zu: %s", i, fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        const char *why = NULL;
        const fv_node *n = g ? fv_graph_mixes(g, fv_intern(ctx, "b"), &why) : NULL;
        if (g && !cases[i].words) cr_expect(!n, "case %zu: %s", i, why);
        if (g && cases[i].words)
            cr_expect(n && strstr(why, cases[i].words) && n->id == cases[i].node, "case %zu: node %d %s", i,
                      n ? n->id : -1, n ? why : "none");
        fv_ctx_dispose(ctx);
    }
}
/* Graphs of one spec for 4 and for 3 elements: extents alone differ, or more does. */
Test(graph_batch, differs) {
    const struct {
        const char *a, *b;
        int node; /* -1: alike */
        int of_b;
    } pairs[] = {
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4] = sum over [c=8] _0[b, c]\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=3 c=8] = input \"x\"\n  _1 : f32[b=3] = sum over [c=8] _0[b, c]\n  output \"y\" = _1\n}\n", -1,
         3},
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4 c=8] = map _0[b, c]*0.25\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=3 c=8] = input \"x\"\n  _1 : f32[b=3 c=8] = map _0[b, c]*0.5\n  output \"y\" = _1\n}\n", 1, 3},
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4] = sum over [c=8] _0[b, c]\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=3 c=7] = input \"x\"\n  _1 : f32[b=3] = sum over [c=7] _0[b, c]\n  output \"y\" = _1\n}\n", 0,
         3},
        /* the coordinate of one element is 0; a number that the author wrote stays what it is */
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4 c=8] = map _0[b, c]\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=1 c=8] = input \"x\"\n  _1 : f32[b=1 c=8] = map _0[0, c]\n  output \"y\" = _1\n}\n", -1, 1},
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4 c=8] = map _0[b, 3]\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=1 c=8] = input \"x\"\n  _1 : f32[b=1 c=8] = map _0[0, 0]\n  output \"y\" = _1\n}\n", 1, 1},
        {"  _0 : f32[b=4 c=8] = input \"x\"\n  _1 : f32[b=4 c=8] = map _0[b, c]\n  output \"y\" = _1\n}\n",
         "  _0 : f32[b=1 c=8] = input \"x\"\n  _1 : f32[b=1 c=8] = map _0[0, 0]\n  output \"y\" = _1\n}\n", 1, 1},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *a = fv_graph_parse(ctx, "a", fv_printf(ctx, "graph \"t\" {\n%s", pairs[i].a));
        fv_graph *b = fv_graph_parse(ctx, "b", fv_printf(ctx, "graph \"t\" {\n%s", pairs[i].b));
        cr_assert(a && b);
        const fv_node *n = fv_graph_differs(a, b, 4, pairs[i].of_b);
        cr_expect_eq(n ? n->id : -1, pairs[i].node, "pair %zu: node %d", i, n ? n->id : -1);
        fv_ctx_dispose(ctx);
    }
}
