/* scan: the frame in which a body is traced, and the SCAN node that it becomes (language.md A6).
 * Invariant: between begin and finish a tensor that has the scanned axis is an element of the step (tensor.c). */
#include "dsl/dsl_core.h"

#include <string.h>

static int op_begin(lua_State *L) {                    /* begin(name, extent or false) */
    dsl *d = dsl_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    scan_frame *f = FV_NEW(d->ctx, scan_frame);
    f->outer = d->scan;
    f->over.name = dsl_axis_name(L, name, len);
    if (lua_isinteger(L, 2)) f->over.extent = dsl_extent(L, lua_tointeger(L, 2), name);
    for (scan_frame *o = d->scan; o; o = o->outer)
        if (fv_str_eq(o->over.name, f->over.name))
            dsl_fail(L, FV_E_AXIS, "scan: '%s' is scanned already by a scan around this one", name);
    d->scan = f;
    return 0;
}

static fv_value **list_of(lua_State *L, const char *key, int n) {
    fv_value **v = FV_NEWN(dsl_of(L)->ctx, fv_value *, n + 1);
    lua_getfield(L, 1, key);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, -1, i + 1);
        v[i] = dsl_value_at(L, -1, "scan");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return v;
}

/* finish{ init = {...}, state = {...}, next = {...}, output =, reverse = }: the per-step output (or nil), then the
 * last states. */
static int op_finish(lua_State *L) {
    dsl *d = dsl_of(L);
    scan_frame *f = d->scan;
    if (!f) return luaL_error(L, "no scan is open");
    fv_scan_node s = {.over = f->over};
    lua_getfield(L, 1, "state");
    s.n_states = (int)lua_rawlen(L, -1);
    lua_pop(L, 1);
    s.state = list_of(L, "state", s.n_states);
    s.next = list_of(L, "next", s.n_states);
    if (lua_getfield(L, 1, "output") != LUA_TNIL) s.output = dsl_value_at(L, -1, "scan: output");
    lua_getfield(L, 1, "reverse");
    s.reverse = lua_toboolean(L, -1) != 0;
    lua_pop(L, 2);
    d->scan = f->outer;
    s.init = list_of(L, "init", s.n_states);
    if (!f->over.extent)
        dsl_fail(L, FV_E_AXIS,
                 "scan: no tensor in the body has the axis '%s', so the number of steps is not known; write over = "
                 "\"%s=N\"",
                 fv_cstr(d->ctx, f->over.name), fv_cstr(d->ctx, f->over.name));
    s.over.extent = f->over.extent;
    s.n_elements = f->n;
    s.element_src = FV_NEWN(d->ctx, fv_value *, f->n + 1);
    s.element = FV_NEWN(d->ctx, fv_value *, f->n + 1);
    for (int i = 0; i < f->n; i++) { s.element_src[i] = f->item[i].source; s.element[i] = f->item[i].element; }
    fv_node *node = fv_graph_scan(d->graph, dsl_loc(L), &s);
    if (!node) dsl_raise(L);
    int at = 0;
    luaL_checkstack(L, node->n_results + 1, "too many results");
    if (s.output) dsl_push_value(L, node->result[at++], false); else lua_pushnil(L);
    for (int i = 0; i < s.n_states; i++) dsl_push_value(L, node->result[at++], false);
    return 1 + s.n_states;
}

void dsl_open_scan(lua_State *L) {
    static const luaL_Reg functions[] = {{"scan_begin", op_begin}, {"scan_finish", op_finish}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
