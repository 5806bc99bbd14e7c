/* Pointwise operations (language.md A2, R3, R17): arithmetic, comparisons, functions of one number, where, stack,
 * exact, otherwise.
 * Invariant: an element of the result exists iff its operands do (where: iff the condition and the chosen branch). */
#include "dsl/dsl_core.h"

#include <math.h>
#include <string.h>

static bool nested(const tensor *a, const tensor *b) {
    for (int i = 0; i < a->n; i++) if (dsl_axis_of(b, a->axis[i].name) < 0) return false;
    return true;
}

/* Result of combining operands, less its expression: axes, absence, forms. `only` of each operand is joined unless
 * keep_only. */
static void begin(lua_State *L, tensor *r, const tensor *const *op, int n, bool join) {
    fv_ctx *ctx = dsl_of(L)->ctx;
    *r = (tensor){.free_form = true, .pure = true, .size = 1, .loc = dsl_loc(L)};
    for (int i = 0; i < n; i++) {
        dsl_union(L, r, op[i], NULL);
        r->free_form = r->free_form && op[i]->free_form;
        r->pure = r->pure && op[i]->pure;
        r->partial = r->partial || op[i]->partial;
        r->size += op[i]->size;
        if (join && op[i]->only) r->only = fv_and(ctx, r->only, op[i]->only);
    }
}

static const fv_expr *power(fv_ctx *ctx, const fv_expr *a, const fv_expr *b) {
    double p = b->op == FV_X_INT ? (double)b->i : b->op == FV_X_FLOAT ? b->f : 0.0;
    a = fv_type_is_float(a->type) ? a : fv_op1(ctx, FV_X_TOFLOAT, a);
    if (p == 1.0) return a;
    if (p == 2.0) return fv_mul(ctx, a, a);
    if (p == 3.0) return fv_mul(ctx, fv_mul(ctx, a, a), a);
    if (p == 0.5) return fv_op1(ctx, FV_X_SQRT, a);
    if (p == -0.5) return fv_op1(ctx, FV_X_RSQRT, a);
    return fv_op2(ctx, FV_X_POW, a, b);
}

/* c x - c (x % n) = c n (x // n): authors write i - i % n, and near(i) - i, whose range is plain only in this form. */
static const fv_expr *recombined(fv_ctx *ctx, const fv_expr *e) {
    fv_affine a;
    if (e->type != FV_I32 || !fv_affine_of(e, &a)) return e;
    for (int i = 0; i < a.n; i++) {
        const fv_expr *m = a.term[i].atom;
        int64_t n, c = -a.term[i].coef;
        if (m->op != FV_X_MOD || !fv_is_int(m->arg[1], &n) || n < 1) continue;
        const fv_expr *whole = fv_muli(ctx, fv_op2(ctx, FV_X_FLOORDIV, m->arg[0], fv_int(ctx, n)), c * n);
        const fv_expr *rest = fv_add(ctx, fv_sub(ctx, e, fv_muli(ctx, m->arg[0], c)), fv_muli(ctx, m, c));
        const fv_expr *to = fv_add(ctx, rest, whole);
        fv_affine b;
        if (fv_affine_of(to, &b) && b.n < a.n) return to;
    }
    return e;
}

/* Shared by all binary operations; `loose`: operands need not be nested. */
static int binary(lua_State *L, fv_op op, const char *name, bool loose) {
    dsl *d = dsl_of(L);
    tensor a, b, r;
    dsl_operand(L, 1, name, &a);
    dsl_operand(L, 2, name, &b);
    bool ints = !fv_type_is_float(a.expr->type) && !fv_type_is_float(b.expr->type);
    if (!(loose || d->scoped || ints || (a.free_form && b.free_form) || nested(&a, &b) || nested(&b, &a))) {
        fv_error(d->ctx, FV_E_NESTED, dsl_loc(L),
                 "'%s' is given %s and %s: neither has all axes of the other. Write outer(a, b) "
                 "for the product over all of them, or x:along(y)", name, dsl_text(L, &a), dsl_text(L, &b));
        if (a.loc.line) fv_note(d->ctx, a.loc, "the left operand %s was made here", dsl_text(L, &a));
        if (b.loc.line) fv_note(d->ctx, b.loc, "the right operand %s was made here", dsl_text(L, &b));
        dsl_raise(L);
    }
    begin(L, &r, (const tensor *[]){&a, &b}, 2, true);
    if (op == FV_X_AND || op == FV_X_OR)
        r.expr = fv_op2(d->ctx, op, dsl_bool(d->ctx, a.expr), dsl_bool(d->ctx, b.expr));
    else if (op == FV_X_POW) r.expr = power(d->ctx, a.expr, b.expr);
    else r.expr = fv_op2(d->ctx, op, a.expr, b.expr);
    if (op == FV_X_ADD || op == FV_X_SUB) r.expr = recombined(d->ctx, r.expr);
    return dsl_push_pointwise(L, &r);
}

#define BINARY(name, op, text, loose) static int name(lua_State *L) { return binary(L, op, text, loose); }
BINARY(mt_add, FV_X_ADD, "+", false)
BINARY(mt_sub, FV_X_SUB, "-", false)
BINARY(mt_mul, FV_X_MUL, "*", false)
BINARY(mt_div, FV_X_DIV, "/", false)
BINARY(mt_idiv, FV_X_FLOORDIV, "//", false)
BINARY(mt_mod, FV_X_MOD, "%", false)
BINARY(mt_pow, FV_X_POW, "^", false)
BINARY(mt_and, FV_X_AND, "&", true)
BINARY(mt_or, FV_X_OR, "|", true)
BINARY(op_lt, FV_X_LT, "lt", true)
BINARY(op_le, FV_X_LE, "le", true)
BINARY(op_eq, FV_X_EQ, "eq", true)
BINARY(op_ne, FV_X_NE, "ne", true)
BINARY(op_outer, FV_X_MUL, "outer", true)
#undef BINARY

static int extreme(lua_State *L, fv_op op, const char *name) {
    int n = lua_gettop(L);
    if (n < 2) dsl_fail(L, FV_E_ARGUMENT, "%s: two operands or more are wanted", name);
    while (n > 2) {                                    /* max(a, b, c) */
        lua_pushcfunction(L, lua_tocfunction(L, lua_upvalueindex(1)));
        lua_pushvalue(L, n - 1);
        lua_pushvalue(L, n);
        lua_call(L, 2, 1);
        lua_replace(L, n - 1);
        lua_settop(L, --n);
    }
    if (lua_type(L, 1) != LUA_TNUMBER || lua_type(L, 2) != LUA_TNUMBER) return binary(L, op, name, true);
    bool first = lua_compare(L, 1, 2, op == FV_X_MIN ? LUA_OPLE : LUA_OPLT) != 0;
    lua_settop(L, op == FV_X_MIN ? (first ? 1 : 2) : (first ? 2 : 1));
    return 1;
}
static int op_max2(lua_State *L) { return extreme(L, FV_X_MAX, "max"); }
static int op_min2(lua_State *L) { return extreme(L, FV_X_MIN, "min"); }

static int unary(lua_State *L, fv_op op, const char *name) {
    dsl *d = dsl_of(L);
    tensor a, r;
    dsl_operand(L, 1, name, &a);
    begin(L, &r, (const tensor *[]){&a}, 1, true);
    const fv_expr *e = a.expr;
    bool keeps = op == FV_X_NEG || op == FV_X_ABS || op == FV_X_NOT;
    if (op == FV_X_NOT) e = dsl_bool(d->ctx, e);
    else if (keeps) e = dsl_number(d->ctx, e);
    if (!keeps && op != FV_X_FLOOR && op != FV_X_TOFLOAT && !fv_type_is_float(e->type))
        e = fv_op1(d->ctx, FV_X_TOFLOAT, e);
    if (op == FV_X_FLOOR && !fv_type_is_float(e->type)) r.expr = dsl_number(d->ctx, e);
    else r.expr = op == FV_X_TOFLOAT && fv_type_is_float(e->type) ? e : fv_op1(d->ctx, op, e);
    return dsl_push_pointwise(L, &r);
}
static int mt_unm(lua_State *L) { return unary(L, FV_X_NEG, "-"); }
static int mt_not(lua_State *L) { return unary(L, FV_X_NOT, "~"); }

/* A function of one number: of a number it answers a number, of a tensor a tensor. upvalue 1: the operator. */
static int map(lua_State *L) {
    fv_op op = (fv_op)lua_tointeger(L, lua_upvalueindex(1));
    if (lua_gettop(L) < 1 || lua_type(L, 1) != LUA_TNUMBER) return unary(L, op, fv_op_spelling(op));
    if (lua_isinteger(L, 1) && op == FV_X_ABS) {
        lua_Integer i = lua_tointeger(L, 1);
        lua_pushinteger(L, i < 0 && i != LUA_MININTEGER ? -i : i);
        return 1;
    }
    fv_type type = op == FV_X_FLOOR ? FV_I32 : op == FV_X_ISNAN ? FV_BOOL : FV_F32;
    double x = lua_tonumber(L, 1), y = fv_apply(op, type, &x);
    if (op == FV_X_FLOOR || op == FV_X_ISNAN) lua_pushinteger(L, (lua_Integer)y);
    else lua_pushnumber(L, y);
    return 1;
}

static int op_where(lua_State *L) {
    dsl *d = dsl_of(L);
    tensor c, a, b, r;
    dsl_operand(L, 1, "where: condition", &c);
    dsl_operand(L, 2, "where", &a);
    dsl_operand(L, 3, "where", &b);
    begin(L, &r, (const tensor *[]){&c, &a, &b}, 3, false);
    const fv_expr *yes = fv_bool(d->ctx, true), *cond = dsl_bool(d->ctx, c.expr);
    r.only = c.only;
    if (a.only || b.only)
        r.only = fv_and(d->ctx, r.only, fv_op3(d->ctx, FV_X_WHERE, cond, a.only ? a.only : yes, b.only ? b.only : yes));
    r.expr = fv_op3(d->ctx, FV_X_WHERE, cond, a.expr, b.expr);
    return dsl_push_pointwise(L, &r);
}

static int op_exact(lua_State *L) {                    /* exact(e, n): e // n where n divides e, else absent */
    dsl *d = dsl_of(L);
    tensor e, n, r;
    dsl_operand(L, 1, "exact", &e);
    dsl_operand(L, 2, "exact", &n);
    int64_t by;
    if (!fv_is_int(n.expr, &by) || by < 1)
        dsl_fail(L, FV_E_ARGUMENT, "exact: the divisor must be a positive whole number");
    if (fv_type_is_float(e.expr->type))
        dsl_fail(L, FV_E_ARGUMENT, "exact: the dividend must be i32, this is a float %s", dsl_text(L, &e));
    begin(L, &r, (const tensor *[]){&e}, 1, true);
    r.expr = by == 1 ? dsl_number(d->ctx, e.expr) : fv_op2(d->ctx, FV_X_EXACT, dsl_number(d->ctx, e.expr), n.expr);
    r.partial = r.partial || by > 1;
    return dsl_push_pointwise(L, &r);
}

static int op_otherwise(lua_State *L) {                /* x:otherwise(value): value where x is absent */
    dsl *d = dsl_of(L);
    tensor x, v, r;
    dsl_operand(L, 1, "otherwise", &x);
    dsl_operand(L, 2, "otherwise", &v);
    if (v.partial) dsl_fail(L, FV_E_ABSENT, "otherwise: the value %s may itself be absent", dsl_text(L, &v));
    begin(L, &r, (const tensor *[]){&x, &v}, 2, false);
    if (!x.partial) { r.expr = x.expr; r.partial = false; return dsl_push_pointwise(L, &r); }
    dsl_push_value(L, fv_graph_compute(d->graph, r.loc, FV_MONOID_NONE, r.axis, r.n, NULL, 0, x.expr, x.only, v.expr),
                   r.free_form);
    return 1;
}

/* along(x, {name, extent, ...} or a tensor): constant along what x lacks */
static int op_along(lua_State *L) {
    tensor x, r;
    dsl_operand(L, 1, "along", &x);
    r = x;
    r.loc = dsl_loc(L);
    r.value = NULL;
    tensor *like = dsl_is_tensor(L, 2);
    if (like) {
        dsl_union(L, &r, like, NULL);
    } else {
        luaL_checktype(L, 2, LUA_TTABLE);
        lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
        for (lua_Integer i = 1; i < n; i += 2) {
            lua_rawgeti(L, 2, i);
            lua_rawgeti(L, 2, i + 1);
            size_t len;
            const char *name = luaL_checklstring(L, -2, &len);
            fv_str s = dsl_axis_name(L, name, len);
            dsl_add_axis(L, &r, s, dsl_extent(L, luaL_checkinteger(L, -1), name), NULL);
            lua_pop(L, 2);
        }
    }
    if (r.n == x.n) r.value = x.value;
    dsl_push(L, &r);
    return 1;
}

static int op_stack(lua_State *L) {                    /* stack(axis, parts): part i at coordinate i of a new axis */
    dsl *d = dsl_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    if (lua_type(L, 2) != LUA_TTABLE)
        dsl_fail(L, FV_E_ARGUMENT, "stack: a list of tensors is wanted, this is %s", luaL_typename(L, 2));
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    if (n < 1 || n > 64)
        dsl_fail(L, FV_E_ARGUMENT, "stack: a list of 1 to 64 tensors is wanted, it has %lld", (long long)n);
    fv_str axis = dsl_axis_name(L, name, len);
    tensor r = {.free_form = true, .pure = true, .size = 1, .loc = dsl_loc(L)};
    const fv_expr *yes = fv_bool(d->ctx, true), *only = NULL;
    for (lua_Integer i = n; i >= 1; i--) {
        tensor t;
        lua_rawgeti(L, 2, i);
        dsl_operand(L, -1, "stack", &t);
        lua_pop(L, 1);
        if (dsl_axis_of(&t, axis) >= 0)
            dsl_fail(L, FV_E_AXIS, "stack: part %lld already has the axis '%s': %s", (long long)i, name,
                     dsl_text(L, &t));
        dsl_union(L, &r, &t, NULL);
        r.free_form = r.free_form && t.free_form;
        r.pure = r.pure && t.pure;
        r.partial = r.partial || t.partial;
        r.size += t.size;
        const fv_expr *here = fv_op2(d->ctx, FV_X_EQ, fv_axis_ref(d->ctx, axis), fv_int(d->ctx, i - 1));
        if (i == n) { r.expr = t.expr; only = t.only; continue; }
        r.expr = fv_op3(d->ctx, FV_X_WHERE, here, t.expr, r.expr);
        if (t.only || only) only = fv_op3(d->ctx, FV_X_WHERE, here, t.only ? t.only : yes, only ? only : yes);
    }
    r.only = only;
    dsl_add_axis(L, &r, axis, n, NULL);
    return dsl_push_pointwise(L, &r);
}

static int op_lift(lua_State *L) {                     /* a number as a tensor without axes */
    tensor t;
    dsl_operand(L, 1, "lift", &t);
    dsl_push(L, &t);
    return 1;
}

lua_CFunction dsl_metamethod(int i, const char **out_name) {
    static const luaL_Reg all[] = {{"__add", mt_add}, {"__sub", mt_sub}, {"__mul", mt_mul}, {"__div", mt_div},
        {"__idiv", mt_idiv}, {"__mod", mt_mod}, {"__pow", mt_pow}, {"__band", mt_and}, {"__bor", mt_or},
        {"__bnot", mt_not}, {"__unm", mt_unm}};
    if (i >= (int)(sizeof all / sizeof *all)) return NULL;
    *out_name = all[i].name;
    return all[i].func;
}

void dsl_open_pointwise(lua_State *L) {
    static const luaL_Reg functions[] = {{"lt", op_lt}, {"le", op_le}, {"eq", op_eq}, {"ne", op_ne},
        {"outer", op_outer},
        {"where", op_where}, {"exact", op_exact}, {"otherwise", op_otherwise}, {"along", op_along}, {"stack", op_stack},
        {"lift", op_lift}, {NULL, NULL}};
    static const fv_op maps[] = {FV_X_EXP, FV_X_EXP2, FV_X_LOG, FV_X_LOG2, FV_X_SIN, FV_X_COS, FV_X_SQRT, FV_X_RSQRT,
        FV_X_ERF,
        FV_X_TANH, FV_X_ABS, FV_X_FLOOR, FV_X_TOFLOAT, FV_X_ISNAN};
    luaL_setfuncs(L, functions, 0);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        lua_pushinteger(L, (lua_Integer)maps[i]);
        lua_pushcclosure(L, map, 1);
        lua_setfield(L, -2, fv_op_spelling(maps[i]));
    }
    lua_pushcfunction(L, op_max2);
    lua_pushcclosure(L, op_max2, 1);
    lua_setfield(L, -2, "max");
    lua_pushcfunction(L, op_min2);
    lua_pushcclosure(L, op_min2, 1);
    lua_setfield(L, -2, "min");
}
