/* The nest of a group. Loops in nest order; accumulators are registers, opened just outside the first serial reduced loop and closed after it, where
 * the tail runs on them (output-stationary); if a free loop stands inside a reduced one, the targets are read and written in memory by every
 * innermost pass instead (operand-stationary). Conjuncts of a `where` become conditions at the outermost place where they are scalars.
 * Invariant: a target is written for every valid point of its axes, also where every reduced point is excluded. */
#include "kernel/flatten.h"

#include <math.h>


typedef struct {
    fl *f;
    fl_group *g;
    int n_items;
    fl_item item[FV_MAX_AXES];                          /* in the order of the schedule: the order of points in a block */
    int n_seq, seq[FV_MAX_AXES];                        /* loops: whole free axes first */
    int open_at;                                        /* accumulators are opened before this loop */
    bool stream, rolled;
} nest;

static bool accumulates(const fv_stmt *s) { return s->write == FV_W_ADD || s->write == FV_W_MAXIN || s->write == FV_W_MININ; }
static fv_type acc_type(const fv_stmt *s) {
    if (s->write == FV_W_ARGMAX) return fv_type_is_float(s->expr->type) ? FV_F32 : FV_I32;
    fv_type t = s->target->type;
    return t == FV_F16 || t == FV_BF16 ? FV_F32 : t == FV_BOOL ? FV_I32 : t;
}
static const fv_expr *neutral(fl *f, const fv_stmt *s) {
    bool is_float = fv_type_is_float(acc_type(s));
    switch (s->write) {
    case FV_W_MAX: case FV_W_MAXIN: case FV_W_ARGMAX: return is_float ? fv_float(f->ctx, -INFINITY) : fv_int(f->ctx, INT32_MIN);
    case FV_W_MIN: case FV_W_MININ: return is_float ? fv_float(f->ctx, INFINITY) : fv_int(f->ctx, INT32_MAX);
    default: return is_float ? fv_float(f->ctx, 0) : fv_int(f->ctx, 0);
    }
}
static fv_op combiner(const fv_stmt *s) {
    switch (s->write) {
    case FV_W_MAX: case FV_W_MAXIN: return FV_X_MAX;
    case FV_W_MIN: case FV_W_MININ: return FV_X_MIN;
    default: return FV_X_ADD;
    }
}

/* -- Points of a block ------------------------------------------------------------------------------------------------------- */
static fl_item *item_of(nest *n, const fl_axis *a) {
    for (int j = 0; j < n->n_items; j++) if (n->item[j].ax == a) return &n->item[j];
    return NULL;
}
static void set_point(fl *f, const fl_item *it, int64_t i) {
    int64_t at = (it->first + i) * (it->lane ? f->vl : 1);
    it->ax->off = fv_addi(f->ctx, it->at, at);
    if (it->turn) {
        bool block = it->full == f->vl && it->block == it->full;
        f->turn.axis = block ? it->ax : NULL;
        f->turn.at = it->at;
        f->turn.i = i;
    }
    if (it->lane) f->valid = it->first + i == it->full - 1 ? it->valid : NULL;
}
typedef void point_fn(nest *n, int64_t acc, void *user);
/* Calls fn at every point of the blocks of the free items (and the reduced ones, if all); acc numbers the free points. */
static void each_point(nest *n, bool all, point_fn *fn, void *user) {
    int order[FV_MAX_AXES], m = 0;
    int64_t at[FV_MAX_AXES] = {0};
    for (int j = 0; j < n->n_items; j++) if (!n->item[j].lane && (all || !n->item[j].red)) order[m++] = j;
    for (int j = 0; j < n->n_items; j++) if (n->item[j].lane && (all || !n->item[j].red)) order[m++] = j;
    for (;;) {
        int64_t acc = 0;
        for (int j = 0; j < m; j++) set_point(n->f, &n->item[order[j]], at[order[j]]);
        for (int j = 0; j < n->n_items; j++)
            if (!n->item[j].red) acc = acc * n->item[j].full + n->item[j].first + at[j];
        fn(n, acc, user);
        if (n->f->failed) return;
        int j = m - 1;
        for (; j >= 0; j--) {
            if (++at[order[j]] < n->item[order[j]].block) break;
            at[order[j]] = 0;
        }
        if (j < 0) return;
    }
}
static bool lane_is_reduced(const nest *n) {
    for (int j = 0; j < n->n_items; j++) if (n->item[j].lane) return n->item[j].red;
    return false;
}
/* Outside the reduction there are no reduced axes, and no lanes if they are one of them. */
typedef struct { fl_axis *lane; const fv_expr *valid; } lanes;
static lanes leave_reduction(nest *n) {
    lanes old = {n->f->lane, n->f->valid};
    if (lane_is_reduced(n)) { n->f->lane = NULL; n->f->valid = NULL; }
    return old;
}
static void back(nest *n, lanes old) {
    n->f->lane = old.lane;
    n->f->valid = old.valid;
}

/* -- Accumulators -------------------------------------------------------------------------------------------------------------- */
static int64_t acc_count(const nest *n) {
    int64_t c = 1;
    for (int j = 0; j < n->n_items; j++) if (!n->item[j].red) c *= n->item[j].full;
    return c;
}
static bool from_memory(const nest *n, const fl_member *m) {
    return (n->stream || accumulates(m->s)) && !lane_is_reduced(n);
}
static void open_point(nest *n, int64_t acc, void *user) {
    fl_member *m = user;
    fl *f = n->f;
    const fv_expr *v = neutral(f, m->s);
    if (from_memory(n, m)) {
        lanes old = leave_reduction(n);
        v = fl_load_buffer(f, fl_buffer_find(f, m->s->target));
        if (v->type == FV_BOOL) v = fl_convert(f, v, FV_I32);
        back(n, old);
    }
    fl_set_reg(f, m->acc, acc, v);
    if (m->acc2) fl_set_reg(f, m->acc2, acc, fv_int(f->ctx, -1));
}
static void open_all(nest *n) {
    int lanes_of = n->g->lane ? n->f->vl : 1;
    for (int j = 0; j < n->g->n_body; j++) {
        fl_member *m = &n->g->body[j];
        if (!m->reduces) continue;
        m->acc = fl_registers(n->f, "acc", acc_type(m->s), lanes_of, acc_count(n));
        m->acc2 = m->s->write == FV_W_ARGMAX ? fl_registers(n->f, "pos", FV_I32, lanes_of, acc_count(n)) : NULL;
        each_point(n, false, open_point, m);
    }
}
static const fv_expr *horizontal(fl *f, const fv_stmt *s, const fv_expr *v) {
    fv_op c = combiner(s);
    return fl_let(f, "h", fv_op1(f->ctx, c == FV_X_ADD ? FV_X_HSUM : c == FV_X_MAX ? FV_X_HMAX : FV_X_HMIN, v));
}
/* A statement at the point, without reduction: map or store. */
static const fv_expr *conjunction(fl *f, const fl_member *m) {
    const fv_expr *c = NULL;
    for (int j = 0; j < m->n_where; j++) c = fv_and(f->ctx, c, fl_simple(f, fl_index(f, m->where[j], false)));
    return c ? fl_simple(f, c) : fv_bool(f->ctx, true);
}
static void store_point(fl *f, const fv_stmt *s, const fv_expr *c) {
    fl_guards old = fl_guard_add(f, c);
    bool branch = !fl_by_lane(f, c) && !fv_is_true(c);
    fv_flats body = {0};
    fl_mark m = {0};
    fv_flat *l = NULL;
    if (branch) {
        l = fl_emit(f, FV_L_IF);
        l->expr = c;
        m = fl_enter(f, &body, false);
        f->guard = old.guard;
    }
    fl_store_tensor(f, s, fl_value(f, s->expr));
    if (branch) {
        fl_leave(f, m);
        l->body = body.first;
    }
    fl_guard_restore(f, old);
}
static void plain_point(fl *f, const fl_member *m) {
    const fv_stmt *s = m->s;
    const fv_expr *c = conjunction(f, m);
    if (s->kind == FV_S_STORE && fv_is_false(c)) return;
    if (s->kind == FV_S_STORE) { store_point(f, s, c); return; }
    const fv_expr *v = NULL, *other = NULL;
    if (!fv_is_false(c)) {
        fl_guards old = fl_guard_add(f, c);
        v = fl_value(f, s->expr);
        fl_guard_restore(f, old);
    }
    if (!fv_is_true(c) && s->otherwise) {
        fl_guards old = fl_guard_add(f, fv_op1(f->ctx, FV_X_NOT, c));
        other = fl_value(f, s->otherwise);
        fl_guard_restore(f, old);
    }
    if (!v && !other) return;
    if (v && other) v = fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), v, other);
    fl_store_buffer(f, fl_buffer_find(f, s->target), v ? v : other);
}
static void split_where(fl_member *m, const fv_expr *w) {
    if (!w) return;
    if (w->op == FV_X_AND && m->n_where < FL_MAX_CONJUNCTS - 1) {
        split_where(m, w->arg[0]);
        split_where(m, w->arg[1]);
    } else m->where[m->n_where++] = w;
}
static void tail_point(nest *n) {
    for (int j = 0; j < n->g->n_tail; j++) {
        fl_member m = {.s = n->g->tail[j]};
        split_where(&m, m.s->where);
        n->f->label = m.s->label;
        plain_point(n->f, &m);
    }
}
/* What a reduction's target gets; where its condition (of the free axes) excludes the whole point, `otherwise`. */
static void close_member(nest *n, int64_t acc, fl_member *m) {
    fl *f = n->f;
    fl_buffer *b = fl_buffer_find(f, m->s->target);
    const fv_expr *v = fl_reg(f, m->acc2 ? m->acc2 : m->acc, acc);
    if (lane_is_reduced(n)) {
        v = horizontal(f, m->s, v);
        if (accumulates(m->s)) v = fv_op2(f->ctx, combiner(m->s), fl_load_buffer(f, b), v);
    }
    if (m->s->otherwise) {
        fl_member all = {.s = m->s};
        split_where(&all, m->s->where);
        const fv_expr *c = conjunction(f, &all);
        fl_guards old = fl_guard_add(f, fv_op1(f->ctx, FV_X_NOT, c));
        if (!fv_is_true(c)) v = fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), v, fl_value(f, m->s->otherwise));
        fl_guard_restore(f, old);
    }
    fl_store_buffer(f, b, fl_let(f, "acc", v));
}
static void close_point(nest *n, int64_t acc, void *user) {
    lanes old = leave_reduction(n);
    (void)user;
    for (int j = 0; j < n->g->n_body; j++) {
        if (!n->g->body[j].reduces) continue;
        n->f->label = n->g->body[j].s->label;
        close_member(n, acc, &n->g->body[j]);
    }
    if (!n->rolled && !n->stream) tail_point(n);
    back(n, old);
}

/* -- Tails in loops: where they are long ------------------------------------------------------------------------------------------ */
static bool is_long(const fv_expr *e, void *user) {
    (void)user;
    return (e->op >= FV_X_EXP && e->op <= FV_X_TANH && e->op != FV_X_SQRT) || e->op == FV_X_POW;
}
static bool long_tail(const nest *n) {
    for (int j = 0; j < n->g->n_tail; j++) if (fv_visit(n->g->tail[j]->expr, is_long, NULL)) return true;
    return false;
}
static void roll(nest *n, int at) {
    fl *f = n->f;
    while (at < n->n_items && n->item[at].red) at++;
    if (at == n->n_items) { tail_point(n); return; }
    fl_item *it = &n->item[at];
    if (it->block == 1) {
        set_point(f, it, 0);
        roll(n, at + 1);
        return;
    }
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, fv_cstr(f->ctx, it->ax->name));
    l->lo = fv_int(f->ctx, 0);
    l->hi = fv_int(f->ctx, it->block);
    const fv_expr *v = fv_var(f->ctx, l->name, FV_I32);
    fl_fact(f, v, 0, it->block - 1);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    it->ax->off = fv_add(f->ctx, it->at, fv_muli(f->ctx, v, it->lane ? f->vl : 1));
    if (it->lane && it->valid) {
        const fv_expr *x = fv_add(f->ctx, it->ax->off, f->lane_leaf);
        f->valid = fv_op2(f->ctx, FV_X_LT, x, it->ax->count);
    } else if (it->lane) f->valid = NULL;
    roll(n, at + 1);
    fl_leave(f, m);
    l->body = body.first;
}
static void close_all(nest *n) {
    n->rolled = n->g->n_tail && acc_count(n) > 8 && long_tail(n) && !n->stream;
    each_point(n, false, close_point, NULL);
    if (!n->rolled) return;
    lanes old = leave_reduction(n);
    roll(n, 0);
    back(n, old);
}

/* -- The innermost body --------------------------------------------------------------------------------------------------------------- */
static bool is_product(const fv_expr *e) { return e->op == FV_X_MUL && e->type == FV_F32; }
/* a*b*c as two factors whose product is fused with the sum; what is free of the lanes first. */
static const fv_expr *fused(fl *f, const fv_expr *e, const fv_expr *sum) {
    if (!is_product(e)) return fv_op2(f->ctx, FV_X_ADD, sum, fl_value(f, e));
    const fv_expr *a = fl_value(f, e->arg[0]), *b = fl_value(f, e->arg[1]);
    if (!fv_type_is_float(a->type)) a = fv_op1(f->ctx, FV_X_TOFLOAT, a);
    if (!fv_type_is_float(b->type)) b = fv_op1(f->ctx, FV_X_TOFLOAT, b);
    return fv_op3(f->ctx, FV_X_FMA, a, b, sum);
}
static const fv_expr *wide(fl *f, const fv_expr *v, int lanes_of) {
    return v->lanes == lanes_of ? v : fv_make(f->ctx, FV_X_SPLAT, v->type, lanes_of, 0, NULL, &v, 1);
}
/* The lanes that take part: the condition, and validity if the lanes are reduced. */
static const fv_expr *taking_part(nest *n, const fv_expr *c) {
    fl *f = n->f;
    const fv_expr *m = fv_is_true(c) ? NULL : fl_vector(f, c);
    if (m && m->lanes > 1) m = fl_once(f, "m", m, NULL);
    const fv_expr *valid = lane_is_reduced(n) ? fl_valid(f) : NULL;
    if (valid) m = m ? fv_op2(f->ctx, FV_X_AND, m, valid) : valid;
    return m;
}
static void argmax_point(nest *n, fl_member *m, int64_t acc, const fv_expr *part) {
    fl *f = n->f;
    int w = m->acc->lanes;
    const fv_expr *old = fl_reg(f, m->acc, acc), *at = fl_reg(f, m->acc2, acc);
    const fv_expr *v = fl_let(f, "v", wide(f, fl_convert(f, fl_value(f, m->s->expr), m->acc->obj.type), w));
    fl_axis *r = n->g->axis[n->g->n_free];
    const fv_expr *better = fv_op2(f->ctx, FV_X_LT, old, v);
    if (fv_type_is_float(v->type)) {                    /* NaN is least */
        const fv_expr *nan = fv_op2(f->ctx, FV_X_AND, fv_op1(f->ctx, FV_X_ISNAN, old), fv_op1(f->ctx, FV_X_NOT, fv_op1(f->ctx, FV_X_ISNAN, v)));
        better = fv_op2(f->ctx, FV_X_OR, better, nan);
    }
    better = fv_op2(f->ctx, FV_X_OR, better, fv_op2(f->ctx, FV_X_LT, at, fv_int(f->ctx, 0)));
    if (part) better = fv_op2(f->ctx, FV_X_AND, better, part);
    better = fl_let(f, "better", better);
    fl_set_reg(f, m->acc, acc, fv_op3(f->ctx, FV_X_WHERE, better, v, old));
    const fv_expr *pos = fl_simple(f, fl_index(f, r->leaf, false));
    fl_set_reg(f, m->acc2, acc, fv_op3(f->ctx, FV_X_WHERE, better, pos, at));
}
static void reduce_point(nest *n, fl_member *m, int64_t acc, const fv_expr *c, const fv_expr *guard) {
    fl *f = n->f;
    fl_guards old = fl_guard_add(f, c);
    if (guard) fl_guard_add(f, guard);
    const fv_expr *part = taking_part(n, c);
    if (m->acc2) argmax_point(n, m, acc, part);
    else {
        const fv_expr *sum = fl_reg(f, m->acc, acc), *v;
        if (combiner(m->s) == FV_X_ADD) v = fused(f, m->s->expr, sum);
        else v = fv_op2(f->ctx, combiner(m->s), sum, fl_convert(f, fl_value(f, m->s->expr), m->acc->obj.type));
        v = fl_convert(f, v, m->acc->obj.type);
        if (part) v = fv_op3(f->ctx, FV_X_WHERE, part, v, sum);
        fl_set_reg(f, m->acc, acc, v);
    }
    fl_guard_restore(f, old);
}
/* Points whose remaining condition is one scalar share one `if`. */
typedef struct { const fv_expr *c; fv_flat *branch; fv_flats body; fl_mark mark; } run;
static void end_run(fl *f, run *r) {
    if (!r->branch) return;
    fl_leave(f, r->mark);
    r->branch->body = r->body.first;
    r->branch = NULL;
}
static void start_run(fl *f, run *r, const fv_expr *c) {
    if (r->branch && r->c == c) return;
    end_run(f, r);
    *r = (run){.c = c, .branch = fl_emit(f, FV_L_IF)};
    r->branch->expr = c;
    r->mark = fl_enter(f, &r->body, false);
}
/* Can a scalar condition be left to the loads? Then an excluded point reads 0 as a factor. */
typedef struct { nest *n; bool unproved; } proof;
static bool unproved_read(const fv_expr *e, void *user) {
    proof *p = user;
    if (e->op != FV_X_READ || e->i || e->ref->kind == FV_OBJ_BUFFER) return false;
    fl *f = p->n->f;
    const fv_tensor *t = (const fv_tensor *)e->ref;
    for (int j = 0; j < e->ref->rank; j++) {
        fv_range r = fl_range(f, fl_simple(f, fl_index(f, e->arg[j], false)));
        p->unproved |= r.lo < 0 || r.hi >= t->extent[j];
    }
    return false;
}
static bool loads_guard(nest *n, const fl_member *m) {
    proof p = {n, false};
    if (m->s->kind != FV_S_CONTRACT) return false;
    fv_visit(m->s->expr, unproved_read, &p);
    return p.unproved;
}
static bool is_read(const fv_expr *e, void *user) { (void)user; return e->op == FV_X_READ; }
static bool conditions_read(const fl_member *m) {
    for (int j = 0; j < m->n_where; j++) if (fv_visit(m->where[j], is_read, NULL)) return true;
    return false;
}
static void leaf_point(nest *n, int64_t acc, void *user) {
    run *r = user;
    fl *f = n->f;
    for (int j = 0; j < n->g->n_body; j++) {
        fl_member *m = &n->g->body[j];
        f->label = m->s->label;
        if (!m->reduces) { end_run(f, r); plain_point(f, m); continue; }
        if (r->branch && conditions_read(m)) end_run(f, r);      /* what a condition loads is bound outside of the branch */
        const fv_expr *c = conjunction(f, m);
        if (fv_is_false(c)) continue;
        bool scalar = !fl_by_lane(f, c) && !fv_is_true(c);
        if (scalar && loads_guard(n, m)) {
            end_run(f, r);
            reduce_point(n, m, acc, fv_bool(f->ctx, true), c);
        } else if (scalar) {
            start_run(f, r, c);
            reduce_point(n, m, acc, fv_bool(f->ctx, true), NULL);
        } else {
            end_run(f, r);
            reduce_point(n, m, acc, c, NULL);
        }
    }
}
static void leaf(nest *n) {
    run r = {0};
    if (n->stream) open_all(n);
    each_point(n, true, leaf_point, &r);
    end_run(n->f, &r);
    if (n->stream) close_all(n);
}

/* -- Conditions on the way in -------------------------------------------------------------------------------------------------------------- */
static void inner(nest *n, int i);
static bool has_lane(const nest *n, const fv_expr *e) {
    fv_str names[FV_MAX_AXES];
    int m = fv_axes_of(e, names, 0, FV_MAX_AXES);
    for (int j = 0; j < m; j++) if (n->g->lane && fv_str_eq(names[j], n->g->lane->name)) return true;
    return false;
}
/* The axis of a ready condition that is unrolled (its only one), or NULL; *ready: all its axes are bound, none in the lanes, at most one unrolled. */
static fl_item *blocked_axis(nest *n, const fv_expr *c, bool *ready) {
    fv_str names[FV_MAX_AXES];
    fl_item *found = NULL;
    int m = fv_axes_of(c, names, 0, FV_MAX_AXES);
    *ready = !has_lane(n, c);
    for (int j = 0; j < m && *ready; j++) {
        fl_item *it = item_of(n, fl_axis_find(n->f, names[j]));
        if (!it || !it->bound) { *ready = false; break; }
        if (it->block == 1) { set_point(n->f, it, 0); continue; }
        if (found && found != it) *ready = false;
        found = it;
    }
    return found;
}
static void drop(fl_member *m, int j) {
    for (; j + 1 < m->n_where; j++) m->where[j] = m->where[j + 1];
    m->n_where--;
}
static void emit_if(nest *n, const fv_expr *c, fv_flat **out, bool otherwise, int i) {
    fl *f = n->f;
    fv_flats body = {0};
    fv_flat *l = *out;
    if (!l) {
        l = *out = fl_emit(f, FV_L_IF);
        l->expr = c;
    }
    fl_mark m = fl_enter(f, &body, false);
    inner(n, i);
    fl_leave(f, m);
    if (otherwise) l->orelse = body.first;
    else l->body = body.first;
}
/* All points of the block take part in one body; else each that does, by itself. */
static void all_or_each(nest *n, fl_item *it, const fv_expr *c, int i) {
    fl *f = n->f;
    const fv_expr *all = NULL, *one[64];
    for (int64_t j = 0; j < it->block; j++) {
        set_point(f, it, j);
        one[j] = fl_simple(f, fl_index(f, c, false));
        all = fv_and(f->ctx, all, one[j]);
    }
    all = fl_simple(f, all);
    if (fv_is_true(all)) { inner(n, i); return; }
    fv_flat *branch = NULL;
    if (!fv_is_false(all)) emit_if(n, all, &branch, false, i);
    fv_flats rest = {0};
    fl_mark m = {0};
    if (branch) m = fl_enter(f, &rest, false);
    int64_t first = it->first, block = it->block;
    for (int64_t j = 0; j < block; j++) {
        if (fv_is_false(one[j])) continue;
        fv_flat *own = NULL;
        it->first = first + j;
        it->block = 1;
        if (fv_is_true(one[j])) inner(n, i);
        else emit_if(n, one[j], &own, false, i);
    }
    it->first = first;
    it->block = block;
    if (!branch) return;
    fl_leave(f, m);
    branch->orelse = rest.first;
}
/* Takes the conditions that are ready here out of the only reduction's `where`; false: nothing to take. */
static bool take_conditions(nest *n, int i) {
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
    if (!c) { *m = old; return false; }
    if (axis) all_or_each(n, axis, c, i);
    else {
        const fv_expr *v = fl_simple(f, fl_index(f, c, false));
        fv_flat *branch = NULL;
        if (fv_is_true(v)) inner(n, i);
        else if (!fv_is_false(v)) emit_if(n, v, &branch, false, i);
    }
    *m = old;
    return true;
}

/* -- Loops ---------------------------------------------------------------------------------------------------------------------------------- */
typedef struct { nest *n; int i; bool opened; } step;
static void outer(nest *n, int i);
static void stepped(fl *f, void *user) {
    step *s = user;
    (void)f;
    if (s->opened) inner(s->n, s->i + 1);
    else outer(s->n, s->i + 1);
}
static void inner(nest *n, int i) {
    if (take_conditions(n, i)) return;
    if (i == n->n_seq) { leaf(n); return; }
    step s = {n, i, true};
    fl_loop(n->f, &n->item[n->seq[i]], stepped, &s);
}
static void outer(nest *n, int i) {
    if (i == n->open_at) {
        if (!n->stream) open_all(n);
        inner(n, i);
        if (!n->stream) close_all(n);
        return;
    }
    step s = {n, i, false};
    fl_loop(n->f, &n->item[n->seq[i]], stepped, &s);
}
bool fl_is_stream(const fl_item *item, int n) {
    bool reduced = false;
    for (int j = 0; j < n; j++) {
        bool whole_free = !item[j].red && item[j].step >= item[j].ax->tile;
        if (!fl_is_loop(&item[j]) || whole_free) continue;
        if (item[j].red) reduced = true;
        else if (reduced) return true;
    }
    return false;
}
static void sequence(nest *n) {
    for (int j = 0; j < n->n_items; j++)
        if (!n->item[j].red && n->item[j].step >= n->item[j].ax->tile) n->seq[n->n_seq++] = j;
    for (int j = 0; j < n->n_items; j++)                /* whole constant reduced axes are no loops: bound before the accumulators' reads */
        if (n->item[j].red || n->item[j].step < n->item[j].ax->tile) n->seq[n->n_seq++] = j;
    n->open_at = n->n_seq;
    for (int j = n->n_seq - 1; j >= 0; j--) if (n->item[n->seq[j]].red) n->open_at = j;
}
/* Free loops that stand after the first reduced item only because it is unrolled go before it. */
static void free_before_unrolled(nest *n) {
    int sorted[FV_MAX_AXES], m = 0;
    if (n->stream) return;
    for (int j = 0; j < n->n_seq; j++) if (!n->item[n->seq[j]].red) sorted[m++] = n->seq[j];
    for (int j = 0; j < n->n_seq; j++) if (n->item[n->seq[j]].red) sorted[m++] = n->seq[j];
    for (int j = 0; j < m; j++) n->seq[j] = sorted[j];
    n->open_at = m;
    for (int j = m - 1; j >= 0; j--) if (n->item[sorted[j]].red) n->open_at = j;
}
static void init_target(fl *f, const fv_stmt *s) {
    fv_stmt *map = fv_stmt_new(f->ctx, FV_S_MAP, s->loc);
    fl_group *g = FV_NEW(f->ctx, fl_group);
    map->target = s->target;
    fl_member tmp = {.s = s};
    map->expr = neutral(f, tmp.s);
    fl_join(f, map, g);
    if (!fl_nest(f, g)) f->failed = true;
}
static void separate_tails(fl *f, const fl_group *g) {
    for (int j = 0; j < g->n_tail; j++) {
        fv_stmt *alone = FV_NEW(f->ctx, fv_stmt);
        *alone = *g->tail[j];
        alone->next = NULL;
        fl_group *own = FV_NEW(f->ctx, fl_group);
        fl_join(f, alone, own);
        if (!fl_nest(f, own)) f->failed = true;
    }
}
/* -- Conditions that one scalar decides for the whole nest: two nests ------------------------------------------------------------------------ */
static bool has_axes(const fv_expr *e) {
    fv_str one[1];
    return fv_axes_of(e, one, 0, 1) > 0;
}
/* e = whole or rest, where `whole` holds no axis. */
static void split_or(fl *f, const fv_expr *e, const fv_expr **whole, const fv_expr **rest) {
    if (e->op == FV_X_OR) {
        split_or(f, e->arg[0], whole, rest);
        split_or(f, e->arg[1], whole, rest);
        return;
    }
    const fv_expr **to = has_axes(e) ? rest : whole;
    *to = *to ? fv_op2(f->ctx, FV_X_OR, *to, e) : e;
}
static bool one_nest(fl *f, fl_group *g);
static bool nest_where(fl *f, const fl_group *g, const fl_member *m, int j, const fv_expr *instead) {
    fl_group *own = FV_NEW(f->ctx, fl_group);
    fv_stmt *s = FV_NEW(f->ctx, fv_stmt);
    *own = *g;
    *s = *m->s;
    s->where = NULL;
    for (int i = 0; i < m->n_where; i++) {
        const fv_expr *c = i == j ? instead : m->where[i];
        if (c) s->where = fv_and(f->ctx, s->where, c);
    }
    own->body[0] = (fl_member){.s = s, .reduces = true};
    return fl_nest(f, own);
}
bool fl_nest(fl *f, fl_group *g) {
    fl_member m = {.s = g->body[0].s};
    if (g->n_body != 1 || !g->body[0].reduces) return one_nest(f, g);
    split_where(&m, m.s->where);
    for (int j = 0; j < m.n_where; j++) {
        const fv_expr *whole = NULL, *rest = NULL;
        split_or(f, m.where[j], &whole, &rest);
        if (!whole || !rest) continue;
        f->label = m.s->label;
        const fv_expr *c = fl_value(f, whole);
        if (c->op == FV_X_INT) return nest_where(f, g, &m, j, c->i ? NULL : rest);
        fv_flat *l = fl_emit(f, FV_L_IF);
        l->expr = c;
        for (int side = 0; side < 2 && !f->failed; side++) {
            fv_flats body = {0};
            fl_mark mark = fl_enter(f, &body, false);
            nest_where(f, g, &m, j, side ? rest : NULL);
            fl_leave(f, mark);
            *(side ? &l->orelse : &l->body) = body.first;
        }
        return !f->failed;
    }
    return one_nest(f, g);
}
static bool one_nest(fl *f, fl_group *g) {
    nest *n = FV_NEW(f->ctx, nest);
    n->f = f;
    n->g = g;
    f->label = g->body[0].s->label;
    for (int j = 0; j < g->n_body; j++) split_where(&g->body[j], g->body[j].s->where);
    if (!fl_order(f, g, n->item, &n->n_items)) return false;
    n->stream = fl_is_stream(n->item, n->n_items);
    for (int j = 0; j < n->n_items; j++) if (n->item[j].lane && n->item[j].red) n->stream = false;
    for (int j = 0; j < g->n_body; j++) if (g->body[j].s->write == FV_W_ARGMAX || g->body[j].s->otherwise) n->stream = false;
    for (int j = 0; j < g->n_body && n->stream; j++)
        if (g->body[j].reduces && !accumulates(g->body[j].s)) init_target(f, g->body[j].s);
    const fl_axis *turn = fl_turn_axis(f, g);
    for (int j = 0; j < n->n_items; j++) n->item[j].turn = n->item[j].ax == turn && n->item[j].step == f->vl;
    f->label = g->body[0].s->label;
    sequence(n);
    free_before_unrolled(n);
    if (n->stream) n->open_at = 0;
    f->lane = g->lane;
    f->valid = NULL;
    fl_mark m = {f->list, f->n_memo, f->memo_base};
    f->memo_base = f->n_memo;
    int facts = f->facts.n, holds = f->n_holds;
    outer(n, 0);
    f->facts.n = facts;
    f->n_holds = holds;
    fl_leave(f, m);
    f->lane = NULL;
    f->valid = NULL;
    f->turn.axis = NULL;
    if (n->stream) separate_tails(f, g);
    return !f->failed;
}
