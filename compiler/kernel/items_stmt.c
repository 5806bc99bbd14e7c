/* items_stmt: statements as the loops of an item over its points. Every statement is a leaf: its own reads and writes
 * need no barrier, because points of a statement do not depend on each other (law ii) and a point has one item. */
#include "kernel/items.h"

#include <math.h>

/* -- Points ------------------------------------------------------------------------------------ */
void it_axes_count(it *f, it_axis *a, const fv_expr **count) {
    const fv_expr *tile = fv_int(f->ctx, a->tile);
    *count = a->limit ? fv_simplify(f->ctx, &f->facts,
                                    fv_op2(f->ctx, FV_X_MIN, tile, fv_sub(f->ctx, a->limit, a->base))) : tile;
}
void it_know(it *f, const it_axis *a) {
    fv_facts_add(f->ctx, &f->facts, a->off, 0, a->tile - 1);
    if (a->limit) fv_facts_assume(f->ctx, &f->facts,
                                  fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, a->off), a->limit));
}
void it_open_axis(it *f, fv_str axis) {
    it_axis *a = it_find_axis(f, axis);
    const fv_expr *count;
    if (!a->base) {
        it_refuse(f, FV_E_KERNEL, "the axis %s is not in scope", fv_cstr(f->ctx, axis));
        return;
    }
    it_axes_count(f, a, &count);
    if (a->tile == 1 && count->op == FV_X_INT) a->off = fv_int(f->ctx, 0);
    else a->off = it_for(f, fv_cstr(f->ctx, axis), fv_int(f->ctx, 0), count);
    it_know(f, a);
}

/* z = slot * group + item over `total` points; opens the loop over slots and the test for the last one. */
static const fv_expr *number(it *f, int64_t total) {
    const fv_expr *z = f->item;
    f->slot = NULL;
    if (f->group == 1) z = fv_int(f->ctx, 0);
    if (total > f->group) {
        f->slot = it_for(f, "slot", fv_int(f->ctx, 0), fv_int(f->ctx, (total + f->group - 1) / f->group));
        fv_facts_add(f->ctx, &f->facts, f->slot, 0, (total - 1) / f->group);
        z = it_let(f, "z", fv_add(f->ctx, fv_muli(f->ctx, f->slot, f->group), z));
    }
    if (total % f->group) {
        const fv_expr *in = fv_op2(f->ctx, FV_X_LT, z, fv_int(f->ctx, total));
        it_if(f, in);
        fv_facts_assume(f->ctx, &f->facts, in);
    }
    return z;
}
static void open_way(it *f, const it_way *w) {
    int64_t total = it_points(f, w->axis, w->n), rest = total;
    const fv_expr *z = number(f, total), *valid = NULL;
    for (int i = 0; i < w->n; i++) {
        it_axis *a = it_find_axis(f, w->axis[i]);
        rest /= a->tile;
        const fv_expr *x = rest > 1 ? fv_op2(f->ctx, FV_X_FLOORDIV, z, fv_int(f->ctx, rest)) : z;
        if (i) x = fv_op2(f->ctx, FV_X_MOD, x, fv_int(f->ctx, a->tile));
        a->off = it_let(f, fv_cstr(f->ctx, a->name), fv_simplify(f->ctx, &f->facts, x));
        if (a->limit) valid = fv_and(f->ctx, valid, fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, a->off), a->limit));
        if (a->off->op == FV_X_VAR) it_know(f, a);
    }
    it_if(f, valid);
}
void it_open_points(it *f, const it_way *way, const fv_str *axes, int n) {
    it_way all = { .n = n };
    bool taken[FV_MAX_AXES] = { false };
    for (int i = 0; i < n; i++) {
        all.axis[i] = axes[i];
        const it_axis *a = it_find_axis(f, axes[i]);
        if (!a || !a->base) {
            it_refuse(f, FV_E_KERNEL, "the axis %s is not in scope", fv_cstr(f->ctx, axes[i]));
            return;
        }
    }
    if (!way) way = &all;
    if (!way->n) {                                          /* one point: the first item's */
        f->slot = NULL;
        if (f->group > 1) it_if(f, fv_op2(f->ctx, FV_X_EQ, f->item, fv_int(f->ctx, 0)));
        return;
    }
    if (way->kind) {
        it_open_fragments(f, way);
        return;
    }
    open_way(f, way);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < way->n; j++) taken[i] |= fv_str_eq(axes[i], way->axis[j]);
    for (int i = 0; i < n; i++)
        if (!taken[i]) it_open_axis(f, axes[i]);
}

/* -- Reductions -------------------------------------------------------------------------------- */
fv_type it_acc_type(const fv_stmt *s) {
    if (s->target->type == FV_F64) return FV_F64;
    return fv_type_is_float(s->target->type) || fv_type_is_float(s->expr->type) ? FV_F32 : FV_I32;
}
const fv_expr *it_neutral(it *f, const fv_stmt *s, fv_type t) {
    bool max = s->write == FV_W_MAX || s->write == FV_W_MAXIN || s->write == FV_W_SCANMAX, min = s->write == FV_W_MIN
        || s->write == FV_W_MININ;
    if (t == FV_I32) return fv_int(f->ctx, max ? INT32_MIN : min ? INT32_MAX : 0);
    return fv_float_of(f->ctx, t, max ? -(double)INFINITY : min ? (double)INFINITY : 0.0);
}
const fv_expr *it_combine(it *f, const fv_stmt *s, const fv_expr *a, const fv_expr *b) {
    switch (s->write) {
    case FV_W_MAX: case FV_W_MAXIN: case FV_W_SCANMAX: return fv_op2(f->ctx, FV_X_MAX, a, b);
    case FV_W_MIN: case FV_W_MININ: return fv_op2(f->ctx, FV_X_MIN, a, b);
    default: return fv_op2(f->ctx, FV_X_ADD, a, b);
    }
}
static bool accumulates(const fv_stmt *s) {
    return s->write == FV_W_ADD || s->write == FV_W_MAXIN || s->write == FV_W_MININ; }

void it_reduce_point(it *f, const fv_stmt *s, fv_memory *acc) {
    if (s->where && !it_where_is_free(s)) it_if(f, it_value(f, s->where));
    const fv_expr *v = it_convert(f, it_value(f, s->expr), acc->obj.type);
    it_set(f, acc, it_combine(f, s, it_get(f, acc), v));
}

/* The first greatest; NaN is least. */
static void argmax_point(it *f, const fv_stmt *s, fv_memory *best, fv_memory *at) {
    if (s->where && !it_where_is_free(s)) it_if(f, it_value(f, s->where));
    const fv_expr *v = it_let(f, "x", it_convert(f, it_value(f, s->expr), best->obj.type)), *old = it_get(f, best),
        *none, *more;
    none = fv_op2(f->ctx, FV_X_LT, it_get(f, at), fv_int(f->ctx, 0));
    more = fv_op2(f->ctx, FV_X_LT, old, v);
    if (fv_type_is_float(v->type)) {
        const fv_expr *nan = fv_and(f->ctx, fv_op1(f->ctx, FV_X_ISNAN, old),
                                    fv_op1(f->ctx, FV_X_NOT, fv_op1(f->ctx, FV_X_ISNAN, v)));
        more = fv_op2(f->ctx, FV_X_OR, more, nan);
    }
    it_if(f, fv_op2(f->ctx, FV_X_OR, none, more));
    const it_axis *a = it_find_axis(f, s->over[s->n_over - 1]);
    it_set(f, best, v);
    it_set(f, at, fv_add(f->ctx, a->base, a->off));
}

static void reduce(it *f, const fv_stmt *s, it_buffer *b) {
    bool argmax = s->write == FV_W_ARGMAX, hoisted = s->where && it_where_is_free(s);
    fv_type t = it_acc_type(s);
    if (argmax) t = fv_type_is_float(s->expr->type) ? FV_F32 : FV_I32;
    if (s->otherwise && !hoisted) {
        it_refuse(f, FV_E_KERNEL, "`else` of a reduction needs a predicate without reduced axes");
        return;
    }
    fv_memory *acc = it_register(f, "acc", t), *at = argmax ? it_register(f, "at", FV_I32) : NULL;
    const fv_expr *start = accumulates(s) ? it_convert(f, it_load_buffer(f, b), t) : it_neutral(f, s, t);
    it_set(f, acc, start);
    if (at) it_set(f, at, fv_int(f->ctx, -1));
    int depth = f->depth;
    const fv_expr *where = hoisted ? it_value(f, s->where) : NULL;
    it_if(f, where);
    for (int i = 0; i < s->n_over; i++) it_open_axis(f, s->over[i]);
    if (argmax) argmax_point(f, s, acc, at);
    else it_reduce_point(f, s, acc);
    it_end(f, depth);
    if (s->otherwise && !fv_is_true(where)) {
        it_if(f, fv_op1(f->ctx, FV_X_NOT, where));
        it_set(f, at ? at : acc, it_convert(f, it_value(f, s->otherwise), at ? FV_I32 : t));
        it_end(f, depth);
    }
    it_store_buffer(f, b, it_get(f, at ? at : acc));
}

/* -- Maps, stores ------------------------------------------------------------------------------ */
static void put(it *f, const fv_stmt *s, it_buffer *b, const fv_expr *e) {
    const fv_expr *v = it_value(f, e);
    if (b) it_store_buffer(f, b, v);
    else it_store_tensor(f, s, v);
}
static void pointwise(it *f, const fv_stmt *s, it_buffer *b) {
    const fv_expr *where = s->where ? it_value(f, s->where) : NULL;
    int depth = f->depth;
    if (where && where->op != FV_X_VAR && s->otherwise) where = it_let(f, "in", where);
    if (!fv_is_false(where)) {
        it_if(f, where);
        put(f, s, b, s->expr);
        it_end(f, depth);
    }
    if (!s->otherwise || fv_is_true(where)) return;
    it_if(f, fv_op1(f->ctx, FV_X_NOT, where));
    put(f, s, b, s->otherwise);
    it_end(f, depth);
}

/* -- Scans, lists ------------------------------------------------------------------------------ */
static void scan(it *f, const fv_stmt *s, it_buffer *b) {
    fv_type t = it_acc_type(s);
    fv_memory *acc = it_register(f, "acc", t);
    it_axis *a = it_find_axis(f, s->over[0]);
    const fv_expr *count, *before = NULL;
    it_set(f, acc, it_neutral(f, s, t));
    it_open_axis(f, s->over[0]);
    if (s->reverse) {
        it_axes_count(f, a, &count);
        a->off = it_let(f, "back", fv_addi(f->ctx, fv_sub(f->ctx, count, a->off), -1));
        if (a->off->op == FV_X_VAR) it_know(f, a);
    }
    if (s->exclusive) before = it_let(f, "before", it_get(f, acc));
    int depth = f->depth;
    it_if(f, s->where ? it_value(f, s->where) : NULL);
    it_set(f, acc, it_combine(f, s, it_get(f, acc), it_convert(f, it_value(f, s->expr), t)));
    it_end(f, depth);
    it_store_buffer(f, b, before ? before : it_get(f, acc));
}

/* x before v in the list? Greater values first, NaN last; equal ones by index. */
static const fv_expr *better(it *f, const fv_expr *x, const fv_expr *xi, const fv_expr *v, const fv_expr *vi) {
    const fv_expr *first = fv_op2(f->ctx, FV_X_LT, xi, vi), *more = fv_op2(f->ctx, FV_X_LT, v, x);
    const fv_expr *ahead = fv_op2(f->ctx, FV_X_OR, more, fv_and(f->ctx, fv_op2(f->ctx, FV_X_EQ, x, v), first));
    if (!fv_type_is_float(x->type)) return ahead;
    const fv_expr *xn = fv_op1(f->ctx, FV_X_ISNAN, x), *vn = fv_op1(f->ctx, FV_X_ISNAN, v);
    /* comparisons with NaN are false */
    return fv_op3(f->ctx, FV_X_WHERE, vn, fv_op2(f->ctx, FV_X_OR, fv_op1(f->ctx, FV_X_NOT, xn), first), ahead);
}
static void topk(it *f, const fv_stmt *s, it_buffer *values) {
    it_buffer *places = it_find_buffer(f, &s->target2->obj);
    const fv_type t = values->b->obj.type == FV_F64 ? FV_F64 : fv_type_is_float(values->b->obj.type) ? FV_F32 : FV_I32;
    for (int i = 0; i < s->n_over; i++) it_open_axis(f, s->over[i]);
    it_if(f, s->where ? it_value(f, s->where) : NULL);
    fv_memory *x = it_register(f, "x", t), *xi = it_register(f, "xi", FV_I32);
    it_set(f, x, it_convert(f, it_value(f, s->expr), t));
    it_set(f, xi, it_convert(f, it_value(f, s->expr2), FV_I32));
    it_open_axis(f, values->b->axis[0]);
    const fv_expr *v = it_let(f, "v", it_load_buffer(f, values)), *vi = it_let(f, "vi", it_load_buffer(f, places));
    it_if(f, better(f, it_get(f, x), it_get(f, xi), v, vi));
    it_store_buffer(f, values, it_get(f, x));
    it_store_buffer(f, places, it_get(f, xi));
    it_set(f, x, v);
    it_set(f, xi, vi);
}

/* -- Statements -------------------------------------------------------------------------------- */
void it_statement(it *f, const fv_stmt *s) {
    fv_str axes[FV_MAX_AXES];
    it_buffer *b = s->kind == FV_S_STORE ? NULL : it_find_buffer(f, s->target);
    int n = it_stmt_axes(s, axes), facts = f->facts.n;
    const it_product *p = it_product_of(f, s);
    int over = it_rows_over(f, s);
    if (p || over >= 0 || it_is_tree(f, s)) {
        if (p) it_mma(f, p);
        else if (over >= 0) it_rows_reduce(f, s, over);
        else it_tree(f, s);
        f->facts.n = facts;
        return;
    }
    it_leaf(f);
    f->way_now = it_any_way_of(f, axes, n);
    it_open_points(f, f->way_now < 0 || f->way_now >= IT_COOPERATIVE ? NULL : &f->way[f->way_now], axes, n);
    if (f->failed) return;
    switch (s->kind) {
    case FV_S_MAP: case FV_S_STORE: pointwise(f, s, b); break;
    case FV_S_SCAN: scan(f, s, b); break;
    case FV_S_TOPK: topk(f, s, b); break;
    default: reduce(f, s, b); break;
    }
    it_end(f, 0);
    f->facts.n = facts;
    f->way_now = -1;
}

/* All elements, also those past the limits: what is allocated has a value. */
void it_alloc(it *f, const fv_stmt *s) {
    it_buffer *b = it_find_buffer(f, &s->buffer->obj);
    int n = s->buffer->obj.rank, facts = f->facts.n;
    const fv_expr *limit[FV_MAX_AXES];
    f->label = (fv_str){ 0 };
    it_leaf(f);
    for (int i = 0; i < n; i++) {
        it_axis *a = it_find_axis(f, s->buffer->axis[i]);
        limit[i] = a->limit;
        a->limit = NULL;
    }
    f->way_now = it_any_way_of(f, s->buffer->axis, n);
    it_open_points(f, f->way_now < 0 || f->way_now >= IT_COOPERATIVE ? NULL : &f->way[f->way_now], s->buffer->axis, n);
    if (!f->failed) it_store_buffer(f, b, it_value(f, s->expr));
    it_end(f, 0);
    for (int i = 0; i < n; i++) it_find_axis(f, s->buffer->axis[i])->limit = limit[i];
    f->facts.n = facts;
    f->way_now = -1;
}
