/* Tensors as Lua sees them: userdata, their axes, and when an expression becomes a node.
 * Invariant: `expr` has AXIS leaves of the tensor's own axes alone, and every READ in it is at its value's own
 * coordinates. */
#include "dsl/dsl_core.h"

#include <string.h>

static const char METATABLE[] = "fovea.tensor";

tensor *dsl_is_tensor(lua_State *L, int at) { return luaL_testudata(L, at, METATABLE); }

tensor *dsl_push(lua_State *L, const tensor *t) {
    dsl *d = dsl_of(L);
    if (++d->ops > 8 * d->node_cap || d->graph->n_nodes > d->node_cap) dsl_trip(L, "the number of operations");
    if (d->ops % 64 == 0 && dsl_now() > d->deadline) dsl_trip(L, "the time");
    tensor *u = lua_newuserdatauv(L, sizeof *u, 0);
    *u = *t;
    luaL_setmetatable(L, METATABLE);
    return u;
}

tensor *dsl_push_value(lua_State *L, fv_value *v, bool free_form) {
    if (!v) dsl_raise(L);
    tensor t = {.n = v->obj.rank, .value = v, .partial = v->partial, .free_form = free_form, .size = 1,
        .loc = v->node->loc};
    memcpy(t.axis, v->axis, (size_t)t.n * sizeof *t.axis);
    t.expr = fv_value_at_self(dsl_of(L)->ctx, v);
    return dsl_push(L, &t);
}

fv_value *dsl_value(lua_State *L, const tensor *t) {
    dsl *d = dsl_of(L);
    if (t->value) return t->value;
    fv_value *v = fv_graph_compute(d->graph, t->loc, FV_MONOID_NONE, t->axis, t->n, NULL, 0, t->expr, t->only, NULL);
    if (!v) dsl_raise(L);
    return v;
}

int dsl_axis_of(const tensor *t, fv_str name) {
    for (int i = 0; i < t->n; i++) if (fv_str_eq(t->axis[i].name, name)) return i;
    return -1;
}

const char *dsl_text(lua_State *L, const tensor *t) {
    fv_ctx *ctx = dsl_of(L)->ctx;
    const char *s = "{";
    for (int i = 0; i < t->n; i++)
        s = fv_printf(ctx, "%s%s%s=%lld", s, i ? " " : "", fv_cstr(ctx, t->axis[i].name), (long long)t->axis[i].extent);
    return fv_printf(ctx, "%s}", s);
}

/* -- Axes ---------------------------------------------------------------------------------------------------------- */
/* Names that are methods (R1): x.sum is the method, so no axis may be called so. */
static const char *const RESERVED[] = {
    "all", "along", "any", "as", "ax", "bins", "count", "ext", "flip", "gather", "index", "max", "mean", "merge",
    "min", "otherwise", "pad", "pair", "parts", "roll", "running", "slice", "slices", "split", "store", "sum", "tile",
    "untile", "unwindow", "window", "border", "only"};

fv_str dsl_axis_name(lua_State *L, const char *s, size_t n) {
    bool good = n > 0 && n < 64 && !(s[0] >= '0' && s[0] <= '9');
    for (size_t i = 0; i < n && good; i++)
        good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9')
            || s[i] == '_'
            || s[i] == '.' || s[i] == '\'';
    if (!good)
        dsl_fail(L, FV_E_AXIS, "'%.*s' cannot name an axis: letters, digits, '_' and ' only, a letter first",
                 (int)(n < 60 ? n : 60), s);
    for (size_t i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++)
        if (strlen(RESERVED[i]) == n && !memcmp(RESERVED[i], s, n))
            dsl_fail(L, FV_E_AXIS, "'%s' is a method of tensors and cannot name an axis", RESERVED[i]);
    return fv_intern_n(dsl_of(L)->ctx, s, n);
}

int64_t dsl_extent(lua_State *L, int64_t n, const char *axis) {
    if (n < 1 || n > INT32_MAX)
        dsl_fail(L, FV_E_AXIS, "axis '%s' would have the extent %lld; extents are 1 to 2147483647", axis, (long long)n);
    return n;
}

void dsl_add_axis(lua_State *L, tensor *io, fv_str name, int64_t extent, const tensor *from) {
    dsl *d = dsl_of(L);
    int at = dsl_axis_of(io, name);
    if (at >= 0) {
        if (io->axis[at].extent == extent) return;
        fv_error(d->ctx, FV_E_AXIS, dsl_loc(L), "axis '%s' is %lld in %s and %lld in %s", fv_cstr(d->ctx, name),
                 (long long)io->axis[at].extent, dsl_text(L, io), (long long)extent,
                 from ? dsl_text(L, from) : "the other");
        if (from && from->loc.line) fv_note(d->ctx, from->loc, "the operand %s was made here", dsl_text(L, from));
        dsl_raise(L);
    }
    if (io->n == FV_MAX_AXES)
        dsl_fail(L, FV_E_AXIS, "a tensor has at most %d axes: %s", (int)FV_MAX_AXES, dsl_text(L, io));
    io->axis[io->n++] = (fv_axis){.name = name, .extent = extent};
}

void dsl_union(lua_State *L, tensor *io, const tensor *t, const tensor *skip) {
    for (int i = 0; i < t->n; i++)
        if (!skip || dsl_axis_of(skip, t->axis[i].name) < 0) dsl_add_axis(L, io, t->axis[i].name, t->axis[i].extent, t);
}

/* -- Operands ------------------------------------------------------------------------------------------------------ */
/* Inside the body of a scan a tensor that has the scanned axis stands for its element of the step. */
static void element_of_step(lua_State *L, scan_frame *f, tensor *t) {
    dsl *d = dsl_of(L);
    if (f->outer) element_of_step(L, f->outer, t);
    int at = dsl_axis_of(t, f->over.name);
    if (at < 0) return;
    if (!f->over.extent) f->over.extent = t->axis[at].extent;
    if (f->over.extent != t->axis[at].extent)
        dsl_fail(L, FV_E_AXIS, "the scan runs %lld steps of '%s', but %s has another extent", (long long)f->over.extent,
                 fv_cstr(d->ctx, f->over.name), dsl_text(L, t));
    fv_value *source = dsl_value(L, t), *element = NULL;
    for (int i = 0; i < f->n; i++) if (f->item[i].source == source) element = f->item[i].element;
    if (!element) {
        fv_axis rest[FV_MAX_AXES];
        int n = 0;
        for (int i = 0; i < source->obj.rank; i++)
            if (!fv_str_eq(source->axis[i].name, f->over.name)) rest[n++] = source->axis[i];
        element = fv_graph_placeholder(d->graph, dsl_loc(L), "element", source->obj.type, rest, n, source->partial);
        if (!element) dsl_raise(L);
        struct scan_element item = {source, element};
        fv_push(d->ctx, f->item, f->n, f->cap, item);
    }
    tensor r = {.n = element->obj.rank, .value = element, .partial = element->partial, .size = 1, .loc = t->loc};
    memcpy(r.axis, element->axis, (size_t)r.n * sizeof *r.axis);
    r.expr = fv_value_at_self(d->ctx, element);
    *t = r;
}

void dsl_operand(lua_State *L, int at, const char *what, tensor *out) {
    dsl *d = dsl_of(L);
    tensor *t = dsl_is_tensor(L, at);
    if (t) {
        for (scan_frame *f = d->scan; f && !t->value; f = f->outer)
            if (dsl_axis_of(t, f->over.name) >= 0) t->value = dsl_value(L, t);
        *out = *t;
        if (d->scan) element_of_step(L, d->scan, out);
        return;
    }
    *out = (tensor){.free_form = true, .pure = true, .size = 1, .loc = dsl_loc(L)};
    switch (lua_type(L, at)) {
    case LUA_TNUMBER:
        if (!lua_isinteger(L, at)) { out->expr = fv_float(d->ctx, lua_tonumber(L, at)); return; }
        if (lua_tointeger(L, at) < INT32_MIN || lua_tointeger(L, at) > INT32_MAX)
            dsl_fail(L, FV_E_ARGUMENT, "%s: %lld does not fit in 32 bits", what, (long long)lua_tointeger(L, at));
        out->expr = fv_int(d->ctx, lua_tointeger(L, at));
        return;
    case LUA_TBOOLEAN: out->expr = fv_bool(d->ctx, lua_toboolean(L, at)); return;
    default: dsl_fail(L, FV_E_ARGUMENT, "%s: a tensor or a number is wanted, this is %s", what, luaL_typename(L, at));
    }
}

fv_value *dsl_value_at(lua_State *L, int at, const char *what) {
    tensor t;
    dsl_operand(L, at, what, &t);
    fv_value *v = dsl_value(L, &t);
    tensor *u = dsl_is_tensor(L, at);
    if (u && !u->value && !dsl_of(L)->scan) u->value = v;
    return v;
}

const fv_expr *dsl_bool(fv_ctx *ctx, const fv_expr *e) {
    return e->type == FV_BOOL ? e : fv_op2(ctx, FV_X_NE, e, fv_int(ctx, 0));
}
const fv_expr *dsl_number(fv_ctx *ctx, const fv_expr *e) {
    return e->type != FV_BOOL ? e : fv_op3(ctx, FV_X_WHERE, e, fv_int(ctx, 1), fv_int(ctx, 0));
}

int dsl_push_pointwise(lua_State *L, tensor *t) {
    if (t->size < 1) t->size = 1;
    if ((t->free_form || !fv_type_is_float(t->expr->type)) && t->size <= DSL_MAX_EXPR) { dsl_push(L, t); return 1; }
    dsl_push_value(L, dsl_value(L, t), t->free_form);
    return 1;
}

/* -- The metatable ------------------------------------------------------------------------------------------------- */
/* upvalue 1: the methods; x.c is an extent, methods first (R15) */
static int index_key(lua_State *L) {
    tensor *t = dsl_is_tensor(L, 1);
    lua_pushvalue(L, 2);
    if (!t || lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    dsl *d = dsl_of(L);
    size_t n;
    const char *key = lua_tolstring(L, 2, &n);
    bool ext = !strcmp(key, "ext"), ax = !strcmp(key, "ax");
    if (ext || ax) lua_createtable(L, ax ? t->n : 0, ext ? t->n : 0);
    for (int i = 0; i < t->n; i++) {
        const char *name = fv_cstr(d->ctx, t->axis[i].name);
        if (ext) { lua_pushinteger(L, t->axis[i].extent); lua_setfield(L, -2, name); }
        else if (ax) { lua_pushstring(L, name); lua_rawseti(L, -2, i + 1); }
        else if (!strcmp(name, key)) { lua_pushinteger(L, t->axis[i].extent); return 1; }
    }
    if (ext || ax) return 1;
    lua_pushnil(L);
    return 1;
}
static int to_text(lua_State *L) {
    tensor *t = dsl_is_tensor(L, 1);
    if (!t) return luaL_error(L, "not a tensor");
    lua_pushfstring(L, "%s %s", dsl_text(L, t), fv_type_name(t->expr->type));
    return 1;
}
static int no_order(lua_State *L) {
    dsl_fail(L, FV_E_ARGUMENT, "tensors are compared by lt, le, eq and ne: Lua cannot trace '<' and '=='");
}
static int no_text(lua_State *L) {
    dsl_fail(L, FV_E_ARGUMENT, "a tensor cannot be joined to a text; an extent can: x.c");
}
static int no_length(lua_State *L) { dsl_fail(L, FV_E_ARGUMENT, "a tensor has no length; an extent is x.name"); }
static int no_write(lua_State *L) { dsl_fail(L, FV_E_ARGUMENT, "a tensor cannot be written to"); }

void dsl_tensor_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"__tostring", to_text}, {"__lt", no_order}, {"__le", no_order},
        {"__eq", no_order},
        {"__concat", no_text}, {"__len", no_length}, {"__newindex", no_write}, {"__call", dsl_read}, {NULL, NULL}};
    luaL_newmetatable(L, METATABLE);
    luaL_setfuncs(L, functions, 0);
    const char *name;
    lua_CFunction f;
    for (int i = 0; (f = dsl_metamethod(i, &name)) != NULL; i++) { lua_pushcfunction(L, f); lua_setfield(L, -2, name); }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "fovea.methods");
    lua_pushcclosure(L, index_key, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
