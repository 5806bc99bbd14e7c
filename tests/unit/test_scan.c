#define _GNU_SOURCE
/* scan on the compiled backends against the reference: recurrences that become one kernel, and steps that are built one
 * by one; over random extents, few steps and many, ragged lanes, both directions. */
#include "test_dsl_spec.h"
#include "tests/fuzz/differential.h"
#include "tests/fuzz/random_graph.h"

typedef struct {
    const char *name, *text; /* $b $n $d $e: extents, drawn anew for every run */
    int kernels;             /* launches of the plan where there are four steps or more; 0: many */
} recurrence;
#define X "local x = input('x', 'b=$b n=$n d=$d')\n"
#define QKV "local q, k, v = input('q', 'b=$b n=$n d=$d'), input('k', 'b=$b n=$n d=$d'), input('v', 'b=$b n=$n e=$e')\n"

static const recurrence list[] = {
    {"decayed linear attention",
     QKV "local o, S = scan{ over = 'n', init = 0.0, step = function(S)\n"
         "  local T = S * 0.9 + outer(k, v) return T, contract(q, T, 'd') end }\n"
         "output('o', o, 'b n e') output('S', S, 'b d e')",
     1},
    {"its output alone, from the end",
     QKV "local o = scan{ over = 'n', init = 0.0, reverse = true, step = function(S)\n"
         "  local T = S * 0.5 + outer(k, v) return T, contract(q, S, 'd') end }\n"
         "output('o', o, 'b n e')",
     1},
    {"a softmax that runs",
     "local s, v = input('s', 'b=$b n=$n'), input('v', 'b=$b n=$n e=$e')\n"
     "local low, none = lift(-1e30):along'b=$b', lift(0.0):along'b=$b'\n"
     "local o, m, l, a = scan{ over = 'n', init = { low, none, none:along'e=$e' }, step = function(S)\n"
     "  local m = max(S[1], s) local w, p = exp(S[1] - m), exp(s - m)\n"
     "  local l, a = S[2] * w + p, S[3] * w + p * v return { m, l, a }, a / l end }\n"
     "output('o', o, 'b n e')",
     0},
    {"a register that shifts",
     X "local o, S = scan{ over = 'n', init = { lift(1.0):along'b=$b d=$d', lift(2.0):along'b=$b d=$d' },\n"
       "  step = function(S) return { x, S[1] }, S[1] + 2 * S[2] end }\n"
       "output('o', o, 'd b n') output('S', S[2], 'b d')",
     1},
    {"two that change places",
     X "local o = scan{ over = 'n', init = { lift(1.0):along'b=$b d=$d', lift(2.0):along'b=$b d=$d' },\n"
       "  step = function(S) return { S[2] * 0.5 + x, S[1] - x }, S[1] * S[2] end }\n"
       "output('o', o, 'b n d')",
     1},
    {"a network that recurs",
     X "local w = param('w', 'e d', { e = $d, d = $d })\n"
       "local o = scan{ over = 'n', init = 0.0, step = function(h)\n"
       "  local g = tanh(contract(h, w, 'd'):as'e=d' + x) return g, g end }\n"
       "output('o', o, 'b n d')",
     1},
    {"neighbours",
     X "local o = scan{ over = 'n', init = lift(1.0):along'b=$b d=$d', step = function(h)\n"
       "  local g = 0.5 * h{ d = h:index'd' + 1, border = 'clamp' } + x return g, h end }\n"
       "output('o', o, 'b n d')",
     1},
    {"a maximum in the step",
     X "local o = scan{ over = 'n', init = 0.0, step = function(h)\n"
       "  local g = h * 0.5 + x local z = g - g:max'd' return z, z:sum'd' end }\n"
       "output('o', o, 'n b')",
     1},
    {"whole numbers",
     X "local o, c = scan{ over = 'n', init = lift(0):along'b=$b d=$d', step = function(c)\n"
       "  local s = c + where(le(0.0, x), 1, 0) return s, s end }\n"
       "output('o', o, 'b n d') output('c', c, 'b d')",
     1},
    {"steps of nothing",
     X "local o, c = scan{ over = 'p=$n', init = x, step = function(c) local s = c * 0.5 + 1 return s, s end }\n"
       "output('c', c, 'b n d') output('o', o, 'b n d p')",
     1},
    {"in the middle of a graph",
     X "local y = (x * 2 + 1):store()\n"
       "local o, c = scan{ over = 'n', init = 0.0, step = function(c) local s = c * 0.9 + y return s, s end }\n"
       "output('z', (o + c):sum'd', 'b n')",
     0},
    {"values that may be absent",
     X "local o = scan{ over = 'n', init = lift(1.0):along'b=$b d=$d', step = function(h)\n"
       "  local g = (h{ d = h:index'd' + axis('u', 3) - 1, border = 'cut' }:sum'u') * 0.3 + x return g, g end }\n"
       "output('o', o, 'b n d')",
     0},
    {"attention in the step",
     QKV "local K = k:as'n=j'\n"
         "local o = scan{ over = 'n', init = lift(1.0):along'b=$b d=$d', step = function(h)\n"
         "  local a = attend{ q = h:along'm=2', k = K, v = K, over = 'j', dot = 'd' }:sum'm'\n"
         "  local g = a * 0.1 + q return g, contract(g, k, 'd') end }\n"
         "output('o', o, 'b n')",
     0},
    {"the best of a step",
     X "local o = scan{ over = 'n', init = 0.0, step = function(h)\n"
       "  local g = h * 0.5 + x local at = argmax(g, 'd') return g, at end }\n"
       "output('o', o, 'b n')",
     0},
    {"a scan in a step",
     X "local o = scan{ over = 'n', init = 0.0, step = function(h)\n"
       "  local y = scan{ over = 'd', init = 0.0, step = function(s) local t = s * 0.5 + x return t, t end }\n"
       "  local g = h * 0.5 + y return g, g end }\n"
       "output('o', o, 'b n d')",
     0},
};

static uint64_t state = 1;
static int drawn(const int *from, int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return from[(state >> 33) % (uint64_t)n];
}
static char *with_extents(const char *text, int *steps) {
    static const int b[] = {1, 2, 3}, n[] = {1, 2, 3, 4, 5, 7, 12, 19}, d[] = {1, 2, 5, 8, 16, 17},
                     e[] = {1, 3, 16, 33, 70};
    int value[] = {drawn(b, 3), drawn(n, 8), drawn(d, 6), drawn(e, 5)};
    fv_buf out = {0};
    for (; *text; text++) {
        const char *at = *text == '$' ? strchr("bnde", text[1]) : NULL;
        if (!at) fv_buf_printf(&out, "%c", *text);
        else fv_buf_printf(&out, "%d", value[at - "bnde"]), text++;
    }
    *steps = value[1];
    return out.text;
}
typedef struct {
    const char *text;
    int kernels, steps;
} run;
static bool one_kernel(loaded *l, fv_buf *report, int kernels) {
    fv_compiled c;
    bool fine = fv_compile_plan(l->ctx, l->spec.graph, (fv_str){0}, &(fv_driver_options){0}, &c) &&
                c.plan->n_launches[1] == kernels;
    if (!fine) fv_buf_printf(report, "%d launches, not %d\n", c.plan ? c.plan->n_launches[1] : -1, kernels);
    return fine;
}
static fv_diff_verdict agrees(void *user, fv_buf *report) {
    static const fv_diff_variant variants[] = {{.interpret = true, .flat = true, .compile = true},
                                               {.driver = {.target = "avx2"}, .interpret = true, .compile = true}};
    const run *r = user;
    loaded l = load(r->text);
    fv_diff d = {0};
    bool open = l.good && fv_diff_open(&d, l.ctx, l.spec.graph, fv_random_source, l.ctx, false);
    fv_diff_verdict v = open ? FV_DIFF_AGREES : FV_DIFF_WRONG;
    if (!open) fv_buf_printf(report, "%s", l.report);
    if (open && r->kernels && r->steps >= 4 && !one_kernel(&l, report, r->kernels)) v = FV_DIFF_WRONG;
    for (int i = 0; i < 2 && v == FV_DIFF_AGREES; i++) v = fv_diff_run(&d, &variants[i]);
    if (v != FV_DIFF_AGREES && d.report.text) fv_buf_printf(report, "%s", d.report.text);
    fv_diff_close(&d);
    unload(&l);
    return v;
}
Test(scan, agrees_with_the_reference) {
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (int round = 0; round < 6; round++) {
            run r = {.kernels = list[i].kernels};
            char *text = with_extents(list[i].text, &r.steps);
            r.text = text;
            fv_buf report = {0};
            fv_diff_verdict v = fv_diff_isolated(agrees, &r, 60, &report);
            cr_expect(v == FV_DIFF_AGREES, "%s: %s\n%s\n%s", list[i].name, v == FV_DIFF_REFUSED ? "refused" : "wrong",
                      text, report.text ? report.text : "");
            fv_buf_dispose(&report);
            free(text);
        }
}
