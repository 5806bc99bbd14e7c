/* What simplification changes after a strategy has chosen a statement's kind. An axis of one point is the number 0 in every expression, so a product may stop being a contraction; a set of one key
 * or a monoid over no axis leaves a reduction without axes. Invariant: the meaning of every statement stays. */
#include "lower/internal.h"

#include <math.h>

typedef struct { fv_ctx *c; const fv_buffer *b; } own;
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
    case FV_W_SUM: case FV_W_MAX: case FV_W_MIN: rest = neutral(c, s->write, real); break;
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
    if (s->kind == FV_S_CONTRACT && fv_contract_law(c, s->expr, s->over, s->n_over, &culprit) != FV_CONTRACT_OK) s->kind = FV_S_REDUCE;
    if (s->kind == FV_S_MAP) {
        own o = {c, (const fv_buffer *)s->target};
        s->expr = fv_rewrite(c, s->expr, own_axis, &o);
        if (s->otherwise) s->otherwise = fv_rewrite(c, s->otherwise, own_axis, &o);
    }
    return false;
}
void lower_settle(lower_kernel *k, fv_stmt *list) { fv_stmts_visit(list, settle, k); }
