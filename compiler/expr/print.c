/* Text of expressions with minimal parentheses; what parse.c reads back is the same pointer. Operands whose order
 * the builders choose (of i32 sums, products, min, max, of == and !=) print in an order that follows from their text
 * alone, so that a text read into another context prints as it was: terms of a sum by falling coefficient, a
 * positive one first, then by text; constants last. Left spines are walked with a loop; nesting deeper than NEST and
 * what follows NODES nodes print as "(...)", which no parser takes. */
#include "expr/expr_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { P_OR = 1, P_AND, P_NOT, P_COMPARE, P_ADD, P_MUL, P_UNARY, P_POW, P_PRIMARY };
enum { NEST = 400, NODES = 1 << 20 };
typedef struct { const fv_ctx *ctx; fv_buf *out; int depth, *left; } printer;
static void print(printer *p, const fv_expr *e, int min);

static int level(const fv_expr *e) {
    switch (e->op) {
    case FV_X_OR: return P_OR;
    case FV_X_AND: return P_AND;
    case FV_X_NOT: return P_NOT;
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: return P_COMPARE;
    case FV_X_ADD: case FV_X_SUB: return P_ADD;
    case FV_X_MUL: return fv_is_scaled(e) && e->arg[1]->i == -1 ? P_UNARY : P_MUL;
    case FV_X_DIV: case FV_X_FLOORDIV: case FV_X_MOD: return P_MUL;
    case FV_X_NEG: return P_UNARY;
    case FV_X_POW: return P_POW;
    case FV_X_READ: return e->i ? P_UNARY : P_PRIMARY;      /* a fill takes what follows it: (t[i]?0.0)^f */
    case FV_X_INT: return e->i < 0 && e->type != FV_BOOL ? P_UNARY : P_PRIMARY;
    case FV_X_FLOAT: return signbit(e->f) && !isnan(e->f) ? P_UNARY : P_PRIMARY;
    default: return P_PRIMARY;
    }
}
static void list(printer *p, const fv_expr *const *arg, int n) {
    for (int j = 0; j < n; j++) {
        if (j) fv_buf_puts(p->out, ", ");
        print(p, arg[j], 0);
    }
}
static void print_read(printer *p, const fv_expr *e) {
    int rank = e->n - (e->i != 0);
    fv_buf_puts(p->out, fv_cstr(p->ctx, e->ref->name));
    fv_buf_puts(p->out, "[");
    list(p, e->arg, rank);
    fv_buf_puts(p->out, "]");
    if (!e->i) return;
    fv_buf_puts(p->out, "?");
    print(p, e->arg[rank], P_UNARY);
}
static void print_flat(printer *p, const fv_expr *e) {   /* op<lanes>(object, arguments; number) */
    fv_buf_printf(p->out, "%s<%d>(", fv_op_spelling(e->op), e->lanes);
    if (e->ref) fv_buf_puts(p->out, fv_cstr(p->ctx, e->ref->name));
    if (e->ref && e->n) fv_buf_puts(p->out, ", ");
    list(p, e->arg, e->n);
    if (e->i) fv_buf_printf(p->out, "; %" PRId64, e->i);
    fv_buf_puts(p->out, ")");
}
static void print_call(printer *p, const fv_expr *e) {
    fv_buf_puts(p->out, fv_op_spelling(e->op));
    fv_buf_puts(p->out, "(");
    list(p, e->arg, e->n);
    fv_buf_puts(p->out, ")");
}

/* -- Operands in an order of their own ---------------------------------------------------------------------------- */
typedef struct { const fv_expr *e; int64_t coef; fv_buf text; } operand;
static operand written(const printer *p, const fv_expr *e, int64_t coef, int min) {
    operand o = {e, coef, {0}};
    printer inner = {p->ctx, &o.text, p->depth, p->left};
    print(&inner, e, min);
    return o;
}
static uint64_t magnitude(int64_t v) { return v < 0 ? 0 - (uint64_t)v : (uint64_t)v; }
static bool is_number(const fv_expr *e) { return e->op == FV_X_INT || e->op == FV_X_FLOAT; }
static int by_text(const void *a, const void *b) {
    const operand *x = a, *y = b;
    uint64_t j = magnitude(x->coef), k = magnitude(y->coef);
    if (j != k) return j < k ? 1 : -1;
    if (is_number(x->e) != is_number(y->e)) return is_number(x->e) ? 1 : -1;
    return strcmp(x->text.text, y->text.text);
}
static void print_operands(printer *p, const fv_expr *const *arg, int n, int min, const char *between) {
    operand o[FV_MINMAX_CAP];
    for (int i = 0; i < n; i++) o[i] = written(p, arg[i], 1, min);
    qsort(o, (size_t)n, sizeof o[0], by_text);
    for (int i = 0; i < n; i++) {
        if (i) fv_buf_puts(p->out, between);
        fv_buf_puts(p->out, o[i].text.text);
    }
    for (int i = 0; i < n; i++) fv_buf_dispose(&o[i].text);
}
static void print_minmax(printer *p, const fv_expr *e) {
    const fv_expr *arg[FV_MINMAX_CAP];
    int n = 0;
    if (e->type != FV_I32 || e->lanes != 1 || !fv_minmax_args(e, e->op, arg, &n, FV_MINMAX_CAP)) {
        print_call(p, e);
        return;
    }
    fv_buf_printf(p->out, "%s(", fv_op_spelling(e->op));
    print_operands(p, arg, n, 0, ", ");
    fv_buf_puts(p->out, ")");
}

/* -- i32 sums ----------------------------------------------------------------------------------------------------- */
static void print_term(printer *p, const operand *o, bool first) {
    if (o->coef < 0) fv_buf_puts(p->out, first ? "-" : " - ");
    else if (!first) fv_buf_puts(p->out, " + ");
    bool wrap = first && o->coef < 0 && level(o->e) == P_MUL;     /* -(x*y) */
    fv_buf_printf(p->out, wrap ? "(%s)" : "%s", o->text.text);
    if (magnitude(o->coef) != 1) fv_buf_printf(p->out, "*%" PRIu64, magnitude(o->coef));
}
static void print_constant(printer *p, int64_t c, bool first) {
    if (!c) return;
    fv_buf_puts(p->out, first ? (c < 0 ? "-" : "") : c < 0 ? " - " : " + ");
    fv_buf_printf(p->out, "%" PRIu64, magnitude(c));
}
static void print_sum(printer *p, const fv_expr *e) {
    fv_affine a;
    operand o[FV_MAX_TERMS];
    fv_affine_of(e, &a);                               /* a canonical sum always fits */
    for (int i = 0; i < a.n; i++) o[i] = written(p, a.term[i].atom, a.term[i].coef, P_MUL);
    qsort(o, (size_t)a.n, sizeof o[0], by_text);
    int lead = 0;
    while (lead < a.n && o[lead].coef < 0) lead++;
    bool constant_first = lead == a.n && a.constant > 0;
    if (lead == a.n) lead = 0;
    if (constant_first) print_constant(p, a.constant, true);
    else print_term(p, &o[lead], true);
    for (int i = 0; i < a.n; i++) if (constant_first || i != lead) print_term(p, &o[i], false);
    if (!constant_first) print_constant(p, a.constant, false);
    for (int i = 0; i < a.n; i++) fv_buf_dispose(&o[i].text);
}

/* -- Operators ---------------------------------------------------------------------------------------------------- */
static bool is_product(const fv_expr *e) {
    return e->op == FV_X_MUL && e->type == FV_I32 && e->lanes == 1 && !fv_is_scaled(e);
}
static bool is_infix(const fv_expr *e) {
    return e->op >= FV_X_ADD && e->op <= FV_X_OR && e->op != FV_X_MIN && e->op != FV_X_MAX && e->op != FV_X_NEG
        && e->op != FV_X_ABS
        && !fv_is_sum(e) && !is_product(e) && !(fv_is_scaled(e) && e->arg[1]->i < 0);
}
/* Does e continue the left spine of a parent of level l without parentheses? */
static bool same_spine(const fv_expr *e, int l) { return is_infix(e) && level(e) == l && l != P_COMPARE && l != P_POW; }
static void print_infix(printer *p, const fv_expr *e) {
    int l = level(e), n = 0;
    const fv_expr *at = e;
    while (same_spine(at->arg[0], l)) { at = at->arg[0]; n++; }
    const fv_expr **spine = malloc(sizeof *spine * (size_t)(n + 1));
    FV_ASSERT(spine, "out of memory");
    at = e;
    for (int i = n; i >= 0; i--, at = at->arg[0]) spine[i] = at;
    print(p, at, l == P_COMPARE || l == P_POW ? l + 1 : l);
    for (int i = 0; i <= n; i++) {
        bool tight = l == P_MUL || l == P_POW;
        fv_buf_printf(p->out, tight ? "%s" : " %s ", fv_op_spelling(spine[i]->op));
        print(p, spine[i]->arg[1], l == P_POW ? P_UNARY : l == P_MUL ? P_UNARY : l + 1);
    }
    free(spine);
}
static void print_bare(printer *p, const fv_expr *e) {
    switch (e->op) {
    case FV_X_INT:
        if (e->type == FV_BOOL) fv_buf_puts(p->out, e->i ? "true" : "false");
        else fv_buf_printf(p->out, "%" PRId64, e->i);
        return;
    case FV_X_FLOAT: fv_buf_double(p->out, e->f); return;
    case FV_X_AXIS: case FV_X_VAR: fv_buf_puts(p->out, fv_cstr(p->ctx, e->name)); return;
    case FV_X_READ: print_read(p, e); return;
    case FV_X_NEG: fv_buf_puts(p->out, "-"); print(p, e->arg[0], P_UNARY); return;
    case FV_X_NOT: fv_buf_puts(p->out, "not "); print(p, e->arg[0], P_NOT); return;
    default: break;
    }
    if (fv_is_sum(e) || (fv_is_scaled(e) && e->arg[1]->i < 0)) print_sum(p, e);
    else if (is_product(e)) print_operands(p, e->arg, 2, P_UNARY, "*");
    else if (e->op == FV_X_EQ) print_operands(p, e->arg, 2, P_ADD, " == ");
    else if (e->op == FV_X_NE) print_operands(p, e->arg, 2, P_ADD, " != ");
    else if (e->op == FV_X_MIN || e->op == FV_X_MAX) print_minmax(p, e);
    else if (is_infix(e)) print_infix(p, e);
    else if (e->op >= FV_X_LOAD) print_flat(p, e);
    else print_call(p, e);
}
static void print(printer *p, const fv_expr *e, int min) {
    if (p->depth >= NEST || --*p->left < 0) { fv_buf_puts(p->out, "(...)"); return; }
    p->depth++;
    bool wrap = level(e) < min;
    if (wrap) fv_buf_puts(p->out, "(");
    print_bare(p, e);
    if (wrap) fv_buf_puts(p->out, ")");
    p->depth--;
}
void fv_expr_print(const fv_ctx *ctx, const fv_expr *e, fv_buf *out) {
    int left = NODES;
    printer p = {ctx, out, 0, &left};
    if (e) print(&p, e, 0);
}
