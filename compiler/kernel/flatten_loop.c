/* One axis as loops over blocks. Full blocks in a serial loop, then one copy for each remainder that can occur; where
 * the valid count is only known at run time, points (vectors) one by one, the last vector masked. Invariant: every
 * valid point is visited exactly once and no other, except lanes of a vector whose `valid` excludes them; offsets of
 * blocks are written as step * counter, so that they divide. */
#include "kernel/flatten.h"

static void bind(fl *f, fl_item *it, const fv_expr *at, int64_t block, const fv_expr *valid, fl_body *fn, void *user) {
    fl_item old = *it;
    const fv_expr *off = it->ax->off;
    it->bound = true;
    it->at = at;
    it->block = it->full = block;
    it->first = 0;
    it->valid = valid;
    int facts = f->facts.n;
    fl_position_fact(f, it->ax, at, it->lane ? 1 : block);
    fn(f, user);
    f->facts.n = facts;
    it->ax->off = off;
    *it = old;
}
/* at = origin + step * counter, counter in lo..hi. */
static void serial(fl *f, fl_item *it, const fv_expr *lo, const fv_expr *hi, int64_t step, int64_t most, int64_t block,
                   const fv_expr *valid, fl_body *fn, void *user) {
    int64_t a, b;
    lo = fl_simple(f, lo);
    hi = fl_simple(f, hi);
    fv_range span = fl_range(f, fv_sub(f->ctx, hi, lo));
    if (span.hi <= 0) return;
    if (fv_is_int(lo, &a) && fv_is_int(hi, &b) && b == a + 1) {
        bind(f, it, fv_int(f->ctx, a * step), block, valid, fn, user);
        return;
    }
    fv_flat *l = fl_emit(f, FV_L_FOR);
    l->name = fl_fresh(f, fv_cstr(f->ctx, it->ax->name));
    l->lo = lo;
    l->hi = hi;
    const fv_expr *v = fv_var(f->ctx, l->name, FV_I32);
    fv_range first = fl_range(f, lo);
    int facts = f->facts.n;
    fl_fact(f, v, first.lo > 0 ? first.lo : 0, most - 1);
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, true);
    bind(f, it, fv_muli(f->ctx, v, step), block, valid, fn, user);
    fl_leave(f, m);
    f->facts.n = facts;
    l->body = body.first;
}
static const fv_expr *quotient(fl *f, const fv_expr *e, int64_t n) {
    const fv_expr *q = fl_simple(f, fv_op2(f->ctx, FV_X_FLOORDIV, e, fv_int(f->ctx, n)));
    if (q->op == FV_X_INT || q->op == FV_X_VAR) return q;
    fv_range r = fl_range(f, q);
    q = fl_let(f, "n", q);
    fl_fact(f, q, r.lo, r.hi);
    return q;
}
/* Lane l of the vector that starts at offset `at` is valid where at + l < count; written with positions, so that its
 * truth can be tried out. */
static const fv_expr *below(fl *f, const fl_axis *a, const fv_expr *at, const fv_expr *count) {
    const fv_expr *x = fv_add(f->ctx, at, f->lane_leaf);
    if (count != a->count || a->whole || !a->limit || count->op == FV_X_INT) return fv_op2(f->ctx, FV_X_LT, x, count);
    const fv_expr *c = fv_op2(f->ctx, FV_X_LT, fv_add(f->ctx, a->base, x), a->limit);
    return a->tile % f->vl ? fv_and(f->ctx, c, fv_op2(f->ctx, FV_X_LT, x, fv_int(f->ctx, a->tile))) : c;
}
/* `when` rest == r, a block at `at`. */
static void remainder_case(fl *f, fl_item *it, const fv_expr *when, const fv_expr *at, int64_t block,
                           const fv_expr *valid, fl_body *fn, void *user) {
    when = fl_simple(f, when);
    if (fv_is_false(when)) return;
    if (fv_is_true(when)) {
        bind(f, it, at, block, valid, fn, user);
        return;
    }
    fv_flat *l = fl_emit(f, FV_L_IF);
    l->expr = when;
    fv_flats body = {0};
    fl_mark m = fl_enter(f, &body, false);
    bind(f, it, at, block, valid, fn, user);
    fl_leave(f, m);
    l->body = body.first;
}

/* -- Axes outside the lanes -------------------------------------------------------------------------------------- */
static void points(fl *f, fl_item *it, fl_body *fn, void *user) {
    fl_axis *a = it->ax;
    int64_t b = it->step < a->tile ? it->step : a->tile, full = a->tile / b;
    if (a->whole) {
        serial(f, it, fv_int(f->ctx, 0), fv_int(f->ctx, full), b, full, b, NULL, fn, user);
        if (a->tile % b) bind(f, it, fv_int(f->ctx, full * b), a->tile % b, NULL, fn, user);
        return;
    }
    const fv_expr *n = quotient(f, a->count, b);
    serial(f, it, fv_int(f->ctx, 0), n, b, full, b, NULL, fn, user);
    if (b == 1) return;
    const fv_expr *at = fv_muli(f->ctx, n, b);
    if (!a->n_known) {
        serial(f, it, at, a->count, 1, a->tile, 1, NULL, fn, user);
        return;
    }
    for (int j = 0; j < a->n_known; j++) {
        int64_t r = a->known[j] % b;
        if (!r || (j && r == a->known[0] % b)) continue;
        remainder_case(f, it, fv_op2(f->ctx, FV_X_EQ, fv_sub(f->ctx, a->count, at), fv_int(f->ctx, r)), at, r, NULL, fn,
                       user);
    }
}

/* -- The lane axis ----------------------------------------------------------------------------------------------- */
static const fv_expr *first_lanes(fl *f, int64_t n) {
    return n % f->vl ? fv_op2(f->ctx, FV_X_LT, f->lane_leaf, fv_int(f->ctx, n % f->vl)) : NULL;
}
static void whole_lanes(fl *f, fl_item *it, int64_t b, fl_body *fn, void *user) {
    int64_t tile = it->ax->tile, vectors = (tile + f->vl - 1) / f->vl, full = tile / f->vl / b;
    if (b >= vectors) {
        bind(f, it, fv_int(f->ctx, 0), vectors, first_lanes(f, tile), fn, user);
        return;
    }
    serial(f, it, fv_int(f->ctx, 0), fv_int(f->ctx, full), b * f->vl, full, b, NULL, fn, user);
    if (vectors > full * b)
        bind(f, it, fv_int(f->ctx, full * b * f->vl), vectors - full * b, first_lanes(f, tile), fn, user);
}
static void lanes(fl *f, fl_item *it, fl_body *fn, void *user) {
    fl_axis *a = it->ax;
    int64_t vectors = fl_vectors(f, a), b = it->step / f->vl;
    if (b < 1) b = 1;
    if (b > vectors) b = vectors;
    if (a->whole) {
        whole_lanes(f, it, b, fn, user);
        return;
    }
    if (vectors == 1) { /* one vector: masked always, rather than two copies; its first lane is valid */
        const fv_expr *zero = fv_int(f->ctx, 0);
        remainder_case(f, it, fv_op2(f->ctx, FV_X_LT, zero, a->count), zero, 1, below(f, a, zero, a->count), fn, user);
        return;
    }
    int64_t step = b * f->vl, full = a->tile / step;
    const fv_expr *n = quotient(f, a->count, step), *at = fv_muli(f->ctx, n, step);
    serial(f, it, fv_int(f->ctx, 0), n, step, full, b, NULL, fn, user);
    if (a->n_known) {
        for (int j = 0; j < a->n_known; j++) {
            int64_t r = a->known[j] % step;
            if (!r || (j && r == a->known[0] % step)) continue;
            remainder_case(f, it, fv_op2(f->ctx, FV_X_EQ, fv_sub(f->ctx, a->count, at), fv_int(f->ctx, r)), at,
                           (r + f->vl - 1) / f->vl, first_lanes(f, r), fn, user);
        }
        return;
    }
    const fv_expr *singles = quotient(f, a->count, f->vl), *last = fv_muli(f->ctx, singles, f->vl);
    if (b > 1) serial(f, it, fv_muli(f->ctx, n, b), singles, f->vl, vectors, 1, NULL, fn, user);
    remainder_case(f, it, fv_op2(f->ctx, FV_X_LT, last, a->count), last, 1, below(f, a, last, a->count), fn, user);
}
void fl_loop(fl *f, fl_item *it, fl_body *fn, void *user) {
    if (it->lane) lanes(f, it, fn, user);
    else points(f, it, fn, user);
}
bool fl_is_loop(const fl_item *it) { return it->step < it->ax->tile || !it->ax->whole; }

/* -- Every point of some axes ------------------------------------------------------------------------------------ */
typedef struct {
    fl_item item[FV_MAX_AXES];
    int n, at;
    fl_body *fn;
    void *user;
} each;
static void next_axis(fl *f, void *user) {
    each *e = user;
    if (e->at > 0) {
        fl_item *it = &e->item[e->at - 1];
        it->ax->off = it->at;
        if (it->lane) f->valid = it->valid;
    }
    if (e->at == e->n) {
        e->fn(f, e->user);
        return;
    }
    e->at++;
    fl_loop(f, &e->item[e->at - 1], next_axis, e);
    e->at--;
}
void fl_each(fl *f, fl_axis *const *axes, int n, fl_axis *lane, fl_body *fn, void *user) {
    each *e = FV_NEW(f->ctx, each);
    e->fn = fn;
    e->user = user;
    bool has_lane = false;
    for (int j = 0; j < n; j++) {
        bool in_lanes = axes[j] == lane;
        has_lane |= in_lanes;
        e->item[e->n++] = (fl_item){.ax = axes[j], .step = in_lanes ? f->vl : 1, .lane = in_lanes};
    }
    fl_axis *old = f->lane;
    const fv_expr *valid = f->valid;
    f->lane = lane;
    if (has_lane || !lane) f->valid = NULL;
    next_axis(f, e);
    f->lane = old;
    f->valid = valid;
}
