/* The verifier: a sound graph is broken in one way at a time, as a faulty pass would, and each break is found and
 * named. */
#include "graph/graph.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const sound =
    "graph \"t\" {\n"
    "  _0 : f32[n=5 d=4] = input \"q\"\n  _1 : f32[m=6 d=4] = input \"k\"\n  _2 : f32[n=5 m=6] = placeholder \"raw\"\n"
    "  _3 : f32[n=5 m=6] = map _2[n, m]*2.0\n"
    "  _4 : f32[n=5 m=6] = placeholder \"p\"\n  _5 : f32[n=5 m=6] = map _4[n, m]*3.0\n"
    "  _6 : f32[u=2 d=4] = input \"k2\"\n  _7 : f32[n=5 u=2] = placeholder \"raw\"\n"
    "  _8 : f32[n=5 d=4] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _1 raw _2 score _3 p _4 weight _5\n"
    "    set over [u=2] k _6 v _6 raw _7 score _7\n    softmax\n  }\n"
    "  _9 : f32[d=4] = placeholder \"s\"\n  _10 : f32[d=4] = placeholder \"e\"\n"
    "  _11 : f32[d=4] = map _9[d] + _10[d]\n  _12 : f32[d=4] = map 0.0\n"
    "  _13 : f32[n=5 d=4], _14 : f32[d=4] = scan over [n=5] {\n    element _10 of _8\n"
    "    state _9 first _12 next _11\n    output _11\n  }\n"
    "  _15 : i32[n=5] = map n + 1\n  _16 : f32[n=5 d=4] partial = read _13 { n = n - 1, d = d } border cut\n"
    "  _17 : f32[d=4] = sum over [n=5] _16[n, d]\n"
    "  output \"y\" = _17\n  output \"i\" = _15\n}\n";

typedef void breaker(fv_graph *g);
static fv_value *v(fv_graph *g, int id) { return g->value[id]; }
static fv_attend_node *attend_of(fv_graph *g) { return &v(g, 8)->node->u.attend; }
static fv_scan_node *scan_of(fv_graph *g) { return &v(g, 13)->node->u.scan; }
static fv_value *foreign(fv_graph *g) {
    fv_value *x = FV_NEW(g->ctx, fv_value);
    *x = *v(g, 0);
    return x;
}

static void swapped_nodes(fv_graph *g) { fv_node *n = g->node[0]; g->node[0] = g->node[1]; g->node[1] = n; }
static void later_operand(fv_graph *g) { v(g, 16)->node->u.read.src = v(g, 17); }
static void foreign_operand(fv_graph *g) { v(g, 16)->node->u.read.src = foreign(g); }
static void foreign_in_body(fv_graph *g) { v(g, 3)->node->u.compute.body = fv_value_at_self(g->ctx, foreign(g)); }
static void no_result(fv_graph *g) { v(g, 17)->node->n_results = 0; }
static void wrong_type(fv_graph *g) { v(g, 17)->obj.type = FV_I32; }
static void wrong_axes(fv_graph *g) { ((fv_axis *)(void *)v(g, 8)->axis)[0].extent = 7; }
static void not_partial(fv_graph *g) { v(g, 16)->partial = false; }
static void not_free(fv_graph *g) { v(g, 17)->free_form = true; }
static void narrow_range(fv_graph *g) { v(g, 15)->obj.hi = 4; }
static void unregistered(fv_graph *g) { v(g, 14)->result = 0; }
static void missing_result(fv_graph *g) { v(g, 13)->node->n_results = 1; }
static void broken_rule(fv_graph *g) { v(g, 17)->node->u.compute.over[0].extent = 4; }
static void unproved_index(fv_graph *g) { v(g, 16)->node->u.read.border = FV_BORDER_NONE; }
static void no_output(fv_graph *g) { g->n_outputs = 0; }
static void output_twice(fv_graph *g) { g->output[1].name = g->output[0].name; }
static void output_partial(fv_graph *g) { g->output[0].value = v(g, 16); }
static void output_foreign(fv_graph *g) { g->output[0].value = foreign(g); }
static void output_stored(fv_graph *g) { g->output[0].stored.rank = 0; }
static void output_inner(fv_graph *g) { g->output[0].value = v(g, 11); }
static void q_sees_raw(fv_graph *g) {
    v(g, 3)->node->u.compute.body = fv_value_at_self(g->ctx, v(g, 2));
    attend_of(g)->set[0].only = v(g, 5);
    v(g, 5)->obj.type = FV_BOOL;
    v(g, 5)->node->u.compute.body = fv_op2(g->ctx, FV_X_LT, fv_value_at_self(g->ctx, v(g, 2)), fv_float(g->ctx, 0));
    attend_of(g)->set[0].weight = NULL;
    attend_of(g)->set[0].p = NULL;
}
static void weight_sees_raw(fv_graph *g) { v(g, 5)->node->u.compute.body = fv_value_at_self(g->ctx, v(g, 2)); }
static void unowned(fv_graph *g) { scan_of(g)->n_elements = 0; }
static void owned_twice(fv_graph *g) { scan_of(g)->element[0] = v(g, 9); }
static void first_sees_state(fv_graph *g) { scan_of(g)->init[0] = v(g, 11); }

static const struct { const char *name; breaker *fn; const char *words; } breaks[] = {
    {"swapped_nodes", swapped_nodes, "stands at place"},
    {"later_operand", later_operand, "reads a later value"},
    {"foreign_operand", foreign_operand, "a value of another graph"},
    {"foreign_in_body", foreign_in_body, "a value of another graph"},
    {"no_result", no_result, "has no result"},
    {"wrong_type", wrong_type, "should be f32"},
    {"wrong_axes", wrong_axes, "should have the axes n=5 d=4"},
    {"not_partial", not_partial, "may be absent and is not marked so"},
    {"not_free", not_free, "is marked so"},
    {"narrow_range", narrow_range, "said to lie in 1..4"},
    {"unregistered", unregistered, "is not registered"},
    {"missing_result", missing_result, "1 results, and 2 follow"},
    {"broken_rule", broken_rule, "axis 'n' is 4 here and 5 there"},
    {"unproved_index", unproved_index, "which may be -1 to 3"},
    {"no_output", no_output, "has no output"},
    {"output_twice", output_twice, "is there twice"},
    {"output_partial", output_partial, "may be absent"},
    {"output_foreign", output_foreign, "a value of another graph"},
    {"output_stored", output_stored, "does not name each axis once"},
    {"output_inner", output_inner, "exists only inside"},
    {"q_sees_raw", q_sees_raw, "only depends on the raw"},
    {"weight_sees_raw", weight_sees_raw, "which is not its own"},
    {"unowned", unowned, "no node owns"},
    {"owned_twice", owned_twice, "is bound twice"},
    {"first_sees_state", first_sees_state, "a first state depends on the s"},
};
Test(graph_verify, every_break_is_found) {
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = fv_graph_parse(ctx, "", sound);
        cr_assert(g && fv_graph_verify(g) == 0, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        breaks[i].fn(g);
        int faults = fv_graph_verify(g);
        bool said = false;
        for (int d = 0; d < fv_diag_count(ctx); d++) said = said || strstr(fv_diag_at(ctx, d)->text, breaks[i].words);
        cr_expect(faults > 0 && said, "%s: %d faults, first: %s", breaks[i].name, faults, fv_diag_count(ctx)
                  ? fv_diag_at(ctx, 0)->text : "");
        fv_ctx_dispose(ctx);
    }
}
Test(graph_verify, faults_are_collected) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = fv_graph_parse(ctx, "", sound);
    wrong_type(g);
    not_partial(g);
    narrow_range(g);
    cr_assert_geq(fv_graph_verify(g), 3);
    fv_ctx_dispose(ctx);
}
