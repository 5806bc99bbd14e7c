/* What the language means, in numbers: small specs of coordinates and constants, evaluated by the reference. */
#define _DEFAULT_SOURCE
#include "backends/reference/reference.h"
#include "test_dsl_spec.h"

#include <math.h>

static bool no_source(void *user, const fv_node *leaf, double *out, int64_t count) {
    (void)user;
    /* inputs count up, params are 1 */
    for (int64_t i = 0; i < count; i++) out[i] = leaf->op == FV_NODE_INPUT ? (double)i : 1.0;
    return true;
}

/* The first output of the spec must be these values (the text lists them, separated by blanks; nan and inf are written
 * so). */
static void expect_values(const char *text, const char *values) {
    loaded l = load(text);
    cr_assert(l.good, "%s\n%s", text, l.report);
    double *out[8] = {0};
    bool ran = fv_reference_run(l.spec.graph, (fv_str){0}, no_source, NULL, out, NULL, NULL);
    fv_buf b = {0};
    fv_diag_render(l.ctx, &b);
    cr_assert(ran, "%s\n%s", text, b.text);
    fv_buf_dispose(&b);
    int64_t n = fv_value_count(l.spec.graph->output[0].value), i = 0;
    char *end;
    for (const char *p = values;; p = end, i++) {
        double want = strtod(p, &end);
        if (end == p) break;
        cr_assert(i < n, "%s: only %lld values", text, (long long)n);
        double got = out[0][i];
        cr_expect((isnan(want) && isnan(got)) || got == want || fabs(got - want) <= 1e-9 * fabs(want),
                  "%s: element %lld is %.17g, wanted %.17g", text,
                  (long long)i, got, want);
    }
    cr_expect_eq(i, n, "%s: %lld values, wanted %lld", text, (long long)n, (long long)i);
    for (int k = 0; k < l.spec.graph->n_outputs; k++) free(out[k]);
    unload(&l);
}

Test(dsl_values, numbers) {
    expect_values("local h = axis('h', 5) - 2 output('y', h // 2, 'h')", "-1 -1 0 0 1");
    expect_values("local h = axis('h', 5) - 2 output('y', h % 3, 'h')", "1 2 0 1 2");
    expect_values("local h = axis('h', 3) output('y', h / 2, 'h')", "0 0.5 1");
    expect_values("output('y', (axis('h', 3) + 1) ^ -0.5, 'h')", "1 0.7071067811865476 0.5773502691896258");
    expect_values("local h = axis('h', 4) output('y', lt(h, 2) + lt(h, 3), 'h')", "2 2 1 0");
    expect_values("local h = axis('h', 4) output('y', (~lt(h, 2) & le(h, 2)) | eq(h, 0), 'h')", "1 0 1 0");
    expect_values("output('y', where(lt(axis('h', 3), 1), 7, axis('h', 3)), 'h')", "7 1 2");
    expect_values("output('y', floor(const('h=4', { -0.5, 2.5, 0/0, 1e30 })), 'h')", "-1 2 0 2147483647");
    expect_values("output('y', isnan(const('h=3', { 1.0, 0/0, 1/0 })) + 0, 'h')", "0 1 0");
    expect_values("output('y', sign(const('h=3', { -2.0, 0.0, 3.0 })), 'h')", "-1 0 1");
    expect_values("output('y', max(axis('h', 3), 1) + min(axis('h', 3), 1, 0), 'h')", "1 1 2");
    expect_values("output('y', lift(max(3, 4) + min(1, 2) + floor(2.5) + abs(-3)), '')", "10");
    expect_values("output('y', relu(const('h=2', { -1.0, 2.0 })) + gelu(lift(0.0)) + sigmoid(lift(0.0)) + silu(0.0), "
                  "'h')", "0.5 2.5");
    expect_values("output('y', softplus(const('h=3', { -800.0, 0.0, 800.0 })), 'h')", "0 0.6931471805599453 800");
    expect_values("output('y', elu(const('h=2', { 800.0, 0.0 })), 'h')", "800 0");
}

Test(dsl_values, reads_and_borders) {
    expect_values("local x = input('x', 'h=4') output('y', x{ h = axis('i', 6) - 1, border = -5 }, 'i')",
                  "-5 0 1 2 3 -5");
    expect_values("local x = input('x', 'h=4') output('y', x{ h = axis('i', 6) - 1, border = 'clamp' }, 'i')",
                  "0 0 1 2 3 3");
    expect_values("local x = input('x', 'h=4') output('y', x{ h = axis('i', 6) - 1, border = 'reflect' }, 'i')",
                  "1 0 1 2 3 2");
    expect_values("local x = input('x', 'h=4') output('y', x{ h = axis('i', 6) - 1, border = 'wrap' }, 'i')",
                  "3 0 1 2 3 0");
    expect_values("local x = input('x', 'h=4') output('y', x{ h = axis('i', 6) - 1, border = 'cut' }:otherwise(9), "
                  "'i')", "9 0 1 2 3 9");
    /* the same of coordinates, which are read by substitution */
    expect_values("local h = axis('h', 4) output('y', h{ h = axis('i', 6) - 1, border = -5 }, 'i')", "-5 0 1 2 3 -5");
    expect_values("local h = axis('h', 4) output('y', h{ h = axis('i', 6) - 1, border = 'clamp' }, 'i')",
                  "0 0 1 2 3 3");
    expect_values("local h = axis('h', 4) output('y', h{ h = axis('i', 6) - 1, border = 'reflect' }, 'i')",
                  "1 0 1 2 3 2");
    expect_values("local h = axis('h', 4) output('y', h{ h = axis('i', 6) - 1, border = 'wrap' }, 'i')", "3 0 1 2 3 0");
    expect_values("local h = axis('h', 4) output('y', h{ h = axis('i', 6) - 1, border = 'cut' }:otherwise(9), 'i')",
                  "9 0 1 2 3 9");
    expect_values("local h = axis('h', 4) * 1.5 output('y', h{ h = axis('i', 3) * 2 - 1, border = 0 }, 'i')",
                  "0 1.5 4.5");
    /* an index that is data; the axis read occurs in its own index */
    expect_values("local i = const('h=3', { 2, 0, 1 }) output('y', input('x', 'h=3'){ h = i }, 'h')", "2 0 1");
    expect_values("local x = input('x', 'h=3 w=3') output('y', x{ w = x:index'h' }, 'h')", "0 4 8");
    expect_values("local x = input('x', 'h=3 w=2') output('y', x:as'h=w w=h', 'w h')", "0 1 2 3 4 5");
    /* the border belongs to the value that is read: exp(0) is not 0 */
    expect_values("output('y', exp(input('x', 'h=1')){ h = axis('i', 3) - 1, border = 0 }, 'i')", "0 1 0");
}

Test(dsl_values, absence) {
    expect_values("local x = input('x', 'h=4') output('y', x:window{ h = 'u=3', border = 'cut' }:mean'u', 'h')",
                  "0.5 1 2 2.5");
    expect_values("local x = input('x', 'h=4') output('y', x:window{ h = 'u=3', border = 0 }:mean'u', 'h')",
                  "0.3333333333333333 1 2 1.6666666666666667");
    expect_values("local x = input('x', 'h=4') output('y', x:window{ h = 'u=3', border = 'cut' }:count'u', 'h')",
                  "2 3 3 2");
    expect_values("local h = axis('h', 6) output('y', exact(h, 2):otherwise(-1), 'h')", "0 -1 1 -1 2 -1");
    expect_values("local x = input('x', 'h=3') output('y', x{ h = exact(axis('i', 6), 2) }:otherwise(-1), 'i')",
                  "0 -1 1 -1 2 -1");
    expect_values("local x = input('x', 'h=4') output('y', x{ only = lt(x:index'h', 0) }:mean'h', '')", "0");
    expect_values("local x = input('x', 'h=4') output('y', x{ only = lt(x:index'h', 0) }:max'h', '')", "-inf");
    expect_values("local x = input('x', 'h=4') local y = x{ only = lt(x:index'h', 2) } output('y', "
                  "where(lt(x:index'h', 2), y, 7):otherwise(-1), 'h')", "0 1 7 7");
    /* fold: the transposed read, divided by the hits, is the identity */
    expect_values("local x = input('x', 'h=5') local o = { h = 'p u=3', stride = 2, pad = 1, border = 0 }\n"
                  "local y = x:window(o):unwindow(o, x) output('y', y:sum'u' / y:count'u', 'h')", "0 1 2 3 4");
    expect_values("local x = input('x', 'h=5') output('y', x:bins'h = p=3':mean'h', 'p')", "0.5 2 3.5");
    expect_values("local x = input('x', 'h=5') output('y', adaptive_pool(x, 'h=2'), 'h')", "1 3");
    expect_values("local x = input('x', 'h=4') output('y', max_pool(x, 3, 2, 'h', { pad = 1 }), 'h')", "1 3");
    expect_values("local x = input('x', 'h=4') output('y', avg_pool(x, 3, 2, 'h', { pad = 1 }), 'h')", "0.5 2");
    expect_values("local x = input('x', 'h=4') output('y', avg_pool(x, 3, 2, 'h', { pad = 1, count_include_pad = true "
                  "}), 'h')", "0.3333333333333333 2");
}

Test(dsl_values, views) {
    expect_values("output('y', input('x', 'h=6'):split'h = a b=3', 'b a')", "0 3 1 4 2 5");
    expect_values("output('y', input('x', 'a=2 b=3'):merge'h = b a', 'h')", "0 3 1 4 2 5");
    expect_values("output('y', input('x', 'h=4'):roll{ h = 1 }, 'h')", "3 0 1 2");
    expect_values("output('y', input('x', 'h=4'):flip'h', 'h')", "3 2 1 0");
    expect_values("output('y', input('x', 'h=2'):pad{ h = {1, 2}, border = 7 }, 'h')", "7 0 1 7 7");
    expect_values("output('y', input('x', 'h=5'):slice{ h = {1, 3} }, 'h')", "1 2 3");
    expect_values("local a, b = input('x', 'h=5'):slices('h', 2, 3) output('y', b, 'h')", "2 3 4");
    expect_values("local a, b = input('x', 'h=5'):slices('h', 0, 5) output('y', concat('h', { a, b, b:slice{ h = {0, "
                  "1} } }), 'h')", "0 1 2 3 4 0");
    expect_values("local x = input('x', 'h=2') output('y', concat('h', { lift(9):along'h=1', x:along'w=2' }), 'w h')",
                  "9 0 1 9 0 1");
    expect_values("output('y', stack('z', { input('x', 'h=2'), 5 }), 'h z')", "0 5 1 5");
    expect_values("output('y', input('x', 'h=5'):tile{ h = 'b i=2', border = -1 }, 'b i')", "0 1 2 3 4 -1");
    expect_values("local x = input('x', 'h=5') local o = { h = 'b i=2', border = -1 } output('y', x:tile(o):untile(o, "
                  "x), 'h')", "0 1 2 3 4");
    expect_values("output('y', window{ h = 'u=3', border = 'shift' }(axis('h', 5)), 'h u')",
                  "0 1 2 0 1 2 1 2 3 2 3 4 2 3 4");
    expect_values("output('y', window{ h = 'u=2', dilation = 2, border = 'shift' }(axis('h', 5)), 'h u')",
                  "0 2 1 3 0 2 1 3 2 4");
    expect_values("local q, k = input('x', 'n=2'):pair'n' output('y', q - k, \"n n'\")", "0 -1 1 0");
    expect_values("output('y', resize(input('x', 'h=2'), 'h=4'), 'h')", "0 0.25 0.75 1");
    expect_values("output('y', resize(input('x', 'h=2'), 'h=3', true), 'h')", "0 0.5 1");
    expect_values("output('y', cubic(input('x', 'h=4'), 'h=4'), 'h')", "0 1 2 3");
    expect_values("output('y', nearest(input('x', 'h=2'), 'h=5'), 'h')", "0 0 0 1 1");
    expect_values("output('y', sample(input('x', 'h=4'), { h = const('p=2', { 0.5, 2.25 }) }, 'clamp'), 'p')",
                  "0.5 2.25");
    expect_values("local x = input('x', 'h=4 w=5') output('y', irfft2(rfft2(x, 'h', 'w'), 'h', 'w', 5) - x + 1, 'h w')",
                  "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
}

Test(dsl_values, ranks_and_reductions) {
    expect_values("local i, v = top(const('h=5', { 1.0, 3.0, 3.0, 0/0, 2.0 }), 'h', 5) output('y', i, 'top')",
                  "1 2 4 0 3");
    expect_values("local i, v = sort(const('h=4', { 2.0, 1.0, 2.0, 0.5 }), 'h') output('y', i, 'h')", "3 1 0 2");
    expect_values("local a, b, v = argmax(const('h=2 w=3', { 1, 5, 2, 0, 5, 3 }), 'w h') output('y', stack('z', { a, "
                  "b, v }), 'z')", "1 0 5");
    expect_values("output('y', contract(input('x', 'h=2 c=3'), input('x', 'h=2 c=3'):as'h=g', 'c'), 'h g')",
                  "5 14 14 50");
    expect_values("local x = input('x', 'h=4') output('y', eq(x % 2, 0):sum'h' + lt(x, 3):any'h' + lt(x, 3):all'h', "
                  "'')", "3");
    expect_values("output('y', softmax(input('x', 'h=2') * 0.0, 'h'), 'h')", "0.5 0.5");
    expect_values("output('y', axis('h', 4):mean'h', '')", "1.5");
}

Test(dsl_values, attention) {
    /* self-attention: the key side is n', and two scores of one row differ by what the score says */
    expect_values("local x = input('x', 'n=3 d=1') * 0.0 output('y', attend{ q = x, k = x, v = x:index'n' * 1.0, over "
                  "= 'n', dot = 'd' }, 'n')", "1 1 1");
    expect_values("local x = input('x', 'n=3 d=1') * 0.0 local i, j = x:pair'n'\n"
                  "output('y', attend{ q = x, k = x, v = x:index'n' * 1.0, over = 'n', dot = 'd', only = le(j, i) }, "
                  "'n')", "0 0.5 1");
    /* names bound by dot do not escape: d of v is wider than d of q and k */
    expect_values("local q, v = input('x', 'm=1 d=2') * 0.0, input('v', 'n=2 d=3')\n"
                  "output('y', attend{ q = q, k = q:as'm=n':along'm=1'{ m = 0, n = axis('n', 2) // 2 }, v = v, over = "
                  "'n', dot = 'd' }, 'm d')", "1.5 2.5 3.5");
    expect_values("local q = input('x', 'm=2 d=1') * 0.0 local o, l = attend{ q = q, k = q:as'm=n', v = q:as'm=n', "
                  "over = 'n', dot = 'd', lse = true,\n"
                  "only = lt(axis('m', 2), 1) | lt(axis('n', 2), 0) } output('y', l, 'm')", "0.6931471805599453 -inf");
    expect_values("output('y', attend{ s = lift(0.0):along'm=2 n=2', v = axis('n', 2) * 1.0, over = 'n' }, 'm')",
                  "0.5 0.5");
    expect_values("local q = lift(0.0):along'm=1 d=1' output('y', attend{ q = q, dot = 'd', { k = q:as'm=n', v = "
                  "lift(4.0):along'n=1', over = 'n' }, { s = lift(0.0), v = 0 } }, 'm')", "2");
    expect_values("local s = const('m=1 n=2', { 1.0, 3.0 }) output('y', attend{ s = s, v = axis('n', 2) * 1.0, over = "
                  "'n', normalise = ratio{ floor = 8 } }, 'm')", "0.375");
    expect_values("local s = const('m=1 n=2', { 1.0, 3.0 }) output('y', attend{ s = s, v = axis('n', 2) * 1.0, over = "
                  "'n', normalise = 'none' }, 'm')", "3");
    expect_values("local s = const('m=2 n=1', { 0.0, 0.0 }) output('y', attend{ s = s, v = lift(1.0):along'n=1', over "
                  "= 'n', normalise = { softmax = 'm' } }, 'm')", "0.5 0.5");
    expect_values("local s = lift(0.0):along'm=1 n=2' output('y', attend{ s = s, v = axis('n', 2) * 1.0, over = 'n', "
                  "weight = function(p) return p + axis('n', 2) end }, 'm')", "1.5");
}

Test(dsl_values, scans) {
    expect_values("output('y', running(input('x', 'n=4'), 'n', 'sum'), 'n')", "0 1 3 6");
    expect_values("output('y', input('x', 'n=4'):running('n', 'sum', true), 'n')", "6 6 5 3");
    expect_values("output('y', running(const('n=4', { 2.0, 1.0, 5.0, 3.0 }), 'n', 'max'), 'n')", "2 2 5 5");
    expect_values("local y, last = scan{ over = 'p=5', init = 1, step = function(s) return s * 2, s end } output('y', "
                  "y, 'p') output('l', last, '')", "1 2 4 8 16");
    expect_values("local x = input('x', 'n=3 c=2') local y, S = scan{ over = 'n', init = { 0.0, lift(1.0):along'c=2' "
                  "}, step = function(s)\n"
                  "return { s[1] + x:index'n', s[2] * (x + 1) }, s[2] end } output('y', S[2], 'c') output('z', S[1], "
                  "'')", "15 48");
    expect_values("local x = input('x', 'n=2 m=2') local y = scan{ over = 'n', init = 0.0, step = function(S)\n"
                  "local z = scan{ over = 'm', init = 0.0, step = function(T) return T + x, T + x end } local r = S + "
                  "z:sum'm' return r, r end } output('y', y, 'n')", "1 8");
}

Test(dsl_values, library) {
    /* params are 1 everywhere (tests): a convolution sums its taps */
    expect_values("output('y', conv2d(input('x', 'h=3 w=3 c=1'), 'f', { out = 1, kernel = 3, bias = false }), 'c h w')",
                  "8 15 12 21 36 27 20 33 24");
    expect_values("output('y', conv2d(input('x', 'h=3 w=3 c=1'), 'f', { out = 1, kernel = 2, stride = 2, pad = 0 }), "
                  "'c h w')", "9");
    expect_values("output('y', conv2d(input('x', 'h=1 w=1 c=4'), 'f', { out = 2, kernel = 1, groups = 2, bias = false "
                  "}), 'h w c')", "1 5");
    expect_values("output('y', conv2d(input('x', 'h=1 w=1 c=2'), 'f', { out = 4, kernel = 1, groups = 2, bias = false "
                  "}), 'h w c')", "0 0 1 1");
    expect_values("output('y', conv2d(input('x', 'h=2 w=1 c=2'), 'f', { depthwise = true, kernel = {3, 1} }), 'h w c')",
                  "3 5 3 5");
    expect_values("output('y', conv1d(input('x', 'n=4 c=1'), 'f', { out = 1, kernel = 3, dilation = 2, bias = false "
                  "}), 'n c')", "2 4 2 4");
    expect_values("output('y', linear(input('x', 'n=2 c=3'), 'f', 'c=1'), 'n c')", "4 13");
    expect_values("output('y', linear(input('x', 'n=2 c=3'), 'f', 'part=1 head=2 d=1', { bias = false }), 'n part "
                  "head d')", "3 3 12 12");
    expect_values("output('y', layer_norm(input('x', 'n=1 c=3'), 'f', 0), 'n c')",
                  "-0.22474487139158905 1 2.224744871391589");
    expect_values("output('y', group_norm(input('x', 'h=1 w=1 c=4'), nil, 0, 2), 'h w c')", "-1 1 -1 1");
    expect_values("output('y', batch_norm(input('x', 'n=1 c=2'), 'f', 0), 'n c')", "0 1");
    expect_values("output('y', input('x', 'h=2 w=2 c=1'):split'h = h hi=2, w = w wi=2':merge'c = wi hi c', 'h w c')",
                  "0 2 1 3");
    expect_values("output('y', patch_merge(input('x', 'h=2 w=2 c=1'), 'f', { out = 1, eps = 0 }), 'h w c')", "4");
    expect_values("output('y', squeeze_excite(input('x', 'h=1 w=2 c=1') * 0.0 - 4, 'f', { reduced = 1 }), 'h w c')",
                  "-2.9242343145200196 -2.9242343145200196");
    expect_values("output('y', mlp(input('x', 'n=1 c=1'), 'f', { hidden = 2, act = relu }), 'n c')", "3");
    expect_values("output('y', residual(input('x', 'n=2'):along'c=1', function(x) return x * 2 end, 'g'), 'n c')", "0 3");
    expect_values("output('y', head(input('x', 'h=2 w=2 c=1'), 'f', 1), 'c')", "2.5");
    expect_values("output('y', deconv2(input('x', 'h=1 w=2 c=1'), 'f', { out = 1, bias = false }), 'h w c')",
                  "0 0 1 1 0 0 1 1");
}
