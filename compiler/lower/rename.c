/* The base of a tile axis q is the scalar q0 of the tile text, and an author may have an axis of that name: it is given
 * another in its kernel. Invariant: afterwards no axis of the kernel bears the name of another's base, unless it is a
 * point axis of a kernel whose strategy wrote bases itself (then the verifier refuses the kernel). */
#include "lower/internal.h"

typedef struct {
    lower_kernel *k;
    fv_str was, now;
    bool point;
} change;
typedef struct {
    fv_str name;
    bool point;
} seen;
typedef struct {
    fv_ctx *c;
    seen *axis;
    int n, cap;
    bool bases; /* some structure has expressions of bases */
} survey;

static bool note(fv_stmt *s, void *user) {
    survey *w = user;
    for (int i = 0; i < s->n_axes; i++) {
        seen x = {s->axis[i].name, s->axis[i].tile == 0};
        fv_push(w->c, w->axis, w->n, w->cap, x);
        w->bases |= s->kind == FV_S_FOR || (s->kind == FV_S_AXIS && s->axis[i].base);
    }
    w->bases |= s->kind == FV_S_LET;
    return false;
}
static const seen *base_of(const survey *w, fv_str name) { /* the tile axis whose base is called so */
    for (int i = 0; i < w->n; i++)
        if (!w->axis[i].point && fv_str_eq(fv_base_name(w->c, w->axis[i].name), name)) return &w->axis[i];
    return NULL;
}
static bool taken(const survey *w, fv_str name) {
    for (int i = 0; i < w->n; i++)
        if (fv_str_eq(w->axis[i].name, name)) return true;
    return base_of(w, name) != NULL;
}

static fv_str renamed(const change *x, fv_str name) { return fv_str_eq(name, x->was) ? x->now : name; }
static const fv_expr *new_leaf(fv_ctx *c, const fv_expr *e, void *user) {
    const change *x = user;
    if (e->op == FV_X_AXIS) return fv_str_eq(e->name, x->was) ? fv_axis_ref(c, x->now) : e;
    if (e->op != FV_X_VAR) return e;
    if (x->point) return fv_str_eq(e->name, x->was) ? fv_var(c, x->now, e->type) : e;
    return fv_str_eq(e->name, fv_base_name(c, x->was)) ? fv_var(c, fv_base_name(c, x->now), e->type) : e;
}
static void rewrite(change *x, const fv_expr **e) {
    if (*e) *e = fv_rewrite(x->k->l->ctx, *e, new_leaf, x);
}
static void rewrite_buffer(const change *x, const fv_obj *o) {
    if (!o || o->kind != FV_OBJ_BUFFER) return;
    fv_buffer *b = (fv_buffer *)(uintptr_t)o; /* made by this kernel */
    for (int i = 0; i < o->rank; i++) b->axis[i] = renamed(x, b->axis[i]);
}
static bool rewrite_stmt(fv_stmt *s, void *user) {
    change *x = user;
    for (int i = 0; i < s->n_axes; i++) {
        s->axis[i].name = renamed(x, s->axis[i].name);
        rewrite(x, &s->axis[i].base);
        rewrite(x, &s->axis[i].limit);
    }
    const fv_expr **list[] = {&s->expr, &s->expr2, &s->where, &s->otherwise};
    for (int i = 0; i < 4; i++) rewrite(x, list[i]);
    for (int i = 0; s->kind == FV_S_STORE && i < s->target->rank; i++) rewrite(x, &s->index[i]);
    for (int i = 0; i < s->n_over; i++) s->over[i] = renamed(x, s->over[i]);
    if (s->kind == FV_S_ALLOC) rewrite_buffer(x, &s->buffer->obj);
    if (fv_stmt_is_op(s)) rewrite_buffer(x, s->target);
    if (fv_stmt_is_op(s) && s->target2) rewrite_buffer(x, &s->target2->obj);
    return false;
}
static void rewrite_schedule(const change *x) {
    fv_schedule *s = x->k->schedule;
    for (int i = 0; i < s->n; i++) {
        s->entry[i].subject = renamed(x, s->entry[i].subject);
        for (int j = 0; j < s->entry[i].n; j++) s->entry[i].item[j].name = renamed(x, s->entry[i].item[j].name);
    }
}
void lower_rename_axes(lower_kernel *k, fv_stmt *list) {
    fv_ctx *c = k->l->ctx;
    survey w = {.c = c};
    fv_stmts_visit(list, note, &w);
    for (int i = 0; i < w.n; i++) {
        change x = {.k = k, .was = w.axis[i].name, .now = w.axis[i].name, .point = w.axis[i].point};
        if (!base_of(&w, x.was) || (x.point && w.bases)) continue;
        while (taken(&w, x.now)) x.now = fv_internf(c, "%s'", fv_cstr(c, x.now));
        fv_stmts_visit(list, rewrite_stmt, &x);
        rewrite_schedule(&x);
        w.axis[i].name = x.now;
    }
}
