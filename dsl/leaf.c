/* What a spec takes in and gives out: input, param, output, entry, preprocess, labels.
 * Invariant: every axis of a leaf has an extent that was written, or that follows from the stored tensor, or from
 * --shape. */
#include "dsl/dsl_core.h"

#include <string.h>

static const char *name_at(lua_State *L, int at, const char *what) {
    if (lua_type(L, at) != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "%s: a name is wanted, this is %s", what, luaL_typename(L, at));
    const char *s = lua_tostring(L, at);
    if (strlen(s) != lua_rawlen(L, at) || strlen(s) > 500)
        dsl_fail(L, FV_E_ARGUMENT, "%s: this cannot be a name", what);
    return s;
}
/* a module at the root is "" */
static const char *rooted(const char *name) { return name[0] == '.' ? name + 1 : name; }

static const char *shape_text(lua_State *L, const fv_shape_info *s) {
    const char *t = "[";
    for (int i = 0; i < s->rank; i++)
        t = fv_printf(dsl_of(L)->ctx, "%s%s%lld", t, i ? ", " : "", (long long)s->shape[i]);
    return fv_printf(dsl_of(L)->ctx, "%s]", t);
}

/* -- From an order string to axes ---------------------------------------------------------------------------------- */
typedef struct {
    const char *kind, *name, *order;                    /* "input" or "param" */
    bool found, is_input;
    int defaults; /* an input's extents where nothing else says them: a table, or 0 */
    fv_shape_info info;
    tensor axes;
    fv_stored stored;
} leaf_request;

static int64_t from_shapes(lua_State *L, const order_name *n) {       /* --shape, by axis name */
    const fv_spec_options *o = dsl_of(L)->o;
    for (int i = 0; i < o->n_shapes; i++)
        if (strlen(o->shape_name[i]) == n->len && !memcmp(o->shape_name[i], n->text, n->len)) return o->shape_value[i];
    return -1;
}

static int64_t from_defaults(lua_State *L, int at, const order_name *n) {
    if (!at) return -1;
    lua_pushlstring(L, n->text, n->len);
    lua_rawget(L, at);
    int64_t v = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    lua_pop(L, 1);
    return v;
}

static _Noreturn void open_extent(lua_State *L, const leaf_request *r, const order_name *n) {
    if (r->is_input)
        dsl_fail(L, FV_E_INPUT,
                 "input '%s': the extent of axis '%.*s' in '%s' is not known: write %.*s=N, give --shape %.*s=N, or "
                 "an input file",
                 r->name, (int)n->len, n->text, r->order, (int)n->len, n->text, (int)n->len, n->text);
    dsl_fail(L, FV_E_PARAM,
             "param '%s': no weights are given, so the spec must say every extent, and '%.*s' in '%s' is open: "
             "write its width where it is made (linear(x, name, \"c=96\"), conv2d(x, name, { out = 96, kernel = 3 }))",
             r->name, (int)n->len, n->text, r->order);
}

/* Closes the open extent of group i; `stored`: the extent of the stored dimension, or -1. */
static void close_group(lua_State *L, leaf_request *r, order_group *g, int i, int64_t stored) {
    int64_t known = 1;
    order_name *open = NULL;
    for (int j = 0; j < g->n; j++) {
        order_name *n = &g->name[j];
        if (n->extent < 0 && r->is_input && stored < 0) {
            int64_t v = from_shapes(L, n);
            if (v < 0) v = from_defaults(L, r->defaults, n);
            if (v >= 0) n->extent = dsl_extent(L, v, r->order);
        }
        if (n->extent >= 0) { known *= n->extent; continue; }
        if (stored < 0) open_extent(L, r, n);
        if (open)
            dsl_fail(L, FV_E_PARAM, "%s '%s': '%.*s' and '%.*s' are both open in dimension %d of '%s'; one may be",
                     r->kind, r->name,
                     (int)open->len, open->text, (int)n->len, n->text, i + 1, r->order);
        open = n;
    }
    if (stored < 0) return;
    if (known < 1 || (open && stored % known) || (!open && known != stored))
        dsl_fail(L, r->is_input ? FV_E_INPUT : FV_E_PARAM,
                 "%s '%s': dimension %d of '%s' is %s %lld, the stored tensor %s has %lld there",
                 r->kind, r->name, i + 1, r->order, open ? "a multiple of" : "", (long long)known,
                 shape_text(L, &r->info), (long long)stored);
    if (open) open->extent = dsl_extent(L, stored / known, r->order);
}

static void resolve(lua_State *L, leaf_request *r, int sizes) {
    order_list o;
    dsl_order_parse(L, r->order, sizes, &o);
    int rank = r->found ? r->info.rank : o.n;
    if (r->found && o.n > rank)
        dsl_fail(L, r->is_input ? FV_E_INPUT : FV_E_PARAM,
                 "%s '%s': '%s' has %d dimensions, the stored tensor %s has %d", r->kind, r->name,
                 r->order, o.n, shape_text(L, &r->info), rank);
    for (int i = 0; i < o.n; i++) close_group(L, r, &o.group[i], i, r->found ? r->info.shape[i] : -1);
    for (int i = o.n; i < rank; i++)                    /* trailing dimensions of extent 1 need not be named */
        if (r->info.shape[i] != 1)
            dsl_fail(L, r->is_input ? FV_E_INPUT : FV_E_PARAM,
                     "%s '%s': '%s' has %d dimensions, the stored tensor %s has %d", r->kind, r->name,
                     r->order, o.n, shape_text(L, &r->info), rank);
    r->stored.rank = rank;
    for (int i = 0; i < o.n; i++) {
        fv_stored_dim *dim = &r->stored.dim[i];
        for (int j = 0; j < o.group[i].n; j++) {
            const order_name *n = &o.group[i].name[j];
            fv_str name = fv_intern_n(dsl_of(L)->ctx, n->text, n->len);
            if (dsl_axis_of(&r->axes, name) >= 0)
                dsl_fail(L, FV_E_AXIS, "%s '%s': axis '%.*s' stands twice in '%s'; call one of them %.*s'", r->kind,
                         r->name, (int)n->len,
                         n->text, r->order, (int)n->len, n->text);
            dim->axis[dim->n++] = r->axes.n;
            dsl_add_axis(L, &r->axes, name, n->extent, NULL);
        }
    }
}

static fv_type value_type(fv_type stored) { return fv_type_is_float(stored) ? FV_F32 : stored; }

/* The same leaf asked for twice in one order is one node. */
static int leaf(lua_State *L, leaf_request *r, int sizes, fv_type type) {
    dsl *d = dsl_of(L);
    if (r->found && (r->info.rank < 0 || r->info.rank > FV_SPEC_MAX_RANK))
        dsl_fail(L, FV_E_PARAM, "%s '%s': a stored tensor of rank %d; at most %d", r->kind, r->name, r->info.rank,
                 (int)FV_SPEC_MAX_RANK);
    resolve(L, r, sizes);
    const char *key = fv_printf(d->ctx, "%s %s %s %s", r->kind, r->name, r->order, dsl_text(L, &r->axes));
    fv_str id = fv_intern(d->ctx, key);
    for (int i = 0; i < d->n_leaves; i++)
        if (fv_str_eq(d->leaf[i].key, id)) { dsl_push_value(L, d->leaf[i].value, false); return 1; }
    fv_type stored = r->found ? r->info.type : type;
    if (r->is_input && (type == FV_F16 || type == FV_BF16) && fv_type_is_float(stored)) stored = type;
    fv_str name = fv_intern(d->ctx, r->name);
    fv_value *v = (r->is_input ? fv_graph_input : fv_graph_param)(d->graph, dsl_loc(L), name, value_type(stored),
                                                                  r->axes.axis, r->axes.n, &r->stored);
    if (!v) dsl_raise(L);
    v->node->u.leaf.stored_type = stored;
    struct dsl_leaf l = {id, v};
    fv_push(d->ctx, d->leaf, d->n_leaves, d->cap_leaves, l);
    dsl_push_value(L, v, false);
    return 1;
}

static fv_type type_option(lua_State *L, int at) {      /* { type = "i32" } */
    fv_type t = FV_F32;
    if (!lua_istable(L, at)) return t;
    if (lua_getfield(L, at, "type") == LUA_TSTRING && !fv_type_parse(lua_tostring(L, -1), &t))
        dsl_fail(L, FV_E_ARGUMENT, "'%s' is no type: f32, f16, bf16, i32, bool", lua_tostring(L, -1));
    lua_pop(L, 1);
    return t;
}

/* input(name, order, sizes, { type =, default = { b = 1 } }); default: extents that neither a file nor --shape gives */
static int op_input(lua_State *L) {
    dsl *d = dsl_of(L);
    leaf_request r = {.kind = "input", .is_input = true, .name = name_at(L, 1, "input"),
        .order = name_at(L, 2, "input: order")};
    if (lua_istable(L, 4) && lua_getfield(L, 4, "default") == LUA_TTABLE) r.defaults = lua_gettop(L);
    r.found = d->o->input_shape && d->o->input_shape(d->o->user, r.name, &r.info);
    if (!r.found && d->o->input_shape && d->o->n_shapes == 0)
        dsl_fail(L, FV_E_INPUT, "no input '%s' is given", r.name);
    return leaf(L, &r, lua_istable(L, 3) ? 3 : 0, type_option(L, 4));
}
static int op_has_input(lua_State *L) {                /* has_input(name, default) */
    dsl *d = dsl_of(L);
    fv_shape_info info;
    const char *name = name_at(L, 1, "has_input");
    if (d->o->input_shape) lua_pushboolean(L, d->o->input_shape(d->o->user, name, &info));
    else lua_pushboolean(L, lua_toboolean(L, 2));
    return 1;
}

static bool declared(const dsl *d) { return d->o->declare || !d->o->param_shape; }
static int op_param(lua_State *L) {                    /* param(name, order, sizes, { type = }) */
    dsl *d = dsl_of(L);
    leaf_request r = {.kind = "param", .name = rooted(name_at(L, 1, "param")), .order = ""};
    if (!lua_isnoneornil(L, 2)) r.order = name_at(L, 2, "param: order");
    r.found = !declared(d) && d->o->param_shape(d->o->user, r.name, &r.info);
    if (!r.found && !declared(d)) dsl_fail(L, FV_E_PARAM, "the weights have no tensor '%s'", r.name);
    return leaf(L, &r, lua_istable(L, 3) ? 3 : 0, type_option(L, 4));
}
/* has_param(name, default): is it stored? Where the spec itself declares what is stored: the default, or true. */
static int op_has_param(lua_State *L) {
    dsl *d = dsl_of(L);
    fv_shape_info info;
    const char *name = rooted(name_at(L, 1, "has_param"));
    if (declared(d)) lua_pushboolean(L, lua_isnoneornil(L, 2) || lua_toboolean(L, 2));
    else lua_pushboolean(L, d->o->param_shape(d->o->user, name, &info));
    return 1;
}
/* { 64, 3, 7, 7 }; nil where the spec declares what is stored */
static int op_stored_shape(lua_State *L) {
    dsl *d = dsl_of(L);
    fv_shape_info info;
    const char *name = rooted(name_at(L, 1, "param"));
    if (declared(d)) return 0;
    if (!d->o->param_shape(d->o->user, name, &info)) dsl_fail(L, FV_E_PARAM, "the weights have no tensor '%s'", name);
    lua_createtable(L, info.rank, 0);
    for (int i = 0; i < info.rank && i < FV_SPEC_MAX_RANK; i++) {
        lua_pushinteger(L, info.shape[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* -- Outputs ------------------------------------------------------------------------------------------------------- */
static int op_output(lua_State *L) {                   /* output(name, x, order) */
    dsl *d = dsl_of(L);
    const char *name = name_at(L, 1, "output");
    tensor x;
    dsl_operand(L, 2, "output", &x);
    fv_value *v = dsl_value_at(L, 2, "output");
    const char *order = lua_isnoneornil(L, 3) ? "" : name_at(L, 3, "output: order");
    order_list o;
    dsl_order_parse(L, order, 0, &o);
    fv_stored stored = {.rank = o.n};
    int n = 0;
    for (int i = 0; i < o.n; i++)
        for (int j = 0; j < o.group[i].n; j++, n++) {
            const order_name *a = &o.group[i].name[j];
            int at = fv_value_axis(v, fv_intern_n(d->ctx, a->text, a->len));
            if (at < 0)
                dsl_fail(L, FV_E_AXIS, "output '%s': no axis '%.*s' in %s", name, (int)a->len, a->text,
                         dsl_text(L, &x));
            if (a->extent >= 0 && a->extent != v->axis[at].extent)
                dsl_fail(L, FV_E_AXIS, "output '%s': '%s' says %lld for axis '%.*s' of %s", name, order,
                         (long long)a->extent, (int)a->len, a->text, dsl_text(L, &x));
            stored.dim[i].axis[stored.dim[i].n++] = at;
        }
    if (n != v->obj.rank)
        dsl_fail(L, FV_E_AXIS, "output '%s': the order '%s' must name every axis of %s once", name, order,
                 dsl_text(L, &x));
    if (!fv_graph_output(d->graph, dsl_loc(L), d->entry, fv_intern(d->ctx, name), v, &stored)) dsl_raise(L);
    return 0;
}

static int op_entry(lua_State *L) {                    /* entry "prefill", or entry("prefill", function() ... end) */
    dsl *d = dsl_of(L);
    fv_str was = d->entry, name = fv_intern(d->ctx, name_at(L, 1, "entry"));
    bool known = false;
    for (int i = 0; i < d->spec->n_entries; i++) known = known || fv_str_eq(d->spec->entry[i], name);
    if (!known) fv_push(d->ctx, d->spec->entry, d->spec->n_entries, d->cap_entries, name);
    d->entry = name;
    if (!lua_isfunction(L, 2)) return 0;
    lua_settop(L, 2);
    lua_call(L, 0, 0);
    d->entry = was;
    return 0;
}

static int declare_json(lua_State *L, const char **slot, const char *what) {
    int t = lua_type(L, 1);
    if (t != LUA_TTABLE && t != LUA_TSTRING)
        dsl_fail(L, FV_E_ARGUMENT, "%s takes a table, this is %s", what, luaL_typename(L, 1));
    if (*slot) dsl_fail(L, FV_E_ARGUMENT, "%s is declared twice", what);
    dsl *d = dsl_of(L);
    d->scratch.len = 0;
    dsl_json_write(L, 1, &d->scratch, 0);
    *slot = fv_strdup(d->ctx, d->scratch.text ? d->scratch.text : "null");
    return 0;
}
static int op_preprocess(lua_State *L) {
    if (lua_type(L, 1) != LUA_TTABLE)
        dsl_fail(L, FV_E_ARGUMENT, "preprocess takes a table, this is %s", luaL_typename(L, 1));
    return declare_json(L, &dsl_of(L)->spec->preprocess_json, "preprocess");
}
static int op_labels(lua_State *L) { return declare_json(L, &dsl_of(L)->spec->labels_json, "labels"); }

void dsl_open_leaf(lua_State *L) {
    static const luaL_Reg functions[] = {{"input", op_input}, {"has_input", op_has_input}, {"param", op_param},
        {"has_param", op_has_param}, {"stored_shape", op_stored_shape}, {"output", op_output}, {"entry", op_entry},
        {"preprocess", op_preprocess}, {"labels", op_labels}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
