/* From tables that lib/attend.lua has put in order to an ATTEND node, and the placeholders that it owns.
 * The rules are in docs/language.md, attend; what the names mean (over, dot, renaming) is settled before. */
#include "dsl/dsl_core.h"

#include <string.h>

/* placeholder(what, { name, extent, ... }, type): a value that the node which owns it binds. */
static int op_placeholder(lua_State *L) {
    dsl *d = dsl_of(L);
    tensor t = {0};
    fv_type type = FV_F32;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, 2); i < n; i += 2) {
        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, 2, i + 1);
        size_t len;
        const char *name = luaL_checklstring(L, -2, &len);
        dsl_add_axis(L, &t, fv_intern_n(d->ctx, name, len), luaL_checkinteger(L, -1), NULL);
        lua_pop(L, 2);
    }
    if (!lua_isnoneornil(L, 3) && !fv_type_parse(luaL_checkstring(L, 3), &type)) return luaL_error(L, "no type");
    dsl_push_value(L, fv_graph_placeholder(d->graph, dsl_loc(L), luaL_checkstring(L, 1), type, t.axis, t.n, false),
                   false);
    return 1;
}

/* The tensor in field `key` of the table at `at` as a value; NULL if there is none. */
static fv_value *value_field(lua_State *L, int at, const char *key) {
    fv_value *v = lua_getfield(L, at, key) == LUA_TNIL ? NULL : dsl_value_at(L, -1, key);
    lua_pop(L, 1);
    return v;
}

static fv_value **value_list(lua_State *L, int at, const char *key, int *out_n) {
    *out_n = 0;
    if (lua_getfield(L, at, key) != LUA_TTABLE) { lua_pop(L, 1); return NULL; }
    int n = (int)lua_rawlen(L, -1), list = lua_gettop(L);
    fv_value **v = FV_NEWN(dsl_of(L)->ctx, fv_value *, n + 1);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        v[i] = dsl_value_at(L, -1, key);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    *out_n = n;
    return v;
}

/* { name, extent, ... } in field `key`. */
static int axis_list(lua_State *L, int at, const char *key, fv_axis *out) {
    int n = 0;
    if (lua_getfield(L, at, key) == LUA_TTABLE) {
        for (lua_Integer i = 1, len = (lua_Integer)lua_rawlen(L, -1); i < len && n < FV_MAX_AXES; i += 2) {
            lua_rawgeti(L, -1, i);
            lua_rawgeti(L, -2, i + 1);
            out[n].name = fv_intern(dsl_of(L)->ctx, luaL_checkstring(L, -2));
            out[n++].extent = luaL_checkinteger(L, -1);
            lua_pop(L, 2);
        }
    }
    lua_pop(L, 1);
    return n;
}

/* `only` as a bool; NULL where it always holds. */
static fv_value *only_field(lua_State *L, int at) {
    tensor t;
    fv_value *v = NULL;
    if (lua_getfield(L, at, "only") != LUA_TNIL) {
        dsl_operand(L, -1, "attend: only", &t);
        const fv_expr *e = dsl_bool(dsl_of(L)->ctx, t.expr);
        if (e != t.expr) t.value = NULL;
        t.expr = e;
        if (t.only || !fv_is_true(e)) v = dsl_value(L, &t);
    }
    lua_pop(L, 1);
    return v;
}

static void set_of(lua_State *L, int at, fv_attend_set *s) {
    int n_p;
    s->k = value_field(L, at, "k");
    s->s = value_field(L, at, "s");
    if (lua_getfield(L, at, "v") == LUA_TNUMBER) s->v_number = lua_tonumber(L, -1);
    else s->v = dsl_value_at(L, -1, "attend: v");
    lua_pop(L, 1);
    s->n_over = axis_list(L, at, "over", s->over);
    s->only = only_field(L, at);
    s->raw = value_field(L, at, "raw");
    s->score = value_list(L, at, "scores", &s->n_scores);
    s->p = value_list(L, at, "p", &n_p);
    s->weight = value_field(L, at, "weight");
}

static void step_of(lua_State *L, int at, fv_attend_step *s) {
    fv_axis axis[FV_MAX_AXES];
    lua_getfield(L, at, "ratio");
    s->ratio = lua_toboolean(L, -1) != 0;
    s->n_axes = axis_list(L, at, "axes", axis);
    for (int i = 0; i < s->n_axes; i++) s->axis[i] = axis[i].name;
    s->has_floor = lua_getfield(L, at, "floor") == LUA_TNUMBER;
    s->floor = lua_tonumber(L, -1);
    lua_getfield(L, at, "eps");
    s->eps = lua_tonumber(L, -1);
    lua_pop(L, 3);
}

/* attend{ q, dot, sets = { { k, v, s, over, only, raw, scores, p, weight } }, steps = { { ratio, axes, floor, eps } },
 * lse } */
static int op_attend(lua_State *L) {
    dsl *d = dsl_of(L);
    fv_attend_node *a = FV_NEW(d->ctx, fv_attend_node);
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    a->q = value_field(L, 1, "q");
    a->n_dot = axis_list(L, 1, "dot", a->dot);
    lua_getfield(L, 1, "sets");
    a->n_sets = (int)lua_rawlen(L, 2);
    a->set = FV_NEWN(d->ctx, fv_attend_set, a->n_sets + 1);
    for (int i = 0; i < a->n_sets; i++) {
        lua_rawgeti(L, 2, i + 1);
        set_of(L, 3, &a->set[i]);
        lua_settop(L, 2);
    }
    lua_settop(L, 1);
    lua_getfield(L, 1, "steps");
    a->n_steps = (int)lua_rawlen(L, 2);
    a->step = FV_NEWN(d->ctx, fv_attend_step, a->n_steps + 1);
    for (int i = 0; i < a->n_steps; i++) {
        lua_rawgeti(L, 2, i + 1);
        step_of(L, 3, &a->step[i]);
        lua_settop(L, 2);
    }
    lua_getfield(L, 1, "lse");
    a->lse = lua_toboolean(L, -1) != 0;
    fv_value *lse = NULL, *out = fv_graph_attend(d->graph, dsl_loc(L), a, &lse);
    dsl_push_value(L, out, false);
    if (!a->lse) return 1;
    dsl_push_value(L, lse, false);
    return 2;
}

/* scoped(true) .. scoped(false): nesting (R3) does not hold between */
static int op_scoped(lua_State *L) {
    dsl_of(L)->scoped += lua_toboolean(L, 1) ? 1 : -1;
    return 0;
}

void dsl_open_attend(lua_State *L) {
    static const luaL_Reg functions[] = {{"placeholder", op_placeholder}, {"attend", op_attend}, {"scoped", op_scoped},
        {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
