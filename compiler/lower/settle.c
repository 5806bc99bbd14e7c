/* What simplification changes after a strategy has chosen a statement's kind. An axis of one point is the number 0 in
 * every expression, so a product may stop being a contraction; a set of one key or a monoid over no axis leaves a
 * reduction without axes. Invariant: the meaning of every statement stays. */
#include "lower/internal.h"

#include <math.h>

typedef struct {
    fv_ctx *c;
    const fv_buffer *b;
} own;
static const fv_expr *own_axis(fv_ctx *c, const fv_expr *e, void *user) {
    const own *o = user;
    int64_t zero;
    if (e->op != FV_X_READ || e->ref != &o->b->obj) return e;
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < o->b->obj.rank; i++)
        at[i] = o->b->extent[i] == 1 && fv_is_int(e->arg[i], &zero) ? fv_axis_ref(c, o->b->axis[i]) : e->arg[i];
    return fv_read(c, e->ref, at, o->b->obj.rank, NULL);
}
static const fv_expr *neutral(fv_ctx *c, fv_write w, bool real) {
    if (w == FV_W_MAX) return real ? fv_float(c, -INFINITY) : fv_int(c, INT32_MIN);
    if (w == FV_W_MIN) return real ? fv_float(c, INFINITY) : fv_int(c, INT32_MAX);
    return real ? fv_float(c, 0) : fv_int(c, 0);
}
/* A reduction over no axis: a map. */
static void without_axes(fv_ctx *c, fv_stmt *s) {
    const fv_buffer *b = (const fv_buffer *)s->target;
    const fv_expr *at[FV_MAX_AXES];
    bool real = fv_type_is_float(b->obj.type);
    for (int i = 0; i < b->obj.rank; i++) at[i] = fv_axis_ref(c, b->axis[i]);
    const fv_expr *was = fv_read(c, &b->obj, at, b->obj.rank, NULL), *rest = was;
    switch (s->write) {
    case FV_W_ADD: s->expr = fv_add(c, was, s->expr); break;
    case FV_W_MAXIN: s->expr = fv_op2(c, FV_X_MAX, was, s->expr); break;
    case FV_W_MININ: s->expr = fv_op2(c, FV_X_MIN, was, s->expr); break;
    case FV_W_SUM:
    case FV_W_MAX:
    case FV_W_MIN: rest = neutral(c, s->write, real); break;
    case FV_W_SET: break;
    default: return;
    }
    s->kind = FV_S_MAP;
    s->write = FV_W_SET;
    if (s->where && !s->otherwise) s->otherwise = rest;
}
static bool settle(fv_stmt *s, void *user) {
    lower_kernel *k = user;
    fv_ctx *c = k->l->ctx;
    const fv_expr *culprit;
    if (!fv_stmt_is_op(s) || s->kind == FV_S_STORE || !s->expr) return false;
    if ((s->kind == FV_S_REDUCE || s->kind == FV_S_CONTRACT) && !s->n_over) without_axes(c, s);
    if (s->kind == FV_S_CONTRACT && fv_contract_law(c, s->expr, s->over, s->n_over, &culprit) != FV_CONTRACT_OK)
        s->kind = FV_S_REDUCE;
    if (s->kind == FV_S_MAP) {
        own o = {c, (const fv_buffer *)s->target};
        s->expr = fv_rewrite(c, s->expr, own_axis, &o);
        if (s->otherwise) s->otherwise = fv_rewrite(c, s->otherwise, own_axis, &o);
    }
    return false;
}

/* -- Names: those of axes are the author's, so a buffer or scalar of the same name gives way -- */
typedef struct {
    lower_kernel *k;
    int n_axes, n_given, cap_axes, cap_given;
    fv_str *axis;
    struct given {
        fv_str was, now;
    } *given;
} names;
static bool collect(fv_stmt *s, void *user) {
    names *w = user;
    fv_ctx *c = w->k->l->ctx;
    for (int i = 0; i < s->n_axes; i++) {
        fv_push(c, w->axis, w->n_axes, w->cap_axes, s->axis[i].name);
        fv_push(c, w->axis, w->n_axes, w->cap_axes, fv_base_name(c, s->axis[i].name));
    }
    return false;
}
static bool is_axis(const names *w, fv_str name) {
    for (int i = 0; i < w->n_axes; i++)
        if (fv_str_eq(w->axis[i], name)) return true;
    return false;
}
static fv_str free_name(names *w, fv_str name) {
    fv_ctx *c = w->k->l->ctx;
    fv_str now = name;
    while (is_axis(w, now)) now = fv_internf(c, "%s'", fv_cstr(c, now));
    return now;
}
static void rename_object(names *w, const fv_obj *o) {
    fv_obj *x = (fv_obj *)(uintptr_t)o;
    x->name = free_name(w, x->name);
} /* made by this kernel */
static bool rename_buffers(fv_stmt *s, void *user) {
    names *w = user;
    if (s->kind == FV_S_ALLOC) rename_object(w, &s->buffer->obj);
    if (fv_stmt_is_op(s) && s->target) rename_object(w, s->target);
    if (fv_stmt_is_op(s) && s->target2) rename_object(w, &s->target2->obj);
    if (s->kind == FV_S_LET && is_axis(w, s->name)) {
        struct given g = {s->name, free_name(w, s->name)};
        fv_push(w->k->l->ctx, w->given, w->n_given, w->cap_given, g);
        s->name = g.now;
    }
    return false;
}
static const fv_expr *new_scalar(fv_ctx *c, const fv_expr *e, void *user) {
    const names *w = user;
    for (int i = 0; e->op == FV_X_VAR && e->type == FV_BOOL && i < w->n_given; i++)
        if (fv_str_eq(e->name, w->given[i].was)) return fv_var(c, w->given[i].now, e->type);
    return e;
}
static bool rename_scalars(fv_stmt *s, void *user) {
    names *w = user;
    fv_ctx *c = w->k->l->ctx;
    const fv_expr **list[] = {&s->expr, &s->expr2, &s->where, &s->otherwise};
    for (int i = 0; i < 4; i++)
        if (*list[i]) *list[i] = fv_rewrite(c, *list[i], new_scalar, w);
    return false;
}
void lower_settle(lower_kernel *k, fv_stmt *list) {
    names w = {.k = k};
    fv_stmts_visit(list, settle, k);
    lower_rename_axes(k, list);
    fv_stmts_visit(list, collect, &w);
    for (int i = 0; i < k->n_args; i++) rename_object(&w, &k->k->tensor[i]->obj);
    fv_stmts_visit(list, rename_buffers, &w);
    if (w.n_given) fv_stmts_visit(list, rename_scalars, &w);
}
