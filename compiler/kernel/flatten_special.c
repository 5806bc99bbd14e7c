/* Scans and sorted lists: their points depend on the ones before, so they run in order: loops over the free axes (one
 * of them in the lanes), a serial loop along the scanned or ranked axes, state in registers or in the list itself. */
#include "kernel/flatten.h"

#include <math.h>

typedef struct {
    const fv_stmt *s;
    fl_axis *along;
    fv_memory *acc, *index;
    int n_over;
    fl_axis *over[FV_MAX_AXES];
} job;

static const fv_expr *wide(fl *f, const fv_expr *v, int lanes) {
    return v->lanes == lanes ? v : fv_make(f->ctx, FV_X_SPLAT, v->type, lanes, 0, NULL, &v, 1);
}
static int lanes_of(const fl *f) { return f->lane ? f->vl : 1; }
/* The condition of a point in scalar form; reads below happen only where it holds. */
static const fv_expr *condition(fl *f, const fv_stmt *s) {
    return s->where ? fl_simple(f, fl_index(f, s->where, false)) : fv_bool(f->ctx, true);
}

/* -- Scan -------------------------------------------------------------------------------------------------------- */
static void scan_point(fl *f, job *j) {
    const fv_stmt *s = j->s;
    const fv_expr *c = condition(f, s), *before = fl_let(f, "before", fl_reg(f, j->acc, 0));
    fl_guards old = fl_guard_add(f, c);
    const fv_expr *v = fl_convert(f, fl_value(f, s->expr), j->acc->obj.type);
    fl_guard_restore(f, old);
    const fv_expr *after = fv_op2(f->ctx, s->write == FV_W_SCANMAX ? FV_X_MAX : FV_X_ADD, before, v);
    if (!fv_is_true(c)) after = fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), after, before);
    after = fl_let(f, "after", wide(f, after, j->acc->lanes));
    fl_set_reg(f, j->acc, 0, after);
    fl_store_buffer(f, fl_buffer_find(f, s->target), s->exclusive ? before : after);
}
static void scan_row(fl *f, void *user) {
    job *j = user;
    fv_type t = fv_type_is_float(j->s->target->type) ? FV_F32 : FV_I32;
    const fv_expr *least = t == FV_F32 ? fv_float(f->ctx, -INFINITY) : fv_int(f->ctx, INT32_MIN);
    const fv_expr *zero = t == FV_F32 ? fv_float(f->ctx, 0) : fv_int(f->ctx, 0);
    j->acc = fl_registers(f, "scan", t, lanes_of(f), 1);
    fl_set_reg(f, j->acc, 0, j->s->write == FV_W_SCANMAX ? least : zero);
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, fv_cstr(f->ctx, j->along->name));
    l->lo = fv_int(f->ctx, 0);
    l->hi = j->along->count;
    const fv_expr *v = fv_var(f->ctx, l->name, FV_I32), *off = j->along->off;
    fl_fact(f, v, 0, j->along->tile - 1);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    j->along->off = j->s->reverse ? fv_addi(f->ctx, fv_sub(f->ctx, j->along->count, v), -1) : v;
    scan_point(f, j);
    j->along->off = off;
    fl_leave(f, m);
    l->body = body.first;
}

/* -- Top k ------------------------------------------------------------------------------------------------------- */
/* Is (x, xi) before (v, vi)? Greater values first, NaN last, ties to the lower index. */
static const fv_expr *before(fl *f, const fv_expr *x, const fv_expr *xi, const fv_expr *v, const fv_expr *vi) {
    fv_ctx *c = f->ctx;
    const fv_expr *more = fv_op2(c, FV_X_LT, v, x), *lower = fv_op2(c, FV_X_LT, xi, vi),
                  *tie = fv_op2(c, FV_X_EQ, x, v);
    if (fv_type_is_float(x->type)) {
        const fv_expr *nx = fv_op1(c, FV_X_ISNAN, x), *nv = fv_op1(c, FV_X_ISNAN, v);
        more = fv_op2(c, FV_X_OR, more, fv_op2(c, FV_X_AND, nv, fv_op1(c, FV_X_NOT, nx)));
        tie = fv_op2(c, FV_X_OR, tie, fv_op2(c, FV_X_AND, nv, nx));
    }
    return fv_op2(c, FV_X_OR, more, fv_op2(c, FV_X_AND, tie, lower));
}
/* One place of the list: the better of it and the element in hand stays, the other goes on. */
static void place(fl *f, job *j, const fv_expr *part) {
    fl_buffer *b = fl_buffer_find(f, j->s->target), *bi = fl_buffer_find(f, &j->s->target2->obj);
    int lanes = lanes_of(f);
    const fv_expr *v = wide(f, fl_load_buffer(f, b), lanes), *vi = wide(f, fl_load_buffer(f, bi), lanes);
    const fv_expr *x = fl_let(f, "x", fl_reg(f, j->acc, 0)), *xi = fl_let(f, "xi", fl_reg(f, j->index, 0));
    const fv_expr *better = before(f, x, xi, v, vi);
    if (part) better = fv_op2(f->ctx, FV_X_AND, better, part);
    better = fl_let(f, "better", better);
    fl_set_reg(f, j->acc, 0, fv_op3(f->ctx, FV_X_WHERE, better, v, x));
    fl_set_reg(f, j->index, 0, fv_op3(f->ctx, FV_X_WHERE, better, vi, xi));
    fl_store_buffer(f, b, fv_op3(f->ctx, FV_X_WHERE, better, x, v));
    fl_store_buffer(f, bi, fv_op3(f->ctx, FV_X_WHERE, better, xi, vi));
}
enum { UNROLLED_LIST = 16 };
static void rank_point(fl *f, void *user) {
    job *j = user;
    const fv_expr *c = condition(f, j->s), *part = fv_is_true(c) ? NULL : fl_vector(f, c);
    if (part && part->lanes != lanes_of(f)) part = wide(f, part, lanes_of(f));
    if (part) part = fl_let(f, "part", part);
    fl_guards old = fl_guard_add(f, c);
    fl_set_reg(f, j->acc, 0, fl_convert(f, fl_value(f, j->s->expr), j->acc->obj.type));
    fl_set_reg(f, j->index, 0, fl_convert(f, fl_value(f, j->s->expr2), j->index->obj.type));
    fl_guard_restore(f, old);
    int64_t k = j->along->tile;
    if (k <= UNROLLED_LIST) {
        for (int64_t i = 0; i < k; i++) {
            j->along->off = fv_int(f->ctx, i);
            place(f, j, part);
        }
        j->along->off = NULL;
        return;
    }
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, fv_cstr(f->ctx, j->along->name));
    l->lo = fv_int(f->ctx, 0);
    l->hi = fv_int(f->ctx, k);
    j->along->off = fv_var(f->ctx, l->name, FV_I32);
    fl_fact(f, j->along->off, 0, k - 1);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    place(f, j, part);
    fl_leave(f, m);
    l->body = body.first;
    j->along->off = NULL;
}
static void rank_list(fl *f, void *user) {
    job *j = user;
    fv_type t = fv_type_is_float(j->s->target->type) ? FV_F32 : FV_I32;
    fv_type ti = fv_type_is_float(j->s->target2->obj.type) ? FV_F32 : FV_I32;
    j->acc = fl_registers(f, "hand", t, lanes_of(f), 1);
    j->index = fl_registers(f, "place", ti, lanes_of(f), 1);
    fl_each(f, j->over, j->n_over, f->lane, rank_point, j);
}

bool fl_special(fl *f, const fv_stmt *s) {
    const fv_buffer *b = (const fv_buffer *)s->target;
    job j = {.s = s};
    fl_axis *rest[FV_MAX_AXES], *lane = fl_stmt_lane(f, s);
    int n = 0;
    j.along = fl_axis_find(f, s->kind == FV_S_SCAN ? s->over[0] : b->axis[0]);
    for (int x = 0; x < b->obj.rank; x++) {
        fl_axis *a = fl_axis_find(f, b->axis[x]);
        if (a != j.along) rest[n++] = a;
    }
    for (int x = 0; x < s->n_over && s->kind == FV_S_TOPK; x++) j.over[j.n_over++] = fl_axis_find(f, s->over[x]);
    job *own = FV_NEW(f->ctx, job);
    *own = j;
    int mark = f->memo_base;
    f->memo_base = f->n_memo;
    fl_each(f, rest, n, lane, s->kind == FV_S_SCAN ? scan_row : rank_list, own);
    f->memo_base = mark;
    return !f->failed;
}
