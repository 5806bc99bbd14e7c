/* Coordinates, constants, reductions, contraction, concat, top: the nodes that change which axes there are.
 * Invariant: reductions remove axes and skip what is absent (A2, R15). */
#include "dsl/dsl_core.h"

#include <string.h>

static int op_axis(lua_State *L) {                     /* axis(name, n): the coordinate of a new axis */
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    if (!lua_isinteger(L, 2))
        dsl_fail(L, FV_E_ARGUMENT, "axis(\"%s\", n): n is a whole number, this is %s", name,
                 lua_type(L, 2) == LUA_TNUMBER ? lua_tostring(L, 2) : luaL_typename(L, 2));
    fv_str s = dsl_axis_name(L, name, len);
    tensor t = {.free_form = true, .pure = true, .size = 1, .loc = dsl_loc(L)};
    dsl_add_axis(L, &t, s, dsl_extent(L, lua_tointeger(L, 2), name), NULL);
    t.expr = fv_axis_ref(dsl_of(L)->ctx, s);
    dsl_push(L, &t);
    return 1;
}

/* const(axes, values): axes as {name, extent, ...}; values row-major; all whole numbers make it i32. */
static int op_const(lua_State *L) {
    dsl *d = dsl_of(L);
    tensor t = {.loc = dsl_loc(L)};
    int64_t count = 1;
    for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, 1); i < n; i += 2) {
        lua_rawgeti(L, 1, i);
        lua_rawgeti(L, 1, i + 1);
        size_t len;
        const char *name = luaL_checklstring(L, -2, &len);
        int64_t extent = dsl_extent(L, luaL_checkinteger(L, -1), name);
        dsl_add_axis(L, &t, dsl_axis_name(L, name, len), extent, NULL);
        if (count > INT32_MAX / extent) dsl_fail(L, FV_E_ARGUMENT, "const: too many values");
        count *= extent;
        lua_pop(L, 2);
    }
    if (lua_type(L, 2) != LUA_TTABLE)
        dsl_fail(L, FV_E_ARGUMENT, "const: a list of numbers is wanted, this is %s", luaL_typename(L, 2));
    if ((int64_t)lua_rawlen(L, 2) != count)
        dsl_fail(L, FV_E_ARGUMENT, "const: %s has %lld elements, the list has %lld", dsl_text(L, &t), (long long)count,
                 (long long)lua_rawlen(L, 2));
    double *data = lua_newuserdatauv(L, (size_t)count * sizeof *data, 0);
    bool whole = true;
    for (int64_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, i + 1);
        if (lua_type(L, -1) != LUA_TNUMBER)
            dsl_fail(L, FV_E_ARGUMENT, "const: element %lld of the list is %s, no number", (long long)i + 1,
                     luaL_typename(L, -1));
        whole = whole && lua_isinteger(L, -1) && lua_tointeger(L, -1) >= INT32_MIN && lua_tointeger(L, -1) <= INT32_MAX;
        data[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    dsl_charge(L, count);
    dsl_push_value(L, fv_graph_const(d->graph, t.loc, whole ? FV_I32 : FV_F32, t.axis, t.n, data), true);
    return 1;
}

/* Splits the axes of t into those named in `s` (in its order) and the rest. */
static void pick(lua_State *L, const tensor *t, const char *what, const char *s, tensor *over, tensor *rest) {
    fv_ctx *ctx = dsl_of(L)->ctx;
    fv_str names[FV_MAX_AXES];
    int n = dsl_words(L, s, names);
    *over = (tensor){0};
    *rest = (tensor){0};
    for (int i = 0; i < n; i++) {
        int at = dsl_axis_of(t, names[i]);
        if (at < 0) dsl_fail(L, FV_E_AXIS, "%s: no axis '%s' in %s", what, fv_cstr(ctx, names[i]), dsl_text(L, t));
        if (dsl_axis_of(over, names[i]) >= 0)
            dsl_fail(L, FV_E_AXIS, "%s: axis '%s' is named twice", what, fv_cstr(ctx, names[i]));
        over->axis[over->n++] = t->axis[at];
    }
    for (int i = 0; i < t->n; i++) if (dsl_axis_of(over, t->axis[i].name) < 0) rest->axis[rest->n++] = t->axis[i];
}

/* upvalue 1: the monoid; 2: its name. x:sum"n" */
static int reduce(lua_State *L) {
    dsl *d = dsl_of(L);
    fv_monoid m = (fv_monoid)lua_tointeger(L, lua_upvalueindex(1));
    const char *name = lua_tostring(L, lua_upvalueindex(2));
    tensor x, over, rest;
    dsl_operand(L, 1, name, &x);
    if (lua_type(L, 2) != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "x:%s\"n m\" takes the axes to reduce; this is %s", name, luaL_typename(L, 2));
    pick(L, &x, name, lua_tostring(L, 2), &over, &rest);
    const fv_expr *body = m == FV_MONOID_ANY || m == FV_MONOID_ALL ? dsl_bool(d->ctx, x.expr)
        : m == FV_MONOID_COUNT ? x.expr : dsl_number(d->ctx, x.expr);
    if (m == FV_MONOID_MEAN && !fv_type_is_float(body->type)) body = fv_op1(d->ctx, FV_X_TOFLOAT, body);
    fv_value *v = fv_graph_compute(d->graph, dsl_loc(L), m, rest.axis, rest.n, over.axis, over.n, body, x.only, NULL);
    dsl_push_value(L, v, false);
    return 1;
}

static int op_contract(lua_State *L) {                 /* contract(a, b, axes): the sum of the product */
    dsl *d = dsl_of(L);
    tensor a, b, all = {0}, over, rest;
    dsl_operand(L, 1, "contract", &a);
    dsl_operand(L, 2, "contract", &b);
    if (lua_type(L, 3) != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "contract(a, b, axes): axes is a string, this is %s", luaL_typename(L, 3));
    dsl_union(L, &all, &a, NULL);
    all.loc = a.loc;
    dsl_union(L, &all, &b, NULL);
    pick(L, &all, "contract", lua_tostring(L, 3), &over, &rest);
    const fv_expr *only = a.only ? b.only ? fv_and(d->ctx, a.only, b.only) : a.only : b.only;
    const fv_expr *body = fv_mul(d->ctx, dsl_number(d->ctx, a.expr), dsl_number(d->ctx, b.expr));
    fv_value *v = fv_graph_compute(d->graph, dsl_loc(L), FV_MONOID_SUM, rest.axis, rest.n, over.axis, over.n, body,
                                   only, NULL);
    dsl_push_value(L, v, false);
    return 1;
}

static int op_concat(lua_State *L) {                   /* concat(axis, parts) */
    dsl *d = dsl_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    if (lua_type(L, 2) != LUA_TTABLE)
        dsl_fail(L, FV_E_ARGUMENT, "concat: a list of tensors is wanted, this is %s", luaL_typename(L, 2));
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    if (n < 1 || n > 1000)
        dsl_fail(L, FV_E_ARGUMENT, "concat: 1 to 1000 tensors are wanted, the list has %lld", (long long)n);
    fv_value **part = lua_newuserdatauv(L, (size_t)n * sizeof *part, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        part[i] = dsl_value_at(L, -1, "concat");
        lua_pop(L, 1);
    }
    dsl_push_value(L, fv_graph_concat(d->graph, dsl_loc(L), dsl_axis_name(L, name, len), part, (int)n), false);
    return 1;
}

/* top(x, axes, k, name, ascending): coordinates of each axis, then the values. */
static int op_top(lua_State *L) {
    dsl *d = dsl_of(L);
    fv_value *x = dsl_value_at(L, 1, "top");
    if (lua_type(L, 2) != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "top(x, axes, k): axes is a string, this is %s", luaL_typename(L, 2));
    if (!lua_isinteger(L, 3))
        dsl_fail(L, FV_E_ARGUMENT, "top(x, axes, k): k is a whole number, this is %s", luaL_typename(L, 3));
    fv_str over[FV_MAX_AXES];
    int n = dsl_words(L, lua_tostring(L, 2), over);
    size_t len;
    const char *name = luaL_optlstring(L, 4, "top", &len);
    fv_node *node = fv_graph_topk(d->graph, dsl_loc(L), x, over, n, lua_tointeger(L, 3), dsl_axis_name(L, name, len),
                                  lua_toboolean(L, 5) != 0);
    if (!node) dsl_raise(L);
    luaL_checkstack(L, node->n_results, "too many results");
    for (int i = 0; i < node->n_results; i++) dsl_push_value(L, node->result[i], false);
    return node->n_results;
}

static int op_store(lua_State *L) {                    /* x:store(): a hint; the same tensor */
    if (!dsl_is_tensor(L, 1)) dsl_fail(L, FV_E_ARGUMENT, "store: a tensor is wanted, this is %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    return 1;
}
static int op_is(lua_State *L) { lua_pushboolean(L, dsl_is_tensor(L, 1) != NULL); return 1; }
static int op_type(lua_State *L) {                     /* "f32", "i32", "bool"; nil for what is no tensor */
    tensor *t = dsl_is_tensor(L, 1);
    if (!t) return 0;
    lua_pushstring(L, fv_type_name(t->expr->type));
    return 1;
}
static int op_text(lua_State *L) {                     /* axes with extents, for messages */
    tensor *t = dsl_is_tensor(L, 1);
    lua_pushstring(L, t ? dsl_text(L, t) : luaL_typename(L, 1));
    return 1;
}

void dsl_open_access(lua_State *L) {
    static const luaL_Reg functions[] = {{"axis", op_axis}, {"const", op_const}, {"contract", op_contract},
        {"concat", op_concat}, {"top", op_top}, {"store", op_store}, {"is", op_is}, {"type_of", op_type}, {"text",
            op_text}, {NULL, NULL}};
    static const struct { const char *name; fv_monoid m; } monoids[] = {
        {"sum", FV_MONOID_SUM}, {"mean", FV_MONOID_MEAN}, {"max_of", FV_MONOID_MAX}, {"min_of", FV_MONOID_MIN},
        {"count", FV_MONOID_COUNT}, {"any", FV_MONOID_ANY}, {"all", FV_MONOID_ALL}};
    luaL_setfuncs(L, functions, 0);
    for (size_t i = 0; i < sizeof monoids / sizeof *monoids; i++) {
        lua_pushinteger(L, (lua_Integer)monoids[i].m);
        lua_pushlstring(L, monoids[i].name, strcspn(monoids[i].name, "_"));
        lua_pushcclosure(L, reduce, 2);
        lua_setfield(L, -2, monoids[i].name);
    }
}
