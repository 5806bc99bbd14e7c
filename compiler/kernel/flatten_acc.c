/* Accumulators of a nest: registers, one for each free point of a block (a vector of partial sums where the lanes are
 * reduced). They are opened with the neutral element or the target's value, closed into the target, and the tail runs
 * on their values. Invariant: a target is written for every valid point of its axes, also where every reduced point is
 * excluded. */
#include "kernel/flatten_nest.h"

#include <math.h>

bool fl_accumulates(const fv_stmt *s) {
    return s->write == FV_W_ADD || s->write == FV_W_MAXIN || s->write == FV_W_MININ;
}
static fv_type acc_type(const fv_stmt *s) {
    if (s->write == FV_W_ARGMAX) return fv_type_is_float(s->expr->type) ? FV_F32 : FV_I32;
    fv_type t = s->target->type;
    return t == FV_F16 || t == FV_BF16 ? FV_F32 : t == FV_BOOL ? FV_I32 : t;
}
const fv_expr *fl_neutral(fl *f, const fv_stmt *s) {
    bool is_float = fv_type_is_float(acc_type(s));
    switch (s->write) {
    case FV_W_MAX:
    case FV_W_MAXIN:
    case FV_W_ARGMAX: return is_float ? fv_float(f->ctx, -INFINITY) : fv_int(f->ctx, INT32_MIN);
    case FV_W_MIN:
    case FV_W_MININ: return is_float ? fv_float(f->ctx, INFINITY) : fv_int(f->ctx, INT32_MAX);
    default: return is_float ? fv_float(f->ctx, 0) : fv_int(f->ctx, 0);
    }
}
fv_op fl_combiner(const fv_stmt *s) {
    switch (s->write) {
    case FV_W_MAX:
    case FV_W_MAXIN: return FV_X_MAX;
    case FV_W_MIN:
    case FV_W_MININ: return FV_X_MIN;
    default: return FV_X_ADD;
    }
}
/* -- Points of a block ------------------------------------------------------------------------------------------- */
fl_item *fl_item_of(fl_nesting *n, const fl_axis *a) {
    for (int j = 0; j < n->n_items; j++)
        if (n->item[j].ax == a) return &n->item[j];
    return NULL;
}
void fl_set_point(fl *f, const fl_item *it, int64_t i) {
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
void fl_each_point(fl_nesting *n, bool all, fl_point_fn *fn, void *user) {
    int order[FV_MAX_AXES], m = 0;
    int64_t at[FV_MAX_AXES] = {0};
    for (int j = 0; j < n->n_items; j++)
        if (!n->item[j].lane && (all || !n->item[j].red)) order[m++] = j;
    for (int j = 0; j < n->n_items; j++)
        if (n->item[j].lane && (all || !n->item[j].red)) order[m++] = j;
    for (;;) {
        int64_t acc = 0;
        for (int j = 0; j < m; j++) fl_set_point(n->f, &n->item[order[j]], at[order[j]]);
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
bool fl_lane_is_reduced(const fl_nesting *n) {
    for (int j = 0; j < n->n_items; j++)
        if (n->item[j].lane) return n->item[j].red;
    return false;
}
/* Outside the reduction there are no reduced axes, and no lanes if they are one of them. */
typedef struct {
    fl_axis *lane;
    const fv_expr *valid;
} lanes;
static lanes leave_reduction(fl_nesting *n) {
    lanes old = {n->f->lane, n->f->valid};
    if (fl_lane_is_reduced(n)) {
        n->f->lane = NULL;
        n->f->valid = NULL;
    }
    return old;
}
static void back(fl_nesting *n, lanes old) {
    n->f->lane = old.lane;
    n->f->valid = old.valid;
}
/* -- Accumulators ------------------------------------------------------------------------------------------------ */
static int64_t acc_count(const fl_nesting *n) {
    int64_t c = 1;
    for (int j = 0; j < n->n_items; j++)
        if (!n->item[j].red) c *= n->item[j].full;
    return c;
}
static bool from_memory(const fl_nesting *n, const fl_member *m) {
    return (n->stream || fl_accumulates(m->s)) && !fl_lane_is_reduced(n);
}
static void open_point(fl_nesting *n, int64_t acc, void *user) {
    fl_member *m = user;
    fl *f = n->f;
    const fv_expr *v = fl_neutral(f, m->s);
    if (from_memory(n, m)) {
        lanes old = leave_reduction(n);
        v = fl_load_buffer(f, fl_buffer_find(f, m->s->target));
        if (v->type == FV_BOOL) v = fl_convert(f, v, FV_I32);
        back(n, old);
    }
    fl_set_reg(f, m->acc, acc, v);
    if (m->acc2) fl_set_reg(f, m->acc2, acc, fv_int(f->ctx, -1));
}
void fl_open_all(fl_nesting *n) {
    int lanes_of = n->g->lane ? n->f->vl : 1;
    for (int j = 0; j < n->g->n_body; j++) {
        fl_member *m = &n->g->body[j];
        if (!m->reduces) continue;
        m->acc = fl_registers(n->f, "acc", acc_type(m->s), lanes_of, acc_count(n));
        m->acc2 = m->s->write == FV_W_ARGMAX ? fl_registers(n->f, "pos", FV_I32, lanes_of, acc_count(n)) : NULL;
        fl_each_point(n, false, open_point, m);
    }
}
static const fv_expr *horizontal(fl *f, const fv_stmt *s, const fv_expr *v) {
    fv_op c = fl_combiner(s);
    return fl_let(f, "h", fv_op1(f->ctx, c == FV_X_ADD ? FV_X_HSUM : c == FV_X_MAX ? FV_X_HMAX : FV_X_HMIN, v));
}
/* A statement at the point, without reduction: map or store. */
const fv_expr *fl_conjunction(fl *f, const fl_member *m) {
    const fv_expr *c = NULL;
    for (int j = 0; j < m->n_where; j++) c = fv_and(f->ctx, c, fl_simple(f, fl_index(f, m->where[j], false)));
    return c ? fl_simple(f, c) : fv_bool(f->ctx, true);
}
/* The value where c holds. */
static void store_point(fl *f, const fv_stmt *s, const fv_expr *value, const fv_expr *c) {
    if (fv_is_false(c)) return;
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
    fl_store_tensor(f, s, fl_value(f, value));
    if (branch) {
        fl_leave(f, m);
        l->body = body.first;
    }
    fl_guard_restore(f, old);
}
static bool is_long(const fv_expr *e, void *user) {
    (void)user;
    return (e->op >= FV_X_EXP && e->op <= FV_X_TANH && e->op != FV_X_SQRT) || e->op == FV_X_POW;
}
/* A long map whose condition is partly a scalar: nothing is computed where that fails. */
static bool branch_point(fl *f, const fl_member *m) {
    fl_member rest = {.s = m->s};
    const fv_expr *c = NULL;
    if (m->s->kind != FV_S_MAP || !m->s->otherwise || !fv_visit(m->s->expr, is_long, NULL)) return false;
    for (int j = 0; j < m->n_where; j++) {
        const fv_expr *w = fl_simple(f, fl_index(f, m->where[j], false));
        if (fl_by_lane(f, w)) rest.where[rest.n_where++] = m->where[j];
        else c = fv_and(f->ctx, c, w);
    }
    if (c) c = fl_simple(f, c);
    if (!c || c->op == FV_X_INT) return false;
    fv_flat *l = fl_emit(f, FV_L_IF);
    l->expr = c;
    for (int side = 0; side < 2; side++) {
        fv_flats body = {0};
        fl_mark mark = fl_enter(f, &body, false);
        if (!side) fl_plain_point(f, &rest);
        else fl_store_buffer(f, fl_buffer_find(f, m->s->target), fl_value(f, m->s->otherwise));
        fl_leave(f, mark);
        *(side ? &l->orelse : &l->body) = body.first;
    }
    return true;
}
/* What a map gives at the point; NULL: nothing. */
static const fv_expr *map_value(fl *f, const fv_stmt *s, const fv_expr *c) {
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
    if (v && other) v = fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), v, other);
    return v ? v : other;
}
/* Both points of a pair at once, when the first of them comes; false: the target holds no pairs of the lanes. */
static bool pair_point(fl *f, const fl_member *m) {
    fl_buffer *b = fl_buffer_find(f, m->s->target);
    if (!fl_holds_pairs(b->b) || !f->lane || f->vl > 32 || !fv_str_eq(b->b->axis[b->lane], f->lane->name)) return false;
    fl_axis *pair = fl_axis_find(f, b->b->axis[b->b->obj.rank - 1]);
    int64_t at;
    if (!fv_is_int(pair->off, &at)) return false;
    if (at == 1) return true;
    const fv_expr *v[2];
    for (int j = 0; j < 2; j++) {
        pair->off = fv_int(f->ctx, j);
        v[j] = map_value(f, m->s, fl_conjunction(f, m));
        if (!v[j]) v[j] = fv_float(f->ctx, 0);
        else if (v[j]->lanes > 1) v[j] = fl_let(f, "v", v[j]);
    }
    pair->off = fv_int(f->ctx, 0);
    fl_store_pairs(f, b, v);
    return true;
}
void fl_plain_point(fl *f, const fl_member *m) {
    const fv_stmt *s = m->s;
    if ((s->kind == FV_S_MAP && pair_point(f, m)) || branch_point(f, m)) return;
    const fv_expr *c = fl_conjunction(f, m);
    if (s->kind == FV_S_STORE) {
        store_point(f, s, s->expr, c);
        if (s->otherwise) store_point(f, s, s->otherwise, fv_op1(f->ctx, FV_X_NOT, c));
        return;
    }
    const fv_expr *v = map_value(f, s, c);
    if (v) fl_store_buffer(f, fl_buffer_find(f, s->target), v);
}
void fl_split_where(fl_member *m, const fv_expr *w) {
    if (!w) return;
    if (w->op == FV_X_AND && m->n_where < FL_MAX_CONJUNCTS - 1) {
        fl_split_where(m, w->arg[0]);
        fl_split_where(m, w->arg[1]);
    } else m->where[m->n_where++] = w;
}
static void tail_point(fl_nesting *n) {
    for (int j = 0; j < n->g->n_tail; j++) {
        fl_member m = {.s = n->g->tail[j]};
        fl_split_where(&m, m.s->where);
        n->f->label = m.s->label;
        fl_plain_point(n->f, &m);
    }
}
/* What a reduction's target gets; where its condition (of the free axes) excludes the whole point, `otherwise`. */
static void close_member(fl_nesting *n, int64_t acc, fl_member *m) {
    fl *f = n->f;
    fl_buffer *b = fl_buffer_find(f, m->s->target);
    const fv_expr *v = fl_reg(f, m->acc2 ? m->acc2 : m->acc, acc);
    if (fl_lane_is_reduced(n)) {
        v = horizontal(f, m->s, v);
        if (fl_accumulates(m->s)) v = fv_op2(f->ctx, fl_combiner(m->s), fl_load_buffer(f, b), v);
    }
    if (m->s->otherwise) {
        fl_member all = {.s = m->s};
        fl_split_where(&all, m->s->where);
        const fv_expr *c = fl_conjunction(f, &all);
        fl_guards old = fl_guard_add(f, fv_op1(f->ctx, FV_X_NOT, c));
        if (!fv_is_true(c)) v = fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), v, fl_value(f, m->s->otherwise));
        fl_guard_restore(f, old);
    }
    fl_store_buffer(f, b, fl_let(f, "acc", v));
}
static void close_point(fl_nesting *n, int64_t acc, void *user) {
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
/* -- Tails in loops: where they are long ------------------------------------------------------------------------- */
static bool long_tail(const fl_nesting *n) {
    for (int j = 0; j < n->g->n_tail; j++)
        if (fv_visit(n->g->tail[j]->expr, is_long, NULL)) return true;
    return false;
}
/* Do the tails choose among numbers by the axis (the coordinates of a listed tap)? Points with the numbers in them are
 * then shorter than a loop that chooses. */
static bool chooses(const fv_expr *e, void *leaf) {
    return e->op == FV_X_WHERE && e->type == FV_I32 && fv_uses(e->arg[0], leaf);
}
static bool tails_choose(const fl_nesting *n, const fl_axis *a) {
    void *leaf = (void *)fv_axis_ref(n->f->ctx, a->name);
    for (int j = 0; j < n->g->n_tail; j++) {
        const fv_stmt *s = n->g->tail[j];
        if (fv_visit(s->expr, chooses, leaf) || (s->where && fv_visit(s->where, chooses, leaf))) return true;
    }
    return false;
}
static void roll(fl_nesting *n, int at) {
    fl *f = n->f;
    while (at < n->n_items && n->item[at].red) at++;
    if (at == n->n_items) {
        tail_point(n);
        return;
    }
    fl_item *it = &n->item[at];
    if (it->block == 1 || (it->block <= 16 && !it->lane && tails_choose(n, it->ax))) {
        for (int64_t i = 0; i < it->block; i++) {
            fl_set_point(f, it, i);
            roll(n, at + 1);
        }
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
void fl_close_all(fl_nesting *n) {
    n->rolled = n->g->n_tail && acc_count(n) > 8 && long_tail(n) && !n->stream;
    fl_each_point(n, false, close_point, NULL);
    if (!n->rolled) return;
    lanes old = leave_reduction(n);
    roll(n, 0);
    back(n, old);
}
