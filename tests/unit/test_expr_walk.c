/* Hash-consing, substitution, visits, evaluation; deep and shared trees. */
#include "expr/expr.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

static fv_ctx *ctx;
static const fv_expr *x, *y, *f;
static void setup(void) {
    ctx = fv_ctx_new();
    x = fv_axis_ref(ctx, fv_intern(ctx, "x"));
    y = fv_axis_ref(ctx, fv_intern(ctx, "y"));
    f = fv_var(ctx, fv_intern(ctx, "f"), FV_F32);
}
static void teardown(void) { fv_ctx_dispose(ctx); }
TestSuite(expr_walk, .init = setup, .fini = teardown);

static double leaf(const fv_expr *e, void *user) {
    if (e->op == FV_X_READ) { ++*(int *)user; return 5; }
    return e == x ? 7 : e == y ? -3 : 0.5;
}
Test(expr_walk, equal_trees_are_one_pointer) {
    const fv_expr *a = fv_op1(ctx, FV_X_EXP2, fv_mul(ctx, f, fv_float(ctx, 2)));
    cr_expect(a == fv_op1(ctx, FV_X_EXP2, fv_mul(ctx, f, fv_float(ctx, 2))));
    cr_expect(a != fv_op1(ctx, FV_X_EXP2, fv_mul(ctx, f, fv_float(ctx, 3))));
    cr_expect(fv_float(ctx, (double)NAN) == fv_float(ctx, -(double)NAN));
    cr_expect(fv_bool(ctx, true) != fv_int(ctx, 1));
    cr_expect(fv_var_n(ctx, f->name, FV_F32, 8) != f);
    for (int j = 0; j < a->n; j++) cr_expect(lt(u32, a->arg[j]->id, a->id));
}
Test(expr_walk, substitution_is_simultaneous) {
    fv_binding b[2] = {{x, y}, {y, x}};
    const fv_expr *e = fv_add(ctx, fv_op2(ctx, FV_X_MOD, x, fv_int(ctx, 5)), fv_muli(ctx, y, 3));
    const fv_expr *want = fv_add(ctx, fv_op2(ctx, FV_X_MOD, y, fv_int(ctx, 5)), fv_muli(ctx, x, 3));
    cr_expect(fv_subst(ctx, e, b, 2) == want);
    fv_binding up = {x, fv_addi(ctx, x, 1)};
    cr_expect(fv_subst(ctx, fv_add(ctx, x, y), &up, 1) == fv_addi(ctx, fv_add(ctx, x, y), 1));
    fv_binding five[2] = {{x, fv_int(ctx, 5)}, {y, fv_int(ctx, 1)}};
    cr_expect(fv_subst(ctx, e, five, 2) == fv_int(ctx, 3));
}
Test(expr_walk, uses_and_axes) {
    fv_obj t = {.name = fv_intern(ctx, "t"), .type = FV_F16, .rank = 1};
    const fv_expr *index = fv_add(ctx, x, y), *e = fv_mul(ctx, f, fv_read(ctx, &t, &index, 1, NULL));
    fv_str names[4];
    cr_expect(fv_uses(e, x) && fv_uses(e, f) && !fv_uses(e, fv_int(ctx, 99)));
    cr_expect(fv_uses_axis(e, y->name) && !fv_uses_axis(e, f->name));
    cr_assert(eq(int, fv_axes_of(e, names, 0, 4), 2));
    cr_expect(fv_str_eq(names[0], x->name) && fv_str_eq(names[1], y->name));
    cr_expect(eq(int, fv_axes_of(e, names, 2, 4), 2));
    cr_expect(eq(int, (int)fv_expr_size(e), 6));
    cr_expect(eq(int, (int)e->type, FV_F32));
}
Test(expr_walk, affine_view) {
    const fv_expr *m = fv_op2(ctx, FV_X_MOD, y, fv_int(ctx, 4)), *rest;
    const fv_expr *e = fv_addi(ctx, fv_add(ctx, fv_muli(ctx, x, 6), m), -2);
    fv_affine a;
    int64_t k;
    cr_assert(fv_affine_of(e, &a) && a.n == 2 && a.constant == -2);
    cr_expect(fv_affine_expr(ctx, &a) == e);
    cr_expect(fv_split_affine(ctx, e, x, &k, &rest) && k == 6 && rest == fv_addi(ctx, m, -2));
    cr_expect(not(fv_split_affine(ctx, e, y, &k, &rest)));
    cr_expect(fv_split_affine(ctx, e, f, &k, &rest) && k == 0 && rest == e);
}
Test(expr_walk, values) {
    int reads = 0;
    fv_obj t = {.name = fv_intern(ctx, "t"), .type = FV_F32, .rank = 1};
    const fv_expr *r = fv_read(ctx, &t, &x, 1, NULL), *c = fv_op2(ctx, FV_X_LT, x, y);
    cr_expect(eq(dbl, fv_eval(fv_op3(ctx, FV_X_WHERE, c, r, f), leaf, &reads), 0.5));
    cr_expect(eq(int, reads, 0));                     /* the branch not taken is not read */
    cr_expect(eq(dbl, fv_eval(fv_op3(ctx, FV_X_WHERE, c, f, r), leaf, &reads), 5.0));
    cr_expect(eq(int, reads, 1));
    struct { fv_op op; fv_type type; double a, b, want; } cases[] = {
        {FV_X_FLOORDIV, FV_I32, -7, 2, -4}, {FV_X_MOD, FV_I32, -7, 3, 2}, {FV_X_MOD, FV_I32, 7, -3, -2},
            {FV_X_FLOORDIV, FV_I32, 7, 0, 0},
        {FV_X_FLOOR, FV_I32, 3e10, 0, 2147483647}, {FV_X_FLOOR, FV_I32, -2.5, 0, -3},
            {FV_X_FLOOR, FV_I32, (double)NAN, 0, 0},
        {FV_X_SAFE, FV_F32, -(double)INFINITY, 0, 0}, {FV_X_SAFE, FV_F32, 2, 0, 2},
            {FV_X_EXACT, FV_I32, 9, 3, 3}, {FV_X_POW, FV_F32, 2, 10, 1024},
        {FV_X_RSQRT, FV_F32, 4, 0, 0.5}, {FV_X_LOG2, FV_F32, 8, 0, 3}, {FV_X_MIN, FV_F32, 2, -1, -1},
            {FV_X_ERF, FV_F32, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double v[2] = {cases[i].a, cases[i].b};
        cr_expect(eq(dbl, fv_apply(cases[i].op, cases[i].type, v), cases[i].want), "case %d", (int)i);
    }
    double nan_first[2] = {(double)NAN, 1}, nan_last[2] = {1, (double)NAN};
    cr_expect(isnan(fv_apply(FV_X_MIN, FV_F32, nan_first)) && isnan(fv_apply(FV_X_MAX, FV_F32, nan_last)));
    double zero[2] = {0, -3};
    cr_expect(not(signbit(fv_apply(FV_X_MUL, FV_I32, zero))));
    cr_expect(not(signbit(fv_apply(FV_X_NEG, FV_I32, zero))));
}
Test(expr_walk, shared_trees_cost_what_they_hold) {
    const fv_expr *e = f, *i = x;
    for (int k = 0; k < 200; k++) {
        e = fv_mul(ctx, fv_add(ctx, e, fv_float(ctx, k)), fv_op2(ctx, FV_X_MIN, e, fv_float(ctx, 1)));
        i = fv_op2(ctx, FV_X_MIN, fv_op2(ctx, FV_X_FLOORDIV, i, fv_int(ctx, 2)),
            fv_op2(ctx, FV_X_MOD, fv_addi(ctx, i, k), fv_int(ctx, 1000)));
    }
    int reads = 0;
    cr_expect(not(isnan(fv_eval(e, leaf, &reads))));
    cr_expect(lt(i64, fv_expr_size(e), 1000));
    fv_binding b = {f, fv_float(ctx, 0.5)}, at = {x, fv_int(ctx, 7)};
    const fv_expr *v = fv_subst(ctx, e, &b, 1);
    cr_assert(eq(int, (int)v->op, FV_X_FLOAT));
    cr_expect(eq(dbl, v->f, fv_eval(e, leaf, &reads)));
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, x, 0, 100);
    fv_range r = fv_range_of(&facts, i);
    double value = fv_eval(i, leaf, &reads);
    cr_expect(value >= (double)r.lo && value <= (double)r.hi);
    cr_expect(fv_subst(ctx, i, &at, 1) == fv_int(ctx, (int64_t)value));
    cr_expect(eq(int, fv_monotone(&facts, i, y), 0));
    const fv_expr *s = fv_simplify(ctx, &facts, i), *low, *high, *lo = fv_int(ctx, 0), *hi = fv_int(ctx, 100);
    cr_expect(eq(dbl, fv_eval(s, leaf, &reads), value));
    if (fv_bounds(ctx, NULL, i, &x, &lo, &hi, 1, &low, &high))
        cr_expect(fv_eval(low, leaf, &reads) <= value && fv_eval(high, leaf, &reads) >= value);
}
Test(expr_walk, deep_trees_do_not_exhaust_the_stack) {
    const fv_expr *e = f, *i = x, *p = fv_op2(ctx, FV_X_LT, x, y);
    for (int k = 0; k < 50000; k++) {
        e = fv_op1(ctx, k % 2 ? FV_X_SIN : FV_X_TANH, e);
        i = fv_op1(ctx, FV_X_ABS, fv_addi(ctx, i, -k));
        p = fv_op2(ctx, k % 2 ? FV_X_AND : FV_X_OR, p, fv_op2(ctx, FV_X_LT, f, fv_float(ctx, k)));
    }
    int reads = 0;
    fv_str names[2];
    fv_facts facts = {0};
    fv_facts_add(ctx, &facts, x, 0, 9);
    cr_expect(fabs(fv_eval(e, leaf, &reads)) < 1);
    cr_expect(ge(i64, fv_expr_size(e), 50000));
    cr_expect(fv_uses(i, x) && !fv_uses(e, y));
    cr_expect(eq(int, fv_axes_of(i, names, 0, 2), 1));
    cr_expect(le(i64, fv_range_of(&facts, i).lo, (int64_t)fv_eval(i, leaf, &reads)));
    cr_expect(fv_prove(ctx, &facts, p) == -1);
    cr_expect(fv_monotone(&facts, i, x) == 2);
    fv_binding b = {f, fv_float(ctx, 1)};
    cr_expect(eq(int, (int)fv_subst(ctx, e, &b, 1)->op, FV_X_FLOAT));
    const fv_expr *lo = fv_int(ctx, 0), *hi = fv_int(ctx, 9), *low, *high;
    fv_bounds(ctx, NULL, i, &x, &lo, &hi, 1, &low, &high);
}
static const fv_expr *double_axes(fv_ctx *c, const fv_expr *e, void *user) {
    ++*(int *)user;
    return e->op == FV_X_AXIS ? fv_muli(c, e, 2) : e;
}
Test(expr_walk, rewrite_visits_each_node_once) {
    int calls = 0;
    const fv_expr *s = fv_op2(ctx, FV_X_FLOORDIV, x, fv_int(ctx, 3)), *e = fv_op2(ctx, FV_X_MAX, s, fv_mul(ctx, s, y));
    const fv_expr *to = fv_rewrite(ctx, e, double_axes, &calls);
    const fv_expr *t = fv_op2(ctx, FV_X_FLOORDIV, fv_muli(ctx, x, 2), fv_int(ctx, 3));
    cr_expect(to == fv_op2(ctx, FV_X_MAX, t, fv_mul(ctx, t, fv_muli(ctx, y, 2))));
    cr_expect(eq(int, calls, 6));
}
Test(expr_walk, vectors) {
    const fv_expr *v = fv_var_n(ctx, fv_intern(ctx, "v"), FV_F32, 16), *s = fv_mul(ctx, v, f);
    cr_expect(eq(int, s->lanes, 16));
    cr_expect(eq(int, (int)s->arg[1]->op, FV_X_SPLAT));
    cr_expect(eq(int, fv_op1(ctx, FV_X_HSUM, s)->lanes, 1));
    cr_expect(eq(int, fv_op3(ctx, FV_X_WHERE, fv_op2(ctx, FV_X_LT, v, f), v, fv_float(ctx, 0))->lanes, 16));
    const fv_expr *iota = fv_make(ctx, FV_X_IOTA, FV_I32, 16, 0, NULL, NULL, 0);
    fv_binding b = {x, fv_add(ctx, iota, y)};
    const fv_expr *e = fv_subst(ctx, fv_op2(ctx, FV_X_MIN, fv_addi(ctx, x, 1), fv_int(ctx, 9)), &b, 1);
    cr_expect(eq(int, e->lanes, 16));
    cr_expect(eq(int, (int)e->op, FV_X_MIN));
    cr_expect(fv_range_of(NULL, e).hi == FV_RANGE_MAX || fv_range_of(NULL, e).hi <= 9);
}
