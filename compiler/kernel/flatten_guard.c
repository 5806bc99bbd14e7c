/* Conditions of a reduction, placed at the outermost loop where they are scalars: there, an `if` around what is inside;
 * with one unrolled axis in them, a body for all its points and bodies for the runs of those that take part. Invariant:
 * accumulators are open outside of every condition. */
#include "kernel/flatten_nest.h"

/* -- Conditions on the way in ------------------------------------------------------------------------------------ */
static bool has_lane(const fl_nesting *n, const fv_expr *e) {
    fv_str names[FV_MAX_AXES];
    int m = fv_axes_of(e, names, 0, FV_MAX_AXES);
    for (int j = 0; j < m; j++)
        if (n->g->lane && fv_str_eq(names[j], n->g->lane->name)) return true;
    return false;
}
/* The axis of a ready condition that is unrolled (its only one), or NULL; *ready: all its axes are bound, none in the
 * lanes, at most one unrolled. */
static fl_item *blocked_axis(fl_nesting *n, const fv_expr *c, bool *ready) {
    fv_str names[FV_MAX_AXES];
    fl_item *found = NULL;
    int m = fv_axes_of(c, names, 0, FV_MAX_AXES);
    *ready = !has_lane(n, c);
    for (int j = 0; j < m && *ready; j++) {
        fl_item *it = fl_item_of(n, fl_axis_find(n->f, names[j]));
        if (!it || !it->bound) {
            *ready = false;
            break;
        }
        if (it->block == 1) {
            fl_set_point(n->f, it, 0);
            continue;
        }
        if (found && found != it) *ready = false;
        found = it;
    }
    return found;
}
static void drop(fl_member *m, int j) {
    for (; j + 1 < m->n_where; j++) m->where[j] = m->where[j + 1];
    m->n_where--;
}
static void emit_if(fl_nesting *n, const fv_expr *c, fv_flat **out, bool otherwise, int i) {
    fl *f = n->f;
    fv_flats body = {0};
    fv_flat *l = *out;
    if (!l) {
        l = *out = fl_emit(f, FV_L_IF);
        l->expr = c;
    }
    fl_mark m = fl_enter(f, &body, false);
    fl_inner(n, i);
    fl_leave(f, m);
    if (otherwise) l->orelse = body.first;
    else l->body = body.first;
}
enum { MAX_RUNS = 4 };
/* All points of the block take part in one body; else the runs of those that do. */
static void all_or_each(fl_nesting *n, fl_item *it, const fv_expr *c, int i) {
    fl *f = n->f;
    const fv_expr *all = NULL, *one[64];
    for (int64_t j = 0; j < it->block; j++) {
        fl_set_point(f, it, j);
        one[j] = fl_simple(f, fl_index(f, c, false));
        all = fv_and(f->ctx, all, one[j]);
    }
    all = fl_simple(f, all);
    if (fv_is_true(all)) {
        fl_inner(n, i);
        return;
    }
    fv_flat *branch = NULL;
    if (!fv_is_false(all)) emit_if(n, all, &branch, false, i);
    fv_flats rest = {0};
    fl_mark m = {0};
    if (branch) m = fl_enter(f, &rest, false);
    int64_t first = it->first, block = it->block;
    /* Few points: each longest run of those that take part has a body of its own (rows that share the keys of a hull);
     * many: one by one. */
    int64_t longest = block <= MAX_RUNS ? block - 1 : 1;
    for (int64_t run = longest; run >= 1; run--)
        for (int64_t j = 0; j + run <= block; j++) {
            const fv_expr *in = NULL;
            for (int64_t r = j; r < j + run; r++) in = fv_and(f->ctx, in, one[r]);
            if (longest > 1 && j > 0) in = fv_and(f->ctx, in, fv_op1(f->ctx, FV_X_NOT, one[j - 1]));
            if (longest > 1 && j + run < block) in = fv_and(f->ctx, in, fv_op1(f->ctx, FV_X_NOT, one[j + run]));
            in = fl_simple(f, in);
            if (fv_is_false(in)) continue;
            fv_flat *own = NULL;
            it->first = first + j;
            it->block = run;
            if (fv_is_true(in)) fl_inner(n, i);
            else emit_if(n, in, &own, false, i);
        }
    it->first = first;
    it->block = block;
    if (!branch) return;
    fl_leave(f, m);
    branch->orelse = rest.first;
}
/* Takes the conditions that are ready here out of the only reduction's `where`; false: nothing to take. */
bool fl_take_conditions(fl_nesting *n, int i) {
    fl *f = n->f;
    fl_member *m = &n->g->body[0];
    if (n->g->n_body != 1 || !m->reduces || n->stream) return false;
    fl_member old = *m;
    const fv_expr *c = NULL;
    fl_item *axis = NULL;
    bool outside = m->n_where && fl_outside(f, n->g);
    for (int j = 0; j < m->n_where; j++) {
        bool ready;
        fl_item *it = blocked_axis(n, m->where[j], &ready);
        if (!ready || (it && (outside || it->block > 16)) || (axis && it && it != axis)) continue;
        if (it) axis = it;
        c = fv_and(f->ctx, c, m->where[j]);
        drop(m, j--);
    }
    if (!c) {
        *m = old;
        return false;
    }
    if (axis) all_or_each(n, axis, c, i);
    else {
        const fv_expr *v = fl_simple(f, fl_index(f, c, false));
        fv_flat *branch = NULL;
        if (fv_is_true(v)) fl_inner(n, i);
        else if (!fv_is_false(v)) emit_if(n, v, &branch, false, i);
    }
    *m = old;
    return true;
}
