/* Builders: what each refuses, and with which words; what follows from a node; the text that prints and parses; costs.
 * */
#include "graph/graph.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *first_text(const fv_ctx *ctx) { return fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : ""; }
static fv_graph *parsed(fv_ctx *ctx, const char *text) {
    fv_graph *g = fv_graph_parse(ctx, "t", text);
    cr_assert(g != NULL, "%s", first_text(ctx));
    return g;
}

/* -- Refusals: each text is wrong in one way ---------------------------------------------------------------------- */
#define X "  _0 : f32[b=2 h=8 c=4] = input \"x\"\n"
#define QK "  _0 : f32[n=5 d=4] = input \"q\"\n  _1 : f32[m=6 d=4] = input \"k\"\n" \
    "  _2 : f32[m=6 e=3] = input \"v\"\n  _3 : f32[n=5 m=6] = placeholder \"raw\"\n"
static const struct { const char *body; fv_code code; const char *words; } refused[] = {
    /* axes, R1 R2 */
    {"  _0 : f32[a=2 a=3] = input \"x\"\n", FV_E_AXIS, "axis 'a' is there twice"},
    {"  _0 : f32[a=0] = input \"x\"\n", FV_E_AXIS, "extent 0"},
    {"  _0 : f32[inf=2] = input \"x\"\n", FV_E_AXIS, "cannot name an axis"},
    {"  _0 : f32[_7=2] = input \"x\"\n", FV_E_AXIS, "names a value"},
    {"  _0 : f32[a=2000000000 b=2000000] = input \"x\"\n", FV_E_AXIS, "elements"},
    {X "  _1 : f32[b=2 h=9 c=4] = map _0[b, h, c]\n", FV_E_AXIS,
     "axis 'h' is 9 here and 8 there; here: b=2 h=9 c=4; there: x: b=2 h=8 c=4 (line 2)"},
    {X "  _1 : f32[b=2] = sum over [h=8] _0[b, h, c]\n", FV_E_AXIS, "'c' is not among its axes: b=2 h=8"},
    {X "  _1 : f32[b=2] = map over [h=8] _0[b, h, 0]\n", FV_E_GRAPH, "a map reduces no axis"},
    {X "  _1 : f32[b=2 h=8] = sum over [h=8] _0[b, h, 0]\n", FV_E_AXIS, "axis 'h' is there twice"},
    /* leaves */
    {X "  _1 : f32[b=2] = input \"x\"\n", FV_E_ARGUMENT, "declared twice"},
    {"  _0 : f32[a=2 b=3] = input \"x\" stored \"a\"\n", FV_E_GRAPH, "does not name each axis once"},
    {"  _0 : f32[a=2 b=3] = input \"x\" stored \"a (b a)\"\n", FV_E_GRAPH, "does not name each axis once"},
    {"  _0 : i32[a=2] = const { 1 1.5 }\n", FV_E_ARGUMENT, "which is no i32"},
    {"  _0 : bool[a=2] = const { 1 2 }\n", FV_E_ARGUMENT, "which is no bool"},
    {"  _0 : f32[a=2] = input \"x\" in 0 to 3\n", FV_E_ARGUMENT, "belong to an i32"},
    /* reads, A1 */
    {X "  _1 : f32[b=2 h=8 u=3 c=4] = read _0 { b = b, h = h + u - 1, c = c }\n", FV_E_BORDER,
     "read at h + u - 1, which may be -1 to 8. Read is x: b=2 h=8 c=4 (line 2)"},
    {X "  _1 : f32[b=2 h=8 c=4] = read _0 { b = b, h = h - 8, c = c } border reflect\n", FV_E_BORDER, "one reflection"},
    {X "  _1 : f32[b=2 h=8 c=4] = read _0 { b = b, h = float(h)*0.5, c = c } border 0.0\n", FV_E_ARGUMENT, "use floor"},
    {X "  _1 : f32[b=2 h=8 c=4] = read _0 { b = b, h = w, c = c } border 0.0\n", FV_E_AXIS, "'w' is not among"},
    {X "  _1 : f32[b=2 h=8 c=4] = read _0 { b = b, h = h, c = c } only h + 1\n", FV_E_ARGUMENT, "must be bool"},
    {"  _0 : i32[a=2] = input \"x\"\n  _1 : i32[a=2] = read _0 { a = a + 1 } border 0.5\n", FV_E_BORDER, "is no i32"},
    {"  _0 : i32[a=2] = input \"i\"\n" "  _1 : f32[n=3] = input \"x\"\n  _2 : f32[a=2] = read _1 { n = _0[a] }\n",
     FV_E_BORDER, "axis 'n' of extent 3"},
    {X "  _1 : f32[b=2 h=8] = map _0[b, h + 1, 0]\n", FV_E_BORDER, "axis 'h' of extent 8 is read at h + 1"},
    /* absence, A2 */
    {X "  _1 : f32[b=2 h=8 c=4] partial = read _0 { b = b, h = h + 1, c = c } border cut\n  output \"y\" = _1\n",
     FV_E_ABSENT, "may be absent"},
    {X "  _1 : f32[b=2 h=8 c=4] partial = read _0 { b = b, h = h + 1, c = c } border cut\n"
       "  _2 : i32[b=2 c=4 top=1], _3 : f32[b=2 c=4 top=1] = topk _1 over [h] name top = 1\n", FV_E_ABSENT,
           "top: elements may be absent"},
    {X "  _1 : f32[b=2 h=8 c=4] partial = read _0 { b = b, h = h + 1, c = c } border cut\n"
       "  _2 : f32[b=2 h=8 c=4] = map _0[b, h, c] otherwise _1[b, h, c]\n", FV_E_ABSENT,
           "otherwise may itself be absent"},
    {X "  _1 : f32[b=2 c=4] = sum over [h=8] _0[b, h, c] otherwise 0.0\n", FV_E_GRAPH, "otherwise belongs to maps"},
    {X "  _1 : f32[b=2 h=8 c=4] = map _0[b, h, c] only h < 3\n", FV_E_GRAPH, "stated as"},
    /* compute, concat */
    {X "  _1 : bool[b=2] = any over [h=8 c=4] _0[b, h, c]\n", FV_E_ARGUMENT, "any reduces bools"},
    {X "  _1 : f32[n=2] = input \"z\"\n  _2 : f32[h=10] = concat h of _0, _1\n", FV_E_AXIS, "a part lacks it: z: n=2"},
    {X "  _1 : f32[h=2 c=5] = input \"z\"\n  _2 : f32[b=2 h=10 c=4] = concat h of _0, _1\n", FV_E_AXIS,
     "axis 'c' is 4 in one part and 5"},
    /* topk, A5 */
    {X "  _1 : i32[b=2 c=4 top=9], _2 : f32[b=2 c=4 top=9] = topk _0 over [h] name top = 9\n", FV_E_ARGUMENT,
     "9 of 8 elements"},
    {X "  _1 : i32[b=2 c=4 top=1], _2 : f32[b=2 c=4 top=1] = topk _0 over [w] name top = 1\n", FV_E_AXIS,
     "no axis 'w'"},
    {X "  _1 : i32[b=2 c=1], _2 : f32[b=2 c=1] = topk _0 over [h] name c = 1\n", FV_E_AXIS, "axis 'c' is there twice"},
    /* attend, section 4 and R4 R5 */
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [] k _1 v _2 raw _3 score _3\n    softmax\n  }\n",
     FV_E_ATTEND, "a forgotten over?"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=5] {\n    set over [m=6] k _1 v _2 raw _3 score _3\n  }\n",
     FV_E_ATTEND, "axis 'd' is 5, and 4 in q"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _0 raw _3 score _3\n  }\n",
     FV_E_ATTEND, "v lacks the axis 'm'"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [n=5] k _0 v _0 raw _3 score _3\n  }\n",
     FV_E_ATTEND, "'n' is an axis of the query"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6 d=4] k _1 v _2 raw _3 score _3\n  }\n",
     FV_E_ATTEND, "in dot and in over"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] v _2 raw _3 score _3\n  }\n", FV_E_ATTEND,
     "either k or logits"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _2 score _3\n  }\n", FV_E_ATTEND,
     "raw score belongs to k"},
    {QK "  _4 : f32[n=5 m=6] = map 1.0\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 raw _4 score _4\n  }\n", FV_E_ATTEND, "is not a placeholder"},
    {QK "  _4 : f32[n=5 m=6 z=2] = map _3[n, m]\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 raw _3 score _4\n  }\n", FV_E_ATTEND, "axis 'z' of the score"},
    {QK "  _4 : f32[n=5 m=6] = map 1.0\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 only _4 raw _3 score _3\n  }\n", FV_E_ATTEND, "must be bool"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _2 raw _3 score _3\n"
        "    softmax over [z]\n  }\n", FV_E_ATTEND, "no axis 'z'"},
    {QK "  _4 : f32[n=5 e=3], _5 : f32[n=5] = attend q _0 dot [d=4] lse {\n"
        "    set over [m=6] k _1 v _2 raw _3 score _3\n    ratio eps 0.0\n  }\n", FV_E_ATTEND, "lse needs"},
    {QK "  _4 : f32[] = param \"s\"\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 raw _3 score _3\n"
        "    set over [] s _4 v 0.0 score _4\n    softmax over [n]\n  }\n", FV_E_ATTEND, "takes one set"},
    {QK "  _4 : f32[] = param \"s\"\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 raw _3 score _3\n"
        "    set over [] s _4 v _4 score _4\n  }\n", FV_E_ATTEND, "set 2: the value axes are {(no axes)}, and {e=3}"},
    {QK "  _4 : f32[n=5 m=6] partial = map 1.0 only m < n\n  _5 : f32[n=5 e=3] = attend {\n"
        "    set over [m=6] s _4 v _2 score _4\n  }\n", FV_E_ABSENT, "the logits may be absent"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _2 raw _3 score _3\n  }\n"
        "  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _2 raw _3 score _3\n  }\n",
            FV_E_ATTEND, "belongs to another node already"},
    {QK "  _4 : f32[n=5 m=6] = placeholder \"p\"\n  _5 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n"
        "    set over [m=6] k _1 v _2 raw _3 score _3 p _4\n  }\n", FV_E_ATTEND, "come together"},
    {QK "  _4 : f32[n=5 e=3] = attend q _0 dot [d=4] {\n    set over [m=6] k _1 v _2 raw _3 score _3\n"
        "    set over [m=6] k _1 v _2 raw _3 score _3\n  }\n", FV_E_ATTEND, "the raw score is bound twice"},
    /* scan, A6 */
    {X "  _1 : f32[h=8] = placeholder \"s\"\n  _2 : f32[h=8] = map 0.0\n  _3 : f32[h=8] = scan over [h=8] {\n"
       "    state _1 first _2 next _2\n  }\n", FV_E_AXIS, "the axis scanned over"},
    {X "  _1 : f32[] = placeholder \"s\"\n  _2 : f32[] = map 0.0\n  _3 : f32[c=4] = map 0.0\n"
       "  _4 : f32[] = scan over [h=8] {\n    state _1 first _2 next _3\n  }\n", FV_E_AXIS, "a state's axes differ"},
    {X "  _1 : i32[] = placeholder \"s\"\n  _2 : i32[] = map 0\n  _3 : f32[] = map 0.5\n"
       "  _4 : i32[] = scan over [h=8] {\n    state _1 first _2 next _3\n  }\n", FV_E_ARGUMENT, "a state is i32"},
    {X "  _1 : f32[b=2 c=4] = placeholder \"e\"\n  _2 : f32[h=7 b=2 c=4] = scan over [h=7] {\n"
       "    element _1 of _0\n    output _1\n  }\n", FV_E_AXIS, "scan over h=7"},
    {X "  _1 : f32[b=2] = placeholder \"e\"\n  _2 : f32[h=8 b=2] = scan over [h=8] {\n    element _1 of _0\n"
       "    output _1\n  }\n", FV_E_GRAPH, "differs from its source"},
    {X "  _1 : f32[h=8] = map 0.0\n  _2 : f32[h=8] = scan over [h=8] {\n    output _1\n  }\n", FV_E_AXIS,
     "must lack 'h'"},
    /* text */
    {"  _0 : f32[a=2] = map _1[a]\n", FV_E_SYNTAX, "_1"},
    {"  _0 : f32[a=2] = input \"x\"\n  _0 : f32[a=2] = input \"y\"\n", FV_E_SYNTAX, "defined twice"},
    {"  x : f32[a=2] = input \"x\"\n", FV_E_SYNTAX, "_ and a number"},
    {"  _0 : f31[a=2] = input \"x\"\n", FV_E_SYNTAX, "is no type"},
    {"  _0 : f32[a=2] = const { 1.0 }\n", FV_E_SYNTAX, "has 1 numbers"},
    {"  _0 : f32[a=2] = blend \"x\"\n", FV_E_SYNTAX, "an operator"},
    {"  _0 : f32[a=2] = input \"x\"\n  output \"y\" = _0\n  output \"y\" = _0\n", FV_E_ARGUMENT, "declared twice"},
};
Test(graph, refusals_name_what_is_wrong) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        fv_ctx *ctx = fv_ctx_new();
        char *text = fv_printf(ctx, "graph \"t\" {\n%s}\n", refused[i].body);
        fv_graph *g = fv_graph_parse(ctx, "t", text);
        cr_expect(g == NULL, "accepted:\n%s", text);
        cr_expect(fv_diag_count(ctx) == 1, "%d messages for:\n%s", fv_diag_count(ctx), text);
        if (fv_diag_count(ctx)) {
            cr_expect(fv_diag_at(ctx, 0)->code == refused[i].code, "code %d for:\n%s%s", fv_diag_at(ctx, 0)->code, text,
                      first_text(ctx));
            cr_expect(strstr(first_text(ctx), refused[i].words) != NULL, "said: %s\nnot: %s", first_text(ctx),
                      refused[i].words);
        }
        fv_ctx_dispose(ctx);
    }
}

/* -- What follows from a node ------------------------------------------------------------------------------------- */
Test(graph, index_types_and_flags) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parsed(ctx, "graph \"t\" {\n"
                              "  _0 : f32[h=8 w=5] = input \"x\"\n"
                              "  _1 : i32[top=2], _2 : i32[top=2], _3 : f32[top=2] = topk _0 over [h w] name top = 2\n"
                              "  _4 : i32[top=2 u=3] = map min(_1[top] + u, 7)\n"
                              "  _5 : i32[h=8] = map h*2 + 1\n"
                              "  _6 : i32[h=8] = sum over [w=5] w + h\n"
                              "  _7 : f32[h=8 u=1 w=5] = read _0 { h = h + u, w = w } border cut\n"
                              "  _8 : i32[n=3] = const { 4 -2 9 }\n"
                              "  _9 : i32[n=3] = read _8 { n = n - 1 } border 12.0\n"
                              "  _10 : i32[n=6] = concat n of _8, _9\n"
                              "  _11 : i32[] = sum over [n=3] _8[n] only n < 2\n"
                              "  _12 : i32[h=8] = sum over [w=5] w + h + 1 only w < h\n"
                              "  _13 : i32[h=8] = max over [w=5] w + h only w < h\n"
                              "  _14 : i32[h=8] = min over [w=5] w - h\n"
                              "  _15 : i32[h=8] = count over [w=5] w - h\n"
                              "  _16 : i32[h=8] = map h - 9 only h < 2 otherwise 20\n}\n");
    static const struct { int id; int64_t lo, hi; } ranges[] =
        {{1, 0, 7}, {2, 0, 4}, {4, 0, 7}, {5, 1, 15}, {6, 0, 55}, {8, -2, 9}, {9, -2, 12}, {10, -2, 12},
         {11, -6, 27}, {12, 0, 60}, {14, -7, 4}, {15, 0, 5}, {16, -9, 20}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const fv_obj *o = &g->value[ranges[i].id]->obj;
        cr_expect(o->ranged && o->lo == ranges[i].lo &&
                  o->hi == ranges[i].hi, "_%d: %d %lld..%lld", ranges[i].id, o->ranged, (long long)o->lo,
                      (long long)o->hi);
    }
    cr_assert(g->value[5]->free_form && g->value[8]->free_form && g->value[9]->free_form && !g->value[4]->free_form &&
              !g->value[6]->free_form);
    cr_assert(!g->value[13]->obj.ranged, "a maximum of nothing is out of every range");
    cr_assert(!g->value[7]->partial, "a cut that never cuts leaves nothing out");
    fv_ctx_dispose(ctx);
}

Test(graph, bounds_of_an_input_meet) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parsed(ctx, "graph \"t\" {\n  _0 : i32[n=5] = input \"ids\" in 2 to 9\n}\n");
    cr_assert(fv_value_bound(g, (fv_loc){0}, g->value[0], 0, 7));
    cr_assert(g->value[0]->obj.lo == 2 && g->value[0]->obj.hi == 7);
    cr_assert(!fv_value_bound(g, (fv_loc){0}, g->value[0], 8, 10));
    fv_ctx_dispose(ctx);
}

Test(graph, live_and_inner) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parsed(ctx, "graph \"t\" {\n  _0 : f32[n=5 d=4] = input \"q\"\n"
                              "  _1 : f32[m=6 d=4] = input \"k\"\n  _2 : f32[n=5 m=6] = placeholder \"raw\"\n"
                              "  _3 : f32[n=5 m=6] = map _2[n, m]*2.0\n  _4 : f32[n=5 m=6] = map float(n + m)\n"
                              "  _5 : f32[n=5 m=6] = map _3[n, m] + _4[n, m]\n"
                              "  _6 : f32[n=5 d=4] = attend q _0 dot [d=4] {\n"
                              "    set over [m=6] k _1 v _1 raw _2 score _5\n    softmax\n  }\n"
                              "  _7 : f32[n=5 d=4] = map _6[n, d]\n  output \"y\" = _6\n}\n");
    bool live[8], inner[8];
    static const bool want_inner[8] = {0, 0, 1, 1, 0, 1, 0, 0};
    fv_graph_live(g, live);
    fv_graph_inner(g, inner);
    for (int i = 0; i < 8; i++) cr_expect(live[i] == (i != 7) && inner[i] == want_inner[i], "node %d", i);
    fv_cost c;
    fv_graph_cost(g, &c);
    cr_assert_eq(c.macs, 5 * 6 * 4 * 2);
    cr_assert_eq(c.maps, 5 * 6 * (1 + 1 + 3));
    cr_assert_eq(c.params, 0);
    fv_ctx_dispose(ctx);
}

Test(graph, a_body_costs_every_step) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parsed(ctx, "graph \"t\" {\n  _0 : f32[c=3] = map 1.0\n  _1 : f32[c=3] = placeholder \"s\"\n"
                              "  _2 : f32[c=3] = map _1[c]*2.0 + 1.0\n"
                              "  _3 : f32[c=3] = scan over [n=5] {\n    state _1 first _0 next _2\n  }\n"
                              "  output \"y\" = _3\n}\n");
    fv_cost c;
    fv_graph_cost(g, &c);
    cr_assert_eq(c.maps, 5 * 3 * 2);
    fv_ctx_dispose(ctx);
}

Test(graph, costs_by_definition) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = parsed(ctx, "graph \"t\" {\n  _0 : f32[h=8 c=3] = input \"x\"\n"
                              "  _1 : f32[o=5 c=3 u=3] = param \"w\"\n"
                              "  _2 : f32[h=8 u=3 c=3] = read _0 { h = h + u - 1, c = c } border 0.0\n"
                              "  _3 : f32[h=8 o=5] = contract over [c=3 u=3] _2[h, u, c]*_1[o, c, u]\n"
                              "  _4 : f32[h=8 o=5] = map exp(_3[h, o]) + 1.0\n  output \"y\" = _4\n}\n");
    fv_cost c;
    fv_graph_cost(g, &c);
    cr_assert_eq(c.macs, 8 * 5 * 9);
    cr_assert_eq(c.maps, 8 * 5 * 2);
    cr_assert_eq(c.params, 45);
    fv_ctx_dispose(ctx);
}

/* -- Text --------------------------------------------------------------------------------------------------------- */
static char *file_text(const char *path) {
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s", path);
    fv_buf b = {0};
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) fv_buf_putn(&b, part, n);
    fclose(f);
    return b.text;
}
static void round_trip(const char *what, const char *text, bool located) {
    fv_ctx *ctx = fv_ctx_new();
    fv_buf b = {0};
    fv_graph *g = fv_graph_parse(ctx, what, text);
    cr_expect(g != NULL, "%s: %s", what, first_text(ctx));
    if (g) {
        cr_expect_eq(fv_graph_verify(g), 0, "%s: %s", what, first_text(ctx));
        (located ? fv_graph_print_located : fv_graph_print)(g, &b);
        cr_expect_str_eq(b.text, text, "%s", what);
    }
    fv_buf_dispose(&b);
    fv_ctx_dispose(ctx);
}
Test(graph, golden_texts_round_trip) {
    const char *folder = FOVEA_TESTS_DIR "/golden/graph";
    DIR *d = opendir(folder);
    int n = 0;
    cr_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d));) {
        char path[1024];
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".ft")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        char *text = file_text(path);
        round_trip(e->d_name, text, strstr(e->d_name, "located") != NULL);
        free(text);
        n++;
    }
    closedir(d);
    cr_assert(n >= 4, "%d golden texts", n);
}
/* A graph made by builders in an order of its own prints as a text that is a fixed point. */
Test(graph, print_of_a_built_graph_is_a_fixed_point) {
    fv_ctx *ctx = fv_ctx_new();
    fv_graph *g = fv_graph_new(ctx, "built");
    fv_str w = fv_intern(ctx, "w"), u = fv_intern(ctx, "u"), x = fv_intern(ctx, "x"), y = fv_intern(ctx, "y");
    const fv_expr *eu = fv_axis_ref(ctx, u), *ew = fv_axis_ref(ctx, w);
    fv_axis in[] = {{.name = w, .extent = 9}}, out[] = {{.name = w, .extent = 9}, {.name = u, .extent = 3}};
    fv_loc loc = {fv_intern(ctx, "spec.lua"), 12};
    fv_value *a = fv_graph_input(g, loc, x, FV_F32, in, 1, NULL);
    const fv_expr *index = fv_addi(ctx, fv_add(ctx, eu, ew), -1);
    const fv_expr *same = fv_axis_ref(ctx, w);
    fv_value *first = fv_graph_read(g, loc, a, in, 1, &same, FV_BORDER_NONE, 0, NULL);
    fv_value *b = fv_graph_read(g, loc, first, out, 2, &index, FV_BORDER_CLAMP, 0, NULL);
    cr_assert(fv_graph_output(g, loc, (fv_str){0}, y, b, NULL), "%s", first_text(ctx));
    fv_buf t = {0}, l = {0};
    fv_graph_print(g, &t);
    round_trip("built", t.text, false);
    fv_graph_print_located(g, &l);
    cr_assert(strstr(l.text, " at \"spec.lua\" 12\n") != NULL);
    round_trip("located", l.text, true);
    fv_buf_dispose(&t);
    fv_buf_dispose(&l);
    fv_ctx_dispose(ctx);
}
/* Every prefix and every one-character change of a text is either accepted or refused with a message. */
Test(graph, broken_texts_are_refused_and_never_crash) {
    char *text = file_text(FOVEA_TESTS_DIR "/golden/graph/everything.ft");
    size_t n = strlen(text);
    static const char with[] = "_[]{}(=0z\"-,:\n";
    uint64_t seed = 1;
    for (int i = 0; i < 1500; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t at = (size_t)(seed >> 33) % n;
        char was = text[at], to = i % 3 ? with[(size_t)(seed >> 20) % (sizeof with - 1)] : 0;
        text[at] = to;
        fv_ctx *ctx = fv_ctx_new();
        fv_graph *g = fv_graph_parse(ctx, "t", text);
        if (g) fv_graph_verify(g);
        cr_assert(g || fv_error_count(ctx), "refused without a word");
        fv_ctx_dispose(ctx);
        text[at] = was;
    }
    free(text);
}
