/* flat_parse_expr: expressions of the flat text, node by node as written (fv_cons: no folding). Types follow from the
 * operands. Invariant: recursion is capped; every NULL was preceded by one recorded error. */
#include "kernel/flat_parse.h"

#include <math.h>
#include <string.h>

typedef const fv_expr *E;
static E expression(fv_fp *p);
static E unary(fv_fp *p);

static E fail(fv_fp *p, const char *text) {
    fv_fp_fail(p, FV_E_SYNTAX, text);
    return NULL;
}
static E expected(fv_fp *p, const char *what) {
    if (fv_error_count(p->ctx) == p->errors) fv_lex_fail(&p->lx, what);
    return NULL;
}

/* -- Objects ----------------------------------------------------------------------------------- */
bool fv_fp_lanes(fv_fp *p, int *lanes) {
    int64_t n;
    if (!fv_lex_expect(&p->lx, "<") || !fv_lex_int(&p->lx, &n)) return false;
    if (n < 1 || n > FV_FP_LANES)
        return fv_fp_fail(p, FV_E_SYNTAX, fv_printf(p->ctx, "lanes are 1 to %d", (int)FV_FP_LANES));
    *lanes = (int)n;
    return fv_lex_expect(&p->lx, ">");
}
const fv_obj *fv_fp_object(fv_fp *p) {
    fv_str name;
    if (!fv_lex_name(&p->lx, &name)) return NULL;
    const fv_fp_name *n = fv_fp_find(p, name, true);
    if (!n) fv_fp_fail(p, FV_E_UNKNOWN, fv_printf(p->ctx, "no tensor or memory named '%s' here",
                                                  fv_cstr(p->ctx, name)));
    return n ? n->obj : NULL;
}
static int arguments(fv_fp *p, const char *end, E *arg, int cap) {   /* -1: failed */
    int n = 0;
    do {
        if (n == cap) { expected(p, "fewer arguments"); return -1; }
        if (!(arg[n++] = expression(p))) return -1;
    } while (fv_lex_accept(&p->lx, ","));
    return fv_lex_expect(&p->lx, end) ? n : -1;
}
/* load, perm, gather, guard: [<lanes[, bound]>] NAME [ arguments ] */
static E access(fv_fp *p, fv_op op, bool guarded) {
    int64_t lanes = 1, bound = 0;
    E arg[3];
    if (fv_lex_accept(&p->lx, "<")) {
        if (!fv_lex_int(&p->lx, &lanes) || (guarded && (!fv_lex_expect(&p->lx, ",") || !fv_lex_int(&p->lx, &bound)))
            || !fv_lex_expect(&p->lx, ">"))
            return NULL;
    } else if (guarded) return expected(p, "'<', lanes and bound");
    if (lanes < 1 || lanes > FV_FP_LANES || (guarded && bound < 1)) return fail(p, "lanes or bound are out of range");
    const fv_obj *ref = fv_fp_object(p);
    if (!ref || !fv_lex_expect(&p->lx, "[")) return NULL;
    int n = arguments(p, "]", arg, 3);
    if (n < 0) return NULL;
    bool fits = op == FV_X_PERMLOAD ? n == 2 : guarded ? n == 3 : n == 1 || n == 3;
    if (!fits) return fail(p, "an access with a wrong number of arguments");
    return fv_cons(p->ctx, op, ref->type, (int)lanes, bound, ref, arg, n);
}

/* -- Calls ------------------------------------------------------------------------------------- */
static const struct { const char *spelling; fv_op op; } functions[] = {
#define FORM_L(name, spelling)
#define FORM_I(name, spelling)
#define FORM_S(name, spelling)
#define FORM_F(name, spelling) { spelling, FV_X_##name },
#define X(name, spelling, arity, form) FORM_##form(name, spelling)
#include "expr/expr_ops.def"
#undef X
    { "shuffle", FV_X_SHUFFLE },
};
static E typed(fv_fp *p, fv_op op, E *arg, int n) {
    fv_type t = arg[0]->type;
    int lanes = arg[0]->lanes;
    switch (op) {
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: case FV_X_ISNAN: case FV_X_ANY: case FV_X_ALL: t = FV_BOOL;
    break;
    case FV_X_WHERE: t = arg[1]->type; break;
    case FV_X_FLOOR: t = FV_I32; break;
    case FV_X_TOFLOAT: t = FV_F32; break;
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: case FV_X_HANY: case FV_X_EXTRACT: lanes = 1; break;
    case FV_X_SHUFFLE: lanes = n - 2; break;
    case FV_X_DOT2:
        t = FV_F32;
        lanes = arg[2]->lanes;
        break;
    default: break;
    }
    return fv_cons(p->ctx, op, t, lanes, 0, NULL, arg, n);
}
static E call(fv_fp *p, fv_op op) {
    E arg[2 + FV_FP_LANES];
    int n = arguments(p, ")", arg, 2 + FV_FP_LANES), want = fv_op_arity(op);
    if (n < 0) return NULL;
    if (op == FV_X_SHUFFLE ? n < 3 : n != want)
        return fail(p, fv_printf(p->ctx, "%s takes %d arguments, not %d", fv_op_spelling(op), op == FV_X_SHUFFLE ? 3
                                 : want, n));
    return typed(p, op, arg, n);
}
static E constant_of(fv_fp *p, fv_type type) {           /* f64(1.5): a float constant that is not f32 */
    bool minus = fv_lex_accept(&p->lx, "-");
    double v;
    if (p->lx.kind == FV_T_FLOAT) v = p->lx.f;
    else if (fv_lex_is(&p->lx, "inf")) v = (double)INFINITY;
    else if (fv_lex_is(&p->lx, "nan")) v = (double)NAN;
    else return expected(p, "a float constant");
    fv_lex_next(&p->lx);
    return fv_lex_expect(&p->lx, ")") ? fv_float_of(p->ctx, type, minus ? -v : v) : NULL;
}
static E exp2_of_degree(fv_fp *p) {
    int64_t degree;
    E a;
    if (!fv_lex_expect(&p->lx, "<") || !fv_lex_int(&p->lx, &degree) || !fv_lex_expect(&p->lx, ">") ||
        !fv_lex_expect(&p->lx, "(") || !(a = expression(p)) || !fv_lex_expect(&p->lx, ")"))
        return NULL;
    return fv_cons(p->ctx, FV_X_EXP2, a->type, a->lanes, degree, NULL, &a, 1);
}
static E special(fv_fp *p, const char *word) {
    int lanes;
    fv_type type;
    E a;
    if (!strcmp(word, "iota")) return fv_fp_lanes(p, &lanes)
        ? fv_cons(p->ctx, FV_X_IOTA, FV_I32, lanes, 0, NULL, NULL, 0) : NULL;
    if (!strcmp(word, "splat")) {
        if (!fv_fp_lanes(p, &lanes) || !fv_lex_expect(&p->lx, "(") || !(a = expression(p))
            || !fv_lex_expect(&p->lx, ")")) return NULL;
        return fv_cons(p->ctx, FV_X_SPLAT, a->type, lanes, 0, NULL, &a, 1);
    }
    int one;
    if (!fv_lex_expect(&p->lx, "<") || !fv_fp_type(p, &type, &one) || !fv_lex_expect(&p->lx, ">")
        || !fv_lex_expect(&p->lx, "(") ||
        !(a = expression(p)) || !fv_lex_expect(&p->lx, ")"))
        return NULL;
    return fv_cons(p->ctx, FV_X_CONVERT, type, a->lanes, 0, NULL, &a, 1);
}
static E named(fv_fp *p) {
    static const struct { const char *word; fv_op op; bool guarded; } accesses[] = {
        { "load", FV_X_LOAD, false }, { "guard", FV_X_LOAD, true }, { "perm", FV_X_PERMLOAD, false },
            { "gather", FV_X_GATHER, false },
    };
    fv_str name;
    fv_type type;
    if (fv_lex_accept(&p->lx, "true")) return fv_bool(p->ctx, true);
    if (fv_lex_accept(&p->lx, "false")) return fv_bool(p->ctx, false);
    if (fv_lex_accept(&p->lx, "inf")) return fv_float(p->ctx, (double)INFINITY);
    if (fv_lex_accept(&p->lx, "nan")) return fv_float(p->ctx, (double)NAN);
    for (size_t i = 0; i < 4; i++)
        if (fv_lex_accept(&p->lx, accesses[i].word)) return access(p, accesses[i].op, accesses[i].guarded);
    if (!fv_lex_name(&p->lx, &name)) return NULL;
    const char *word = fv_cstr(p->ctx, name);
    if (!strcmp(word, "iota") || !strcmp(word, "splat") || !strcmp(word, "convert")) return special(p, word);
    if (!strcmp(word, "exp2") && fv_lex_is(&p->lx, "<")) return exp2_of_degree(p);
    if (fv_lex_accept(&p->lx, "(")) {
        if (fv_type_parse(word, &type) && fv_type_is_float(type)) return constant_of(p, type);
        for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
            if (!strcmp(word, functions[i].spelling)) return call(p, functions[i].op);
        return fail(p, fv_printf(p->ctx, "%s is no function", word));
    }
    const fv_fp_name *n = fv_fp_find(p, name, false);
    if (!n) {
        fv_fp_fail(p, FV_E_UNKNOWN, fv_printf(p->ctx, "no variable named '%s' here", word));
        return NULL;
    }
    return fv_var_n(p->ctx, name, n->type, n->lanes);
}
static E number(fv_fp *p, bool minus) {
    fv_lexer *lx = &p->lx;
    E e = NULL;
    if (lx->kind == FV_T_INT) e = fv_int(p->ctx, minus ? -lx->i : lx->i);
    else if (lx->kind == FV_T_FLOAT) e = fv_float(p->ctx, minus ? -lx->f : lx->f);
    else if (minus && fv_lex_is(lx, "inf")) e = fv_float(p->ctx, -(double)INFINITY);
    if (e) fv_lex_next(lx);
    return e;
}
static E primary(fv_fp *p) {
    E e = number(p, false);
    if (e) return e;
    if (p->lx.kind == FV_T_NAME) return named(p);
    if (!fv_lex_accept(&p->lx, "(")) return expected(p, "an expression");
    e = expression(p);
    return e && fv_lex_expect(&p->lx, ")") ? e : NULL;
}

/* -- Operators --------------------------------------------------------------------------------- */
static E infix(fv_fp *p, fv_op op, E a, E b) {
    E arg[2] = { a, b };
    if (!b) return NULL;
    bool compare = op == FV_X_LT || op == FV_X_LE || op == FV_X_EQ || op == FV_X_NE;
    return fv_cons(p->ctx, op, compare ? FV_BOOL : a->type, a->lanes, 0, NULL, arg, 2);
}
static E power(fv_fp *p, E base) {
    if (!base || !fv_lex_accept(&p->lx, "^")) return base;
    return infix(p, FV_X_POW, base, unary(p));
}
/* -3 is a constant, -(3) a negation, and -2 ^ x is -(2 ^ x). */
static E minus(fv_fp *p) {
    fv_lexer ahead = p->lx;
    E e = number(p, true);
    if (e && !fv_lex_is(&p->lx, "^")) return e;
    p->lx = ahead;
    e = unary(p);
    return e ? fv_cons(p->ctx, FV_X_NEG, e->type, e->lanes, 0, NULL, &e, 1) : NULL;
}
static E unary(fv_fp *p) {
    E e;
    if (++p->depth > FV_FP_DEPTH) return fail(p, "an expression is nested too deep");
    if (fv_lex_accept(&p->lx, "-")) e = minus(p);
    else if (fv_lex_accept(&p->lx, "not")) {
        e = unary(p);
        if (e) e = fv_cons(p->ctx, FV_X_NOT, FV_BOOL, e->lanes, 0, NULL, &e, 1);
    } else e = power(p, primary(p));
    p->depth--;
    return e;
}
static bool one_of(fv_fp *p, const fv_op *op, int n, fv_op *out) {
    for (int i = 0; i < n; i++)
        if (fv_lex_accept(&p->lx, fv_op_spelling(op[i]))) {
            *out = op[i];
            return true;
        }
    return false;
}
/* Levels from loose to tight; comparisons do not chain. */
static E level(fv_fp *p, int l) {
    static const struct { int n; fv_op op[4]; } levels[] = {
        { 1, { FV_X_OR } }, { 1, { FV_X_AND } }, { 4, { FV_X_LT, FV_X_LE, FV_X_EQ, FV_X_NE } },
            { 2, { FV_X_ADD, FV_X_SUB } },
        { 4, { FV_X_MUL, FV_X_DIV, FV_X_FLOORDIV, FV_X_MOD } },
    };
    enum { LEVELS = sizeof levels / sizeof levels[0], COMPARE = 2 };
    if (l == LEVELS) return unary(p);
    E e = level(p, l + 1);
    for (fv_op op; e && one_of(p, levels[l].op, levels[l].n, &op);) {
        e = infix(p, op, e, level(p, l + 1));
        if (l == COMPARE) break;
    }
    return e;
}
static E expression(fv_fp *p) {
    if (++p->depth > FV_FP_DEPTH) return fail(p, "an expression is nested too deep");
    E e = level(p, 0);
    p->depth--;
    return e;
}
const fv_expr *fv_fp_expr(fv_fp *p) {
    int depth = p->depth;
    E e = expression(p);
    p->depth = depth;
    return e;
}
