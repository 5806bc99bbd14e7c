/* Folding rules one by one, canonical forms, and that the window formula and hand-written clamps become one pointer. */
#include "expr/expr.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <string.h>

static fv_ctx *ctx;
static const fv_expr *x, *y, *z, *f, *g, *p, *q;
static void setup(void) {
    ctx = fv_ctx_new();
    x = fv_axis_ref(ctx, fv_intern(ctx, "x"));
    y = fv_axis_ref(ctx, fv_intern(ctx, "y"));
    z = fv_axis_ref(ctx, fv_intern(ctx, "z"));
    f = fv_var(ctx, fv_intern(ctx, "f"), FV_F32);
    g = fv_var(ctx, fv_intern(ctx, "g"), FV_F32);
    p = fv_var(ctx, fv_intern(ctx, "p"), FV_BOOL);
    q = fv_var(ctx, fv_intern(ctx, "q"), FV_BOOL);
}
static void teardown(void) { fv_ctx_dispose(ctx); }
TestSuite(expr_fold, .init = setup, .fini = teardown);

static const fv_expr *resolve(void *user, fv_ctx *c, fv_str name, const fv_obj **ref) {
    (void)user;
    (void)ref;
    const char *s = fv_cstr(c, name);
    fv_type t = strchr("fg", s[0]) ? FV_F32 : strchr("pq", s[0]) ? FV_BOOL : FV_I32;
    return t == FV_I32 ? fv_axis_ref(c, name) : fv_var(c, name, t);
}
static const fv_expr *parse(const char *text) {
    fv_lexer lx;
    fv_lex_init(&lx, ctx, "test", text);
    const fv_expr *e = fv_expr_parse(&lx, resolve, NULL);
    cr_assert(e != NULL && lx.kind == FV_T_END, "does not parse: %s", text);
    return e;
}
static const char *text(const fv_expr *e) {
    fv_buf b = {0};
    fv_expr_print(ctx, e, &b);
    char *s = fv_strdup(ctx, b.text);
    fv_buf_dispose(&b);
    return s;
}
static void same(const char *a, const char *b) {
    const fv_expr *ea = parse(a), *eb = parse(b);
    cr_expect(ea == eb, "%s gives %s, %s gives %s", a, text(ea), b, text(eb));
}
static void differ(const char *a, const char *b) { cr_expect(parse(a) != parse(b), "%s and %s are one", a, b); }

Test(expr_fold, sums_have_one_form) {
    same("x + y + 3 - y", "3 + x");
    same("2*(x + y) - y*2", "x*2");
    same("y + x", "x + y");
    same("-(x - y)", "y - x");
    same("(x + 1)*4 - 4", "x*4");
    same("x*y + y*x", "2*x*y");
    same("(2*x)*(3*y)", "6*(y*x)");
    same("x - x", "0");
    same("-3 - -5", "2");
}
Test(expr_fold, quotients_and_remainders) {
    same("x//1", "x");
    same("x%1", "0");
    same("(x*6 + y)//6", "x + y//6");
    same("(x*6 + y)%6", "y%6");
    same("(x*6 + 9)//6", "x + 1");
    same("(x*4 + 2)//6", "(x*2 + 1)//3");
    same("(x*4 + 2)%6", "((x*2 + 1)%3)*2");
    same("(x//3)//5", "x//15");
    same("(x//3 + 2)//5", "(x + 6)//15");
    same("(x%12)//4", "(x//4)%3");
    same("(x%12)%4", "x%4");
    same("(x%4)%12", "x%4");
    same("(x%4)//4", "0");
    same("(x%4 + 1)//5", "0");
    differ("(x%4 + 2)//5", "0");
    same("(x%4 + 1)%5", "x%4 + 1");
    same("x//-3", "(-x)//3");
    same("-7//2", "-4");
    same("-7%3", "2");
    same("7%-3", "-2");
    differ("x//3", "x//4");
    cr_expect(parse("x//0")->op == FV_X_FLOORDIV);
    cr_expect(parse("5%0")->op == FV_X_MOD);
}
Test(expr_fold, pieces_come_together) {
    same("x//7*7 + x%7", "x");
    same("3*(x//7*7) + 3*(x%7) + y", "3*x + y");
    same("((x//5)%4)*5 + x%5 + (x//20)*20", "x");
    same("((x//5)%4)*5 + x%5", "x%20");
    same("((x + 5)//3)*3 + (x + 5)%3", "x + 5");
    same("(x//5 + 2)%4 + (x//5 + 2)//4*4", "x//5 + 2");
    same("x - x//3*3", "x%3");
    same("(x + y) - (x + y)//3*3 + z", "(x + y)%3 + z");
    differ("x//7*7 + x%6", "x");
}
Test(expr_fold, minima_and_maxima) {
    same("min(x, x)", "x");
    same("min(y, x)", "min(x, y)");
    same("min(x, min(y, z))", "min(min(z, x), y)");
    same("min(min(x, 3), 5)", "min(x, 3)");
    same("max(x + 1, x - 2)", "x + 1");
    same("max(min(x, 3), 5)", "5");
    same("min(max(x, 3), 3)", "3");
    same("min(true, 3)", "1");
    same("min(f, f)", "f");
    same("max(2.5, 1)", "2.5");
}
Test(expr_fold, logic) {
    same("not not p", "p");
    same("p and true", "p");
    same("p and false", "false");
    same("p or true", "true");
    same("false or p", "p");
    same("p and p", "p");
    same("p and not p", "false");
    same("x < y or y <= x", "true");
    same("not x < y", "y <= x");
    same("not f == g", "f != g");
    same("x > y", "y < x");
    same("x + 1 <= x", "false");
    same("x - 3 < x - 2", "true");
    same("2*x == 2*y + 1", "false");
    same("p == true", "p");
    same("p != true", "not p");
    same("where(p, x, x)", "x");
    same("where(not p, x, y)", "where(p, y, x)");
    same("where(p, true, false)", "p");
    same("where(1 < 2, f, 3)", "f");
    cr_expect(parse("not f < g")->op == FV_X_NOT, "NaN makes both of < and >= false");
    cr_expect(parse("f == f")->op == FV_X_EQ);
}
Test(expr_fold, floats_fold_only_exactly) {
    same("f*1", "f");
    same("f/1", "f");
    same("f - 0.0", "f");
    same("f + -0.0", "f");
    same("--f", "f");
    same("f*-1", "-f");
    same("1/4", "0.25");
    same("exp2(3) + 2^0.5*0", "8.0");
    same("safe(-inf)", "0.0");
    same("isnan(nan)", "true");
    differ("f + 0.0", "f");
    differ("f*0.0", "0.0");
    differ("(f + 1.0) + 2.0", "f + 3.0");
    differ("f - f", "0.0");
    differ("0.0", "-0.0");
    cr_expect(parse("0.1 + 0.2")->f == 0.1 + 0.2, "not rounded to f32");
}
Test(expr_fold, types) {
    cr_expect(eq(int, (int)parse("x + p")->type, FV_I32));
    same("p + p", "2*where(p, 1, 0)");
    cr_expect(eq(int, (int)parse("x/2")->type, FV_F32));
    same("x + f", "float(x) + f");
    same("x*0.5", "float(x)*0.5");
    cr_expect(eq(int, (int)parse("x^2")->type, FV_F32));
    cr_expect(eq(int, (int)parse("floor(f)")->type, FV_I32));
    same("floor(2.7)", "2");
    same("floor(-inf)", "-2147483648");
    same("floor(nan)", "0");
    same("floor(x)", "x");
    same("abs(abs(x))", "abs(x)");
    cr_expect(eq(int, (int)parse("x and p")->type, FV_BOOL));
    same("where(x, 1, 2.5)", "where(x != 0, 1.0, 2.5)");
    cr_expect(eq(int, (int)parse("sqrt(x)")->type, FV_F32));
    same("exact(x*6 + 9, 3)", "2*x + 3");
    cr_expect(parse("exact(x + 1, 3)")->op == FV_X_EXACT);
}
Test(expr_fold, long_sums_and_chains_stay_right) {
    const fv_expr *a = fv_int(ctx, 0), *m = x;
    for (int i = 0; i < 100; i++) {
        const fv_expr *leaf = fv_axis_ref(ctx, fv_internf(ctx, "a%d", i));
        a = fv_add(ctx, a, leaf);
        m = fv_op2(ctx, FV_X_MIN, m, leaf);
    }
    fv_binding b[100];
    for (int i = 0; i < 100; i++) b[i] = (fv_binding){fv_axis_ref(ctx, fv_internf(ctx, "a%d", i)), fv_int(ctx, i)};
    const fv_expr *sum = fv_subst(ctx, a, b, 100), *least = fv_subst(ctx, m, b, 100);
    cr_assert(sum == fv_int(ctx, 4950), "%s", text(sum));
    cr_assert(least == parse("min(x, 0)"), "%s", text(least));
    cr_assert(fv_range_of(NULL, a).hi == FV_RANGE_MAX);
}

/* -- The window view against clamps written by hand (every length, size and dilation) ----------------------------- */
static const fv_expr *view(const fv_expr *w, const fv_expr *u, int64_t l, int64_t k, int64_t d) {
    const fv_expr *j = fv_op2(ctx, FV_X_FLOORDIV, w, fv_int(ctx, d)), *ph = fv_op2(ctx, FV_X_MOD, w, fv_int(ctx, d));
    const fv_expr *lg = fv_op2(ctx, FV_X_FLOORDIV, fv_addi(ctx, fv_op1(ctx, FV_X_NEG, ph), l + d - 1), fv_int(ctx, d));
    const fv_expr *start = fv_op2(ctx, FV_X_MAX,
        fv_op2(ctx, FV_X_MIN, fv_addi(ctx, j, -(k / 2)), fv_addi(ctx, lg, -k)), fv_int(ctx, 0));
    return fv_add(ctx, fv_muli(ctx, fv_add(ctx, start, u), d), ph);
}
static const fv_expr *by_hand(const fv_expr *w, const fv_expr *u, int64_t l, int64_t k, int64_t d) {
    const fv_expr *ph = fv_op2(ctx, FV_X_MOD, w, fv_int(ctx, d)), *j = fv_op2(ctx, FV_X_FLOORDIV, w, fv_int(ctx, d));
    const fv_expr *lg = fv_op2(ctx, FV_X_FLOORDIV, fv_addi(ctx, fv_sub(ctx, fv_int(ctx, l), ph), d - 1),
        fv_int(ctx, d));
    const fv_expr *lead = fv_op2(ctx, FV_X_MIN, j, fv_addi(ctx, lg, -1));
    const fv_expr *start = fv_op2(ctx, FV_X_MIN, fv_addi(ctx, lead, -(k / 2)), fv_addi(ctx, lg, -k));
    const fv_expr *pos = fv_add(ctx, fv_op2(ctx, FV_X_MAX, start, fv_int(ctx, 0)), u);
    return fv_add(ctx, fv_muli(ctx, fv_op2(ctx, FV_X_MIN, pos, fv_addi(ctx, lg, -1)), d), ph);
}
/* phases: w = d*i + g with the group's length as a limit that names g; otherwise w itself */
static void one_window(int64_t l, int64_t k, int64_t d, bool phases) {
    const fv_expr *w = x, *u = y, *gr = z, *i = fv_axis_ref(ctx, fv_intern(ctx, "i"));
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, u, 0, k - 1);
    if (phases) {
        w = fv_add(ctx, fv_muli(ctx, i, d), gr);
        fv_facts_add(ctx, &facts, gr, 0, d - 1);
        fv_facts_add(ctx, &facts, i, 0, (l - 1) / d);
        const fv_expr *limit = fv_op2(ctx, FV_X_FLOORDIV, fv_sub(ctx, fv_int(ctx, l - 1), gr), fv_int(ctx, d));
        fv_facts_assume(ctx, &facts, fv_op2(ctx, FV_X_LE, i, limit));
    } else {
        fv_facts_add(ctx, &facts, w, 0, l - 1);
    }
    const fv_expr *a = fv_simplify(ctx, &facts, view(w, u, l, k, d)),
        *b = fv_simplify(ctx, &facts, by_hand(w, u, l, k, d));
    cr_assert(a == b, "length %d, %d taps, dilation %d:\n%s\n%s", (int)l, (int)k, (int)d, text(a), text(b));
    fv_range r = fv_range_of(&facts, a);
    cr_assert(r.lo == 0 && r.hi == l - 1, "length %d, %d taps, dilation %d: %s in %d..%d", (int)l, (int)k,
        (int)d, text(a), (int)r.lo, (int)r.hi);
}
Test(expr_fold, window_and_clamps_are_one_pointer) {
    for (int64_t l = 3; l < 30; l++)
        for (int64_t k = 2; k <= l; k++)
            for (int64_t d = 1; d <= l / k; d++) { one_window(l, k, d, false); one_window(l, k, d, true); }
}
Test(expr_fold, facts_decide) {
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, x, 0, 99);
    fv_facts_add(ctx, &facts, y, 0, 3);
    fv_facts_add(ctx, &facts, z, 4, 7);
    struct { const char *from, *to; } cases[] = {
        {"x//100", "0"}, {"x%100", "x"}, {"(x*4 + y)//8", "x//2"}, {"(x*4 + y)%8", "x%2*4 + y"}, {"(x*4 + y)//4", "x"},
        {"(x*4 + z)//8", "(x + 1)//2"}, {"(x*4 + z)%8", "(x + 1)%2*4 + z - 4"},
            {"(x*4 + z + 1)//8", "(x*4 + z + 1)//8"},
        {"min(x, 200)", "x"}, {"max(min(x, 99), 0)", "x"}, {"where(x < 100, f, g)", "f"},
            {"x//10*10 + x%10 < 0", "false"},
        {"(x//10)*10 <= x", "true"}, {"abs(x)", "x"}, {"abs(-1 - x)", "x + 1"}, {"min(x + y, x)", "x"},
            {"x < 100 and p", "p"},
        {"(x//20)*20 + (x//5)%4*5 + x%5", "x"}, {"((x//20)%5)*20 + (x//5)%4*5 + x%5", "x"},
            {"max(x//4 - 3, y - 1)", "max(x//4 - 3, y - 1)"}, {"max(x//4 - 3, y - 9)", "x//4 - 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const fv_expr *e = fv_simplify(ctx, &facts, parse(cases[i].from));
        cr_expect(e == parse(cases[i].to), "%s gives %s, not %s", cases[i].from, text(e), cases[i].to);
    }
}
Test(expr_fold, three_valued_proofs) {
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, x, 4, 9);
    fv_facts_add(ctx, &facts, y, 0, 4);
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("y <= x")), 1));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("x < y")), 0));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("x < y + 1")), -1));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("x == y + 10")), 0));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("p or y < 5")), 1));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("p and y < 5")), -1));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("not (p and y > 5)")), 1));
    cr_expect(eq(int, fv_prove(ctx, NULL, parse("z < 3")), -1));
    fv_facts_assume(ctx, &facts, parse("p and z < y"));
    cr_expect(eq(int, fv_prove(ctx, &facts, parse("z + 1 <= x and p")), 1));
}
Test(expr_fold, bounds_by_corners) {
    fv_facts facts = {0};
    const fv_expr *q0 = fv_var(ctx, fv_intern(ctx, "b"), FV_I32), *hi = fv_addi(ctx, q0, 7), *low, *high;
    fv_facts_add(ctx, &facts, q0, 0, 48);
    cr_assert(fv_bounds(ctx, &facts, parse("max(min(x - 3, 49), 0)"), &x, &q0, &hi, 1, &low, &high));
    fv_binding at = {q0, x};
    cr_expect(fv_subst(ctx, low, &at, 1) == parse("max(x - 3, 0)"), "%s", text(low));
    cr_expect(fv_subst(ctx, high, &at, 1) == parse("min(x + 4, 49)"), "%s", text(high));
    cr_assert(fv_bounds(ctx, &facts, parse("y < x"), &x, &q0, &hi, 1, &low, &high));
    cr_expect(fv_subst(ctx, low, &at, 1) == parse("y < x"), "%s", text(low));
    cr_expect(fv_subst(ctx, high, &at, 1) == parse("y < x + 7"), "%s", text(high));
    cr_expect(eq(int, fv_monotone(&facts, parse("5 - max(x//3, 0)"), x), -1));
    cr_expect(eq(int, fv_monotone(&facts, parse("x%3"), x), 2));
    cr_expect(eq(int, fv_monotone(&facts, parse("y%3 + 2"), x), 0));
}

/* -- Every one-axis neighbourhood of small size: the index is proved to stay inside ------------------------------- */
typedef struct { int64_t l, k, d, s; bool causal; } near;
static const fv_expr *op(fv_op o, const fv_expr *a, const fv_expr *b) { return fv_op2(ctx, o, a, b); }
static const fv_expr *neighbour(const near *n, const fv_expr *w, const fv_expr *u, const fv_expr **pos,
    const fv_expr **j) {
    const fv_expr *ph = op(FV_X_MOD, w, fv_int(ctx, n->d));
    *j = op(FV_X_FLOORDIV, w, fv_int(ctx, n->d));
    const fv_expr *lg = op(FV_X_FLOORDIV, fv_sub(ctx, fv_int(ctx, n->l + n->d - 1), ph), fv_int(ctx, n->d));
    const fv_expr *group = fv_muli(ctx, op(FV_X_FLOORDIV, *j, fv_int(ctx, n->s)), n->s);
    const fv_expr *lead = op(FV_X_MIN, fv_addi(ctx, group, n->causal ? n->s - 1 : n->s / 2), fv_addi(ctx, lg, -1));
    const fv_expr *first = fv_addi(ctx, lead, n->causal ? 1 - n->k : -(n->k / 2));
    if (!n->causal) first = op(FV_X_MIN, first, fv_addi(ctx, lg, -n->k));
    *pos = fv_add(ctx, op(FV_X_MAX, first, fv_int(ctx, 0)), u);
    return fv_add(ctx, fv_muli(ctx, op(FV_X_MIN, *pos, fv_addi(ctx, lg, -1)), n->d), ph);
}
static void inside(const near *n) {
    const fv_expr *i = fv_axis_ref(ctx, fv_intern(ctx, "i")), *pos, *j;
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, y, 0, n->k - 1);
    fv_facts_add(ctx, &facts, z, 0, n->d - 1);
    fv_facts_add(ctx, &facts, i, 0, (n->l - 1) / n->d);
    fv_facts_assume(ctx, &facts, op(FV_X_LE, i,
        op(FV_X_FLOORDIV, fv_sub(ctx, fv_int(ctx, n->l - 1), z), fv_int(ctx, n->d))));
    const fv_expr *w = fv_add(ctx, fv_muli(ctx, i, n->d), z), *e = neighbour(n, w, y, &pos, &j);
    if (n->causal) fv_facts_assume(ctx, &facts, op(FV_X_LE, pos, j));
    const fv_expr *s = fv_simplify(ctx, &facts, e);
    fv_range r = fv_range_of(&facts, s);
    cr_assert(r.lo >= 0 && r.hi < n->l, "length %d, %d taps, dilation %d, stride %d, causal %d: %s in %lld..%lld",
              (int)n->l, (int)n->k, (int)n->d, (int)n->s, n->causal, text(s), (long long)r.lo, (long long)r.hi);
    int m = fv_monotone(&facts, s, i);
    cr_assert(m == 1 || m == 0, "not monotone: %s", text(s));
    const fv_expr *last = fv_op2(ctx, FV_X_FLOORDIV, fv_sub(ctx, fv_int(ctx, n->l - 1), z), fv_int(ctx, n->d));
    bool clamped = fv_simplify(ctx, &facts, op(FV_X_MIN, pos, last)) != fv_simplify(ctx, &facts, pos);
    cr_assert(not(clamped), "min(pos, last) stays: %s", text(fv_simplify(ctx, &facts, op(FV_X_MIN, pos, last))));
}
Test(expr_fold, neighbourhoods_stay_inside) {
    for (near n = {.l = 2}; n.l < 15; n.l++)
        for (n.k = 2; n.k <= n.l; n.k++)
            for (n.d = 1; n.d <= n.l / n.k; n.d++)
                for (n.s = 1; n.s <= n.k; n.s++)
                    for (int causal = 0; causal < 2; causal++) { n.causal = causal; inside(&n); }
}
