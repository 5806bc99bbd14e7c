/* Terms of a score that parameters and coordinates alone decide (relative bias, zone masks, slopes) become tables over
 * the pair, with the tile's axes innermost, computed when the model is prepared: a load in place of a gather or of a
 * chain of comparisons. A table that would grow past LOWER_PREPARE_ELEMENTS stays an expression. */
#include "lower/attend.h"

#include <string.h>

typedef struct {
    attend *x;
    const attend_set *s;
    const fv_axis *tile;
    int n_tile;
} table_walk;

typedef struct {
    int ops;
    bool indexed;
    bool expensive;
} weigh;
static bool weigh_node(const fv_expr *e, void *user) {
    weigh *w = user;
    switch (e->op) {
    case FV_X_INT:
    case FV_X_FLOAT:
    case FV_X_AXIS:
    case FV_X_VAR: break;
    case FV_X_READ:
        for (int i = 0; i < e->n; i++)
            if (e->arg[i]->op != FV_X_AXIS && e->arg[i]->op != FV_X_INT) w->indexed = true;
        break;
    default: w->ops++; break;
    }
    return false;
}
/* Worth a table: an indexed read along the tile, or several operations per pair. */
static bool worth(const table_walk *w, const fv_expr *e) {
    weigh k = {0, false, false};
    fv_visit(e, weigh_node, &k);
    bool tiled = false, keyed = false;
    for (int j = 0; j < w->n_tile; j++) tiled |= fv_uses_axis(e, w->tile[j].name);
    for (int i = 0; i < w->s->set->n_over; i++) keyed |= fv_uses_axis(e, w->s->set->over[i].name);
    if (!tiled) return w->s->listed && keyed && (k.indexed || k.ops >= 3);
    if (e->op == FV_X_READ && !k.indexed)
        return !lower_unit_stride(w->x->l, fv_value_of(e->ref), w->tile[w->n_tile - 1].name);
    return k.indexed || (keyed && k.ops >= 3);
}
static const fv_expr *table(table_walk *w, const fv_expr *e) {
    lower *l = w->x->l;
    fv_axis axis[FV_MAX_AXES];
    const fv_expr *at[FV_MAX_AXES];
    int n = 0;
    int64_t size = 1;
    for (int i = 0; i < w->x->n_q; i++) { /* points first */
        bool in_tile = false;
        for (int j = 0; j < w->n_tile; j++) in_tile |= fv_str_eq(w->tile[j].name, w->x->q[i].name);
        if (!in_tile && fv_uses_axis(e, w->x->q[i].name)) axis[n++] = w->x->q[i];
    }
    for (int i = 0; i < w->s->set->n_over; i++)
        if (fv_uses_axis(e, w->s->set->over[i].name)) axis[n++] = w->s->set->over[i];
    for (int j = 0; j < w->n_tile; j++)
        if (fv_uses_axis(e, w->tile[j].name)) axis[n++] = w->tile[j];
    for (int i = 0; i < n; i++) {
        size *= axis[i].extent;
        at[i] = fv_axis_ref(l->ctx, axis[i].name);
    }
    if (size > LOWER_PREPARE_ELEMENTS) return e;
    int tensor = lower_prepared(l, w->x->anchor->loc, e, lower_plain_type(e), axis, n);
    fv_value *v = FV_NEW(l->ctx, fv_value); /* stands for the tensor until the kernel is bound */
    v->obj = (fv_obj){
        .kind = FV_OBJ_VALUE, .name = l->plan->tensor[tensor]->name, .type = l->plan->tensor[tensor]->type, .rank = n};
    fv_axis *copy = FV_NEWN(l->ctx, fv_axis, n + 1);
    memcpy(copy, axis, sizeof *axis * (size_t)n);
    v->axis = copy;
    v->node = lower_prepared_node(l);
    v->id = lower_extra_value(l, tensor, n);
    return fv_read(l->ctx, &v->obj, at, n, NULL);
}
/* Top down: the largest terms first. */
static const fv_expr *walk(table_walk *w, const fv_expr *e) {
    fv_ctx *c = w->x->l->ctx;
    if (!e->n) return e;
    bool floats = fv_type_is_float(e->type) || e->op == FV_X_READ;
    if (floats && lower_expr_is_prepare(w->x->l, e)) return worth(w, e) ? table(w, e) : e;
    if (e->op == FV_X_READ) return e;
    const fv_expr *arg[FV_MAX_AXES];
    for (int i = 0; i < e->n; i++) arg[i] = walk(w, e->arg[i]);
    return fv_rebuild(c, e, arg);
}
void lower_attend_tables(attend *x, const fv_axis *tile, int n_tile) {
    for (int i = 0; i < x->n_sets; i++) {
        table_walk w = {x, &x->set[i], tile, n_tile};
        for (int j = 0; j < x->set[i].n_scores; j++)
            if (x->set[i].set->raw) x->set[i].score[j] = walk(&w, x->set[i].score[j]);
    }
}
