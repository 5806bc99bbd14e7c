/* Parser of expressions: or < and < not < comparisons < + - < * / // % < unary - < ^ (right operand: unary).
 * Invariant: lx->depth counts open recursions and is capped, so that no text can exhaust the stack; every NULL was
 * preceded by one recorded error. */
#include "expr/expr_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_NESTING = 200, MAX_DEPTH = 2 * MAX_NESTING };   /* a parenthesis counts twice */
typedef struct { fv_lexer *lx; fv_ctx *ctx; fv_resolve_fn *resolve; void *user; } parser;
static const fv_expr *expression(parser *p);
static const fv_expr *unary(parser *p);

static const fv_expr *fail(parser *p, const char *what) { fv_lex_fail(p->lx, what); return NULL; }
static bool enter(parser *p) {
    if (++p->lx->depth <= MAX_DEPTH) return true;
    fv_error(p->ctx, FV_E_SYNTAX, fv_lex_loc(p->lx), "the expression is nested more than %d deep", (int)MAX_NESTING);
    return false;
}

/* -- Primaries ----------------------------------------------------------------------------------------------------- */
static const struct { const char *spelling; fv_op op; } functions[] = {
#define FORM_L(name, spelling)
#define FORM_I(name, spelling)
#define FORM_S(name, spelling)
#define FORM_F(name, spelling) {spelling, FV_X_##name},
#define X(name, spelling, arity, form) FORM_##form(name, spelling)
#include "expr/expr_ops.def"
#undef X
};
static fv_op function_named(const fv_lexer *lx) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].op < FV_X_LOAD && fv_lex_is(lx, functions[i].spelling)) return functions[i].op;
    return FV_X_COUNT;
}
static bool reserved(const fv_lexer *lx) { return fv_lex_is(lx, "and") || fv_lex_is(lx, "or") || fv_lex_is(lx, "not"); }
static int arguments(parser *p, const char *end, const fv_expr **arg, int cap) {   /* -1: failed */
    int n = 0;
    if (fv_lex_accept(p->lx, end)) return 0;
    do {
        if (n == cap) { fv_lex_fail(p->lx, "fewer arguments"); return -1; }
        if (!(arg[n++] = expression(p))) return -1;
    } while (fv_lex_accept(p->lx, ","));
    return fv_lex_expect(p->lx, end) ? n : -1;
}
static const fv_expr *call(parser *p, fv_op op, fv_loc loc) {
    const fv_expr *arg[FV_MAX_AXES] = {NULL};
    int n = arguments(p, ")", arg, FV_MAX_AXES), want = fv_op_arity(op);
    if (n < 0) return NULL;
    bool chain = (op == FV_X_MIN || op == FV_X_MAX) && n >= 2;
    if (n != want && !chain) {
        fv_error(p->ctx, FV_E_SYNTAX, loc, "%s takes %d argument%s, not %d", fv_op_spelling(op), want,
            want == 1 ? "" : "s", n);
        return NULL;
    }
    if (n == 1) return fv_op1(p->ctx, op, arg[0]);
    if (n == 3 && !chain) return fv_op3(p->ctx, op, arg[0], arg[1], arg[2]);
    const fv_expr *e = fv_op2(p->ctx, op, arg[0], arg[1]);
    for (int i = 2; i < n; i++) e = fv_op2(p->ctx, op, e, arg[i]);
    return e;
}
static const fv_expr *read(parser *p, const fv_obj *ref, fv_loc loc) {
    const fv_expr *arg[FV_MAX_AXES], *fill = NULL;
    int n = arguments(p, "]", arg, FV_MAX_AXES);
    if (n < 0) return NULL;
    if (n != ref->rank) {
        fv_error(p->ctx, FV_E_SYNTAX, loc, "%s has %d axes and is read with %d indices",
            fv_cstr(p->ctx, ref->name), ref->rank, n);
        return NULL;
    }
    if (fv_lex_accept(p->lx, "?") && !(fill = unary(p))) return NULL;
    return fv_read(p->ctx, ref, arg, n, fill);
}
static const fv_expr *named(parser *p) {
    fv_loc loc = fv_lex_loc(p->lx);
    fv_op op = function_named(p->lx);
    const fv_obj *ref = NULL;
    fv_str name;
    if (fv_lex_accept(p->lx, "true")) return fv_bool(p->ctx, true);
    if (fv_lex_accept(p->lx, "false")) return fv_bool(p->ctx, false);
    if (fv_lex_accept(p->lx, "inf")) return fv_float(p->ctx, (double)INFINITY);
    if (fv_lex_accept(p->lx, "nan")) return fv_float(p->ctx, (double)NAN);
    if (reserved(p->lx)) return fail(p, "an expression");
    if (!fv_lex_name(p->lx, &name)) return NULL;
    if (fv_lex_is(p->lx, "(")) {
        if (op != FV_X_COUNT) { fv_lex_next(p->lx); return call(p, op, loc); }
        fv_error(p->ctx, FV_E_SYNTAX, loc, "%s is no function", fv_cstr(p->ctx, name));
        return NULL;
    }
    int errors = fv_error_count(p->ctx);
    const fv_expr *leaf = p->resolve ? p->resolve(p->user, p->ctx, name, &ref) : NULL;
    if (ref && fv_lex_accept(p->lx, "[")) return read(p, ref, loc);
    if (ref && !leaf && ref->rank == 0) return fv_read(p->ctx, ref, NULL, 0, NULL);
    if (leaf && !fv_lex_is(p->lx, "[")) return leaf;
    if (leaf) fv_error(p->ctx, FV_E_SYNTAX, loc, "%s is a number and has no elements", fv_cstr(p->ctx, name));
    else if (ref) fv_error(p->ctx, FV_E_SYNTAX, loc, "%s is read with an index for each of its %d axes",
        fv_cstr(p->ctx, name), ref->rank);
    else if (fv_error_count(p->ctx) == errors)
        fv_error(p->ctx, FV_E_SYNTAX, loc, "%s is not known here", fv_cstr(p->ctx, name));
    return NULL;
}
static const fv_expr *primary(parser *p) {
    fv_lexer *lx = p->lx;
    const fv_expr *e = NULL;
    if (lx->kind == FV_T_INT) e = fv_int(p->ctx, lx->i);
    else if (lx->kind == FV_T_FLOAT) e = fv_float(p->ctx, lx->f);
    if (e) { fv_lex_next(lx); return e; }
    if (lx->kind == FV_T_NAME) return named(p);
    if (!fv_lex_accept(lx, "(")) return fail(p, "an expression");
    e = expression(p);
    return e && fv_lex_expect(lx, ")") ? e : NULL;
}

/* -- Operators ---------------------------------------------------------------------------------------------------- */
static const fv_expr *power(parser *p) {
    const fv_expr *a = primary(p);
    if (!a || !fv_lex_accept(p->lx, "^")) return a;
    const fv_expr *b = unary(p);
    return b ? fv_op2(p->ctx, FV_X_POW, a, b) : NULL;
}
static const fv_expr *unary(parser *p) {
    const fv_expr *e = NULL;
    if (enter(p)) {
        if (!fv_lex_accept(p->lx, "-")) e = power(p);
        else if ((e = unary(p))) e = fv_op1(p->ctx, FV_X_NEG, e);
    }
    p->lx->depth--;
    return e;
}
static bool accept_op(parser *p, const fv_op *op, int n, fv_op *out) {
    for (int i = 0; i < n && p->lx->kind == FV_T_PUNCT; i++) {
        if (!fv_lex_accept(p->lx, fv_op_spelling(op[i]))) continue;
        *out = op[i];
        return true;
    }
    return false;
}
static const fv_expr *product(parser *p) {
    static const fv_op op[] = {FV_X_MUL, FV_X_DIV, FV_X_FLOORDIV, FV_X_MOD};
    const fv_expr *e = unary(p), *b;
    for (fv_op o; e && accept_op(p, op, 4, &o);) e = (b = unary(p)) ? fv_op2(p->ctx, o, e, b) : NULL;
    return e;
}
static const fv_expr *sum(parser *p) {
    static const fv_op op[] = {FV_X_ADD, FV_X_SUB};
    const fv_expr *e = product(p), *b;
    for (fv_op o; e && accept_op(p, op, 2, &o);) e = (b = product(p)) ? fv_op2(p->ctx, o, e, b) : NULL;
    return e;
}
static const fv_expr *comparison(parser *p) {
    static const fv_op op[] = {FV_X_LT, FV_X_LE, FV_X_EQ, FV_X_NE};
    const fv_expr *a = sum(p), *b;
    fv_op o = FV_X_COUNT;
    if (!a) return NULL;
    bool swap = fv_lex_is(p->lx, ">") || fv_lex_is(p->lx, ">=");
    if (swap) { o = fv_lex_is(p->lx, ">") ? FV_X_LT : FV_X_LE; fv_lex_next(p->lx); }
    else if (!accept_op(p, op, 4, &o)) return a;
    if (!(b = sum(p))) return NULL;
    return swap ? fv_op2(p->ctx, o, b, a) : fv_op2(p->ctx, o, a, b);
}
static const fv_expr *negation(parser *p) {
    const fv_expr *e = NULL;
    if (enter(p)) {
        if (!fv_lex_accept(p->lx, "not")) e = comparison(p);
        else if ((e = negation(p))) e = fv_op1(p->ctx, FV_X_NOT, e);
    }
    p->lx->depth--;
    return e;
}
static const fv_expr *conjunction(parser *p) {
    const fv_expr *e = negation(p), *b;
    while (e && fv_lex_accept(p->lx, "and")) e = (b = negation(p)) ? fv_op2(p->ctx, FV_X_AND, e, b) : NULL;
    return e;
}
static const fv_expr *expression(parser *p) {
    const fv_expr *e = conjunction(p), *b;
    while (e && fv_lex_accept(p->lx, "or")) e = (b = conjunction(p)) ? fv_op2(p->ctx, FV_X_OR, e, b) : NULL;
    return e;
}
const fv_expr *fv_expr_parse(fv_lexer *lx, fv_resolve_fn *resolve, void *user) {
    parser p = {lx, lx->ctx, resolve, user};
    return expression(&p);
}
