/* items_tree: what all items of a group compute together: sums and extrema over reduced axes, and the conditions `any`
 * and `all`. Partial results go through local memory in a tree whose shape depends on the group size only, so the
 * result does too. Invariant: an item writes what no other item touches before the next leaf; barriers between the
 * leaves are items_barrier.c's. */
#include "kernel/items.h"

/* -- Reductions -------------------------------------------------------------------------------- */
static void store_at(it *f, fv_memory *m, int object, const fv_expr *offset, const fv_expr *v) {
    fv_flat *s = it_emit(f, FV_L_STORE);
    s->memory = m;
    s->offset = offset;
    s->expr = v;
    it_touch(f, object, true, IT_SHARED);
}
static const fv_expr *load_at(it *f, const fv_memory *m, int object, const fv_expr *offset) {
    it_touch(f, object, false, IT_SHARED);
    return fv_make(f->ctx, FV_X_LOAD, m->obj.type, 1, 0, &m->obj, &offset, 1);
}

static void partial(it *f, const fv_stmt *s, fv_memory *m, int object) {
    it_leaf(f);
    fv_memory *acc = it_register(f, "acc", m->obj.type);
    it_set(f, acc, it_neutral(f, s, m->obj.type));
    if (s->where && it_where_is_free(s)) it_if(f, it_value(f, s->where));
    it_open_points(f, NULL, s->over, s->n_over);
    if (f->failed) return;
    it_reduce_point(f, s, acc);
    it_end(f, 0);
    store_at(f, m, object, f->item, it_get(f, acc));
}
static void halve(it *f, const fv_stmt *s, fv_memory *m, int object) {
    for (int64_t n = f->group; n > 1; n = (n + 1) / 2) {
        it_leaf(f);
        it_if(f, fv_op2(f->ctx, FV_X_LT, f->item, fv_int(f->ctx, n / 2)));
        const fv_expr *other = load_at(f, m, object, fv_addi(f->ctx, f->item, (n + 1) / 2));
        store_at(f, m, object, f->item, it_combine(f, s, load_at(f, m, object, f->item), other));
        it_end(f, 0);
    }
}
static void one_point(it *f, const fv_stmt *s) {
    int which = it_acc_type(s) == FV_I32;
    fv_memory *m = it_scratch(f, which);
    int object = f->scratch_object[which];
    it_buffer *b = it_find_buffer(f, s->target);
    bool adds = s->write == FV_W_ADD || s->write == FV_W_MAXIN || s->write == FV_W_MININ;
    partial(f, s, m, object);
    if (f->failed) return;
    halve(f, s, m, object);
    it_leaf(f);
    f->slot = NULL;
    if (f->group > 1) it_if(f, fv_op2(f->ctx, FV_X_EQ, f->item, fv_int(f->ctx, 0)));
    const fv_expr *v = load_at(f, m, object, fv_int(f->ctx, 0));
    if (adds) v = it_combine(f, s, it_convert(f, it_load_buffer(f, b), m->obj.type), v);
    it_store_buffer(f, b, v);
    it_end(f, 0);
}
/* Free axes are loops that all items walk together. */
static void free_axes(it *f, const fv_stmt *s, const fv_str *axes, int n) {
    if (!n || f->failed) {
        if (!f->failed) one_point(f, s);
        return;
    }
    it_axis *a = it_find_axis(f, axes[0]);
    const fv_expr *count;
    it_units body, *outer;
    it_leaf(f);
    it_axes_count(f, a, &count);
    fv_flat *loop = fv_flat_new(f->ctx, FV_L_FOR);
    loop->name = it_fresh(f, fv_cstr(f->ctx, axes[0]));
    loop->lo = fv_int(f->ctx, 0);
    loop->hi = it_let(f, "count", count);
    a->off = fv_var(f->ctx, loop->name, FV_I32);
    fv_facts_add(f->ctx, &f->facts, a->off, 0, a->tile - 1);
    if (a->limit) fv_facts_assume(f->ctx, &f->facts,
                                  fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, a->off), a->limit));
    it_units_in(f, loop, &body, &outer);
    free_axes(f, s, axes + 1, n - 1);
    f->units = outer;
    f->units->last->body = body.first;
}
void it_tree(it *f, const fv_stmt *s) {
    fv_str axes[FV_MAX_AXES];
    int n = it_stmt_axes(s, axes);
    if (it_acc_type(s) == FV_F64) {
        it_refuse(f, FV_E_SCHEDULE,
                  "a reduction over the items of a group is not made in f64: name an axis of its target in `item`");
        return;
    }
    f->way_now = -1;
    free_axes(f, s, axes, n);
}

/* -- Conditions -------------------------------------------------------------------------------- */
/* How many items found a point: sixteen counts a step, until at most sixteen are left, which every item adds up. */
static const fv_expr *total(it *f, fv_memory *m, int object, int64_t n) {
    int64_t at = 0;
    for (int64_t next = f->group; n > 16; at = next, n = (n + 15) / 16, next = 0) {
        it_leaf(f);
        it_if(f, fv_op2(f->ctx, FV_X_LT, f->item, fv_int(f->ctx, (n + 15) / 16)));
        int depth = f->depth;
        fv_memory *sum = it_register(f, "sum", FV_I32);
        it_set(f, sum, fv_int(f->ctx, 0));
        const fv_expr *lo = it_let(f, "first", fv_muli(f->ctx, f->item, 16)),
            *hi = fv_op2(f->ctx, FV_X_MIN, fv_addi(f->ctx, lo, 16), fv_int(f->ctx, n));
        const fv_expr *i = it_for(f, "i", lo, hi);
        it_set(f, sum, fv_add(f->ctx, it_get(f, sum), load_at(f, m, object, fv_addi(f->ctx, i, at))));
        it_end(f, depth);
        store_at(f, m, object, fv_addi(f->ctx, f->item, next), it_get(f, sum));
        it_end(f, 0);
    }
    it_leaf(f);
    const fv_expr *sum = fv_int(f->ctx, 0);
    for (int64_t i = 0; i < n; i++) sum = fv_add(f->ctx, sum, load_at(f, m, object, fv_int(f->ctx, at + i)));
    return sum;
}
static const fv_expr *any(it *f, const fv_expr *e) {
    fv_str axes[FV_MAX_AXES];
    int n = fv_axes_of(e, axes, 0, FV_MAX_AXES), facts = f->facts.n;
    bool all = e->op == FV_X_ALL;
    f->way_now = it_way_of(f, axes, n);
    it_leaf(f);
    fv_memory *found = it_register(f, "found", FV_I32);
    it_set(f, found, fv_int(f->ctx, 0));
    it_open_points(f, f->way_now < 0 ? NULL : &f->way[f->way_now], axes, n);
    if (f->failed) return fv_bool(f->ctx, false);
    const fv_expr *p = it_value(f, e->arg[0]);
    it_if(f, all ? fv_op1(f->ctx, FV_X_NOT, p) : p);
    it_set(f, found, fv_int(f->ctx, 1));
    it_end(f, 0);
    f->facts.n = facts;
    f->way_now = -1;
    const fv_expr *sum = it_get(f, found);
    if (f->group > 1) {
        fv_memory *m = it_scratch(f, 2);
        store_at(f, m, f->scratch_object[2], f->item, sum);
        sum = total(f, m, f->scratch_object[2], f->group);
    }
    sum = it_let(f, all ? "not.all" : "any", sum);
    return all ? fv_op2(f->ctx, FV_X_EQ, sum, fv_int(f->ctx, 0)) : fv_op2(f->ctx, FV_X_NE, sum, fv_int(f->ctx, 0));
}

static const fv_expr *replace(it *f, const fv_expr *e, bool *made) {
    const fv_expr *arg[FV_MAX_AXES + 1];
    if (e->op == FV_X_ANY || e->op == FV_X_ALL) {
        *made = true;
        const fv_expr *v = any(f, e), *leaf = fv_var(f->ctx, it_fresh(f, "condition"), FV_BOOL);
        fv_binding b = { leaf, v };
        fv_push(f->ctx, f->bind, f->n_bind, f->cap_bind, b);
        return leaf;
    }
    for (int i = 0; i < e->n; i++) arg[i] = replace(f, e->arg[i], made);
    return fv_rebuild(f->ctx, e, arg);
}
const fv_expr *it_condition(it *f, const fv_expr *e) {
    bool made = false;
    f->way_now = -1;
    f->slot = NULL;
    e = replace(f, e, &made);
    if (made) it_leaf(f);
    if (f->failed) return fv_int(f->ctx, 0);
    return it_value(f, e);
}
