/* The read (language.md A1): x{ axis = i32 expression, ..., border = , only = }.
 * Of a coordinate expression it is substitution; of anything that holds data it is a READ node.
 * Invariant: an index that may leave its axis has a border, or is refused; a missing element stays missing (A2). */
#include "dsl/dsl_core.h"

#include <string.h>

typedef struct {
    tensor src, out;                                    /* out: axes and flags are filled in here */
    const fv_expr *index[FV_MAX_AXES];                  /* per axis of src */
    bool mapped[FV_MAX_AXES];
    fv_border border;
    double number;
    const fv_expr *only;
} read_args;

static void border_of(lua_State *L, read_args *r) {
    static const struct { const char *name; fv_border border; } names[] = {
        {"cut", FV_BORDER_CUT}, {"clamp", FV_BORDER_CLAMP}, {"reflect", FV_BORDER_REFLECT}, {"wrap", FV_BORDER_WRAP}};
    switch (lua_getfield(L, 2, "border")) {
    case LUA_TNIL: break;
    case LUA_TNUMBER: r->border = FV_BORDER_NUMBER; r->number = lua_tonumber(L, -1); break;
    case LUA_TSTRING:
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strcmp(names[i].name, lua_tostring(L, -1))) r->border = names[i].border;
        if (r->border) break;
        /* fall through */
    default:
        dsl_fail(L, FV_E_BORDER, "border is a number, \"cut\", \"clamp\", \"reflect\" or \"wrap\"; this is %s",
                 lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

static void check_keys(lua_State *L, const tensor *x) {
    /* the least of them, so that the message does not depend on a hash */
    const char *bad = NULL;
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            dsl_fail(L, FV_E_VIEW, "x{ ... } takes axis = index; this has an entry without a name");
        const char *key = lua_tostring(L, -2);
        if (!strcmp(key, "border") || !strcmp(key, "only")) continue;
        bool known = false;
        for (int i = 0; i < x->n; i++) known = known || !strcmp(fv_cstr(dsl_of(L)->ctx, x->axis[i].name), key);
        if (!known && (!bad || strcmp(key, bad) < 0)) bad = key;
    }
    if (bad) dsl_fail(L, FV_E_AXIS, "no axis '%s' in %s", bad, dsl_text(L, x));
}

/* An index that is one i32 input as it is: its elements are checked at entry to lie inside (A5). */
static void bound_input(lua_State *L, const tensor *idx, int64_t extent) {
    fv_value *v = idx->value;
    if (!v || v->obj.type != FV_I32 || (v->node->op != FV_NODE_INPUT && v->node->op != FV_NODE_PARAM)) return;
    int64_t hi = v->obj.ranged && v->obj.hi < extent - 1 ? v->obj.hi : extent - 1;
    if (!fv_value_bound(dsl_of(L)->graph, dsl_loc(L), v, 0, hi)) dsl_raise(L);
}

/* The index with what is known of its coordinates: h - h % 2 is a multiple of 2, which its range needs. */
static const fv_expr *simplified(fv_ctx *ctx, const tensor *idx, const fv_expr *e) {
    fv_facts facts = {0};
    for (int a = 0; a < idx->n; a++)
        fv_facts_add(ctx, &facts, fv_axis_ref(ctx, idx->axis[a].name), 0, idx->axis[a].extent - 1);
    return fv_simplify(ctx, &facts, e);
}

static void one_index(lua_State *L, read_args *r, int i, tensor *idx) {
    dsl *d = dsl_of(L);
    const char *axis = fv_cstr(d->ctx, r->src.axis[i].name);
    dsl_operand(L, -1, axis, idx);
    if (fv_type_is_float(idx->expr->type))
        dsl_fail(L, FV_E_VIEW, "the index of axis '%s' is a float %s; an index is i32: use floor(...) or //", axis,
                 dsl_text(L, idx));
    if (!r->border) bound_input(L, idx, r->src.axis[i].extent);
    r->index[i] = simplified(d->ctx, idx, dsl_number(d->ctx, idx->expr));
    r->mapped[i] = true;
    r->only = idx->only ? fv_and(d->ctx, r->only, idx->only) : r->only;
    r->out.free_form = r->out.free_form && idx->free_form;
    r->out.pure = r->out.pure && idx->pure;
    r->out.partial = r->out.partial || idx->partial;
    r->out.size += idx->size;
}

/* Axes of the result: those that stay, then those of the indices in the source's order, then those of `only`. */
static void collect(lua_State *L, read_args *r) {
    dsl *d = dsl_of(L);
    tensor *x = &r->src, *o = &r->out;
    *o = (tensor){.free_form = x->free_form, .pure = x->pure, .partial = x->partial, .size = x->size,
        .loc = dsl_loc(L)};
    bool has[FV_MAX_AXES];
    for (int i = 0; i < x->n; i++) {
        has[i] = lua_getfield(L, 2, fv_cstr(d->ctx, x->axis[i].name)) != LUA_TNIL;
        lua_pop(L, 1);
        if (has[i]) continue;
        dsl_add_axis(L, o, x->axis[i].name, x->axis[i].extent, x);
        r->index[i] = fv_axis_ref(d->ctx, x->axis[i].name);
    }
    for (int i = 0; i < x->n; i++) {
        if (!has[i]) continue;
        tensor idx;
        lua_getfield(L, 2, fv_cstr(d->ctx, x->axis[i].name));
        one_index(L, r, i, &idx);
        dsl_union(L, o, &idx, NULL);
        lua_pop(L, 1);
    }
    if (lua_getfield(L, 2, "only") != LUA_TNIL) {
        tensor t;
        dsl_operand(L, -1, "only", &t);
        dsl_union(L, o, &t, NULL);
        r->only = fv_and(d->ctx, r->only, dsl_bool(d->ctx, t.expr));
        if (t.only) r->only = fv_and(d->ctx, r->only, t.only);
        o->free_form = o->free_form && t.free_form;
        o->pure = o->pure && t.pure;
        o->size += t.size;
        o->partial = true;
        if (fv_is_true(r->only)) r->only = NULL;
    }
    lua_pop(L, 1);
}

/* The source index after its border; *inside gets what must hold for it to be inside (NULL: always). */
static const fv_expr *bordered(lua_State *L, read_args *r, int i, const fv_expr **inside) {
    fv_ctx *ctx = dsl_of(L)->ctx;
    const fv_expr *e = r->index[i];
    int64_t n = r->src.axis[i].extent;
    fv_facts facts = {0};
    for (int a = 0; a < r->out.n; a++)
        fv_facts_add(ctx, &facts, fv_axis_ref(ctx, r->out.axis[a].name), 0, r->out.axis[a].extent - 1);
    fv_range range = fv_range_of(&facts, e);
    *inside = NULL;
    if (range.lo >= 0 && range.hi < n) return e;
    const fv_expr *zero = fv_int(ctx, 0), *last = fv_int(ctx, n - 1);
    switch (r->border) {
    case FV_BORDER_NONE:
        dsl_fail(L, FV_E_BORDER, "axis '%s' of %s: the index runs over %lld..%lld, outside 0..%lld, and no border is "
                 "given", fv_cstr(ctx, r->src.axis[i].name), dsl_text(L, &r->src), (long long)range.lo,
                 (long long)range.hi, (long long)n - 1);
    case FV_BORDER_CLAMP: return fv_op2(ctx, FV_X_MAX, fv_op2(ctx, FV_X_MIN, e, last), zero);
    case FV_BORDER_WRAP: return fv_op2(ctx, FV_X_MOD, e, fv_int(ctx, n));
    case FV_BORDER_REFLECT:
        return fv_op3(ctx, FV_X_WHERE, fv_op2(ctx, FV_X_LT, e, zero), fv_sub(ctx, zero, e),
                      fv_op3(ctx, FV_X_WHERE, fv_op2(ctx, FV_X_LT, last, e), fv_sub(ctx, fv_int(ctx, 2 * (n - 1)), e),
                             e));
    default:
        *inside = fv_and(ctx, fv_op2(ctx, FV_X_LE, zero, e), fv_op2(ctx, FV_X_LE, e, last));
        return e;
    }
}

/* A coordinate expression is read by substitution. */
static void substitute(lua_State *L, read_args *r) {
    fv_ctx *ctx = dsl_of(L)->ctx;
    fv_binding b[FV_MAX_AXES];
    const fv_expr *inside = NULL, *one;
    int n = 0;
    for (int i = 0; i < r->src.n; i++) {
        if (!r->mapped[i]) continue;
        b[n++] = (fv_binding){fv_axis_ref(ctx, r->src.axis[i].name), bordered(L, r, i, &one)};
        if (one) inside = fv_and(ctx, inside, one);
    }
    r->out.expr = fv_subst(ctx, r->src.expr, b, n);
    const fv_expr *only = r->src.only ? fv_subst(ctx, r->src.only, b, n) : NULL;
    if (inside && r->border == FV_BORDER_NUMBER) {
        bool whole = !fv_type_is_float(r->out.expr->type) && r->number == (double)(int64_t)r->number;
        const fv_expr *fill = whole ? fv_int(ctx, (int64_t)r->number) : fv_float(ctx, r->number);
        r->out.expr = fv_op3(ctx, FV_X_WHERE, inside, r->out.expr, fill);
        if (only) only = fv_op2(ctx, FV_X_OR, fv_op1(ctx, FV_X_NOT, inside), only);
        inside = NULL;
    }
    if (inside) r->out.partial = true;
    if (only) r->only = fv_and(ctx, r->only, only);
    r->out.only = inside ? fv_and(ctx, r->only, inside) : r->only;
}

int dsl_read(lua_State *L) {
    dsl *d = dsl_of(L);
    read_args r = {0};
    if (lua_type(L, 2) != LUA_TTABLE) dsl_fail(L, FV_E_ARGUMENT, "a tensor is read by x{ axis = index, ... }");
    dsl_operand(L, 1, "read", &r.src);
    check_keys(L, &r.src);
    border_of(L, &r);
    collect(L, &r);
    if (r.src.pure && r.src.size <= DSL_MAX_EXPR && r.out.size <= DSL_MAX_EXPR) {
        substitute(L, &r);
        return dsl_push_pointwise(L, &r.out);
    }
    fv_value *src = r.src.value;
    if (!src) src = dsl_is_tensor(L, 1) && !d->scan ? dsl_value_at(L, 1, "read") : dsl_value(L, &r.src);
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < src->obj.rank; i++) index[i] = r.index[dsl_axis_of(&r.src, src->axis[i].name)];
    dsl_push_value(L, fv_graph_read(d->graph, r.out.loc, src, r.out.axis, r.out.n, index, r.border, r.number, r.only),
                   r.out.free_form);
    return 1;
}
