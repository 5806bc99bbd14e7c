/* Key sets with holes, and how many pairs there are. Where `only` leaves out part of the taps whatever the query is (a
 * cross, a ring, a checkerboard), the taps that exist become one axis of their own; coordinates on the old axes are
 * read off a selection by that axis, which folds to numbers where the axis is unrolled. */
#include "lower/attend.h"

#include <string.h>

enum { MOST_TAPS = 4096, MOST_EVALUATIONS = 1 << 16 };

typedef struct {
    const fv_expr *leaf[2 * FV_MAX_AXES];
    double value[2 * FV_MAX_AXES];
    int n;
    bool unknown;
} point;
static double leaf_value(const fv_expr *e, void *user) {
    point *p = user;
    for (int i = 0; i < p->n; i++)
        if (p->leaf[i] == e) return p->value[i];
    p->unknown = true;
    return 1;
}
/* Splits a conjunction into what mentions over axes alone (taps) and the rest. */
typedef struct {
    const attend *x;
    const attend_set *s;
    bool other;
} names;
static bool reads_other(const fv_expr *e, void *user) {
    names *w = user;
    if (e->op == FV_X_READ || e->op == FV_X_VAR) w->other = true;
    if (e->op == FV_X_AXIS) {
        bool over = false;
        for (int i = 0; i < w->s->set->n_over; i++) over |= fv_str_eq(w->s->set->over[i].name, e->name);
        w->other |= !over;
    }
    return w->other;
}
static void split(const attend *x, const attend_set *s, const fv_expr *e, const fv_expr **taps, const fv_expr **rest) {
    fv_ctx *c = x->l->ctx;
    if (e->op == FV_X_AND) {
        split(x, s, e->arg[0], taps, rest);
        split(x, s, e->arg[1], taps, rest);
        return;
    }
    names w = {x, s, false};
    fv_visit(e, reads_other, &w);
    if (w.other) *rest = fv_and(c, *rest, e);
    else *taps = fv_and(c, *taps, e);
}
/* where(t < middle, left half, right half): the value of one coordinate at tap t. */
static const fv_expr *select(fv_ctx *c, const fv_expr *t, const int64_t *value, int64_t lo, int64_t hi) {
    bool same = true;
    for (int64_t i = lo; i < hi; i++) same &= value[i] == value[lo];
    if (same) return fv_int(c, value[lo]);
    int64_t mid = (lo + hi) / 2;
    return fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LT, t, fv_int(c, mid)), select(c, t, value, lo, mid),
                  select(c, t, value, mid, hi));
}
void lower_attend_list_taps(attend *x, attend_set *s) {
    fv_ctx *c = x->l->ctx;
    const fv_attend_set *old = s->set;
    const fv_expr *taps = NULL, *rest = NULL;
    int64_t all = 1, count = 0;
    for (int i = 0; i < old->n_over; i++) all *= old->over[i].extent;
    if (!s->exists || !old->n_over || all > MOST_TAPS) return;
    split(x, s, s->exists, &taps, &rest);
    if (!taps) return;
    point p = {.n = old->n_over};
    int64_t *value[FV_MAX_AXES];
    for (int i = 0; i < old->n_over; i++) {
        value[i] = FV_NEWN(c, int64_t, all);
        p.leaf[i] = fv_axis_ref(c, old->over[i].name);
    }
    for (int64_t k = 0; k < all; k++) {
        int64_t r = k;
        for (int i = old->n_over - 1; i >= 0; i--) {
            p.value[i] = (double)(r % old->over[i].extent);
            r /= old->over[i].extent;
        }
        if (fv_eval(taps, leaf_value, &p) == 0) continue;
        for (int i = 0; i < old->n_over; i++) value[i][count] = (int64_t)p.value[i];
        count++;
    }
    if (p.unknown || !count || count * 10 > all * 7) return;
    fv_attend_set *set = FV_NEW(c, fv_attend_set);
    *set = *old;
    set->n_over = 1;
    set->over[0] = (fv_axis){.name = fv_internf(c, "%s.taps", fv_cstr(c, old->over[0].name)), .extent = count};
    const fv_expr *t = fv_axis_ref(c, set->over[0].name);
    fv_facts_add(c, &s->facts, t, 0, count - 1);
    fv_binding b[FV_MAX_AXES];
    for (int i = 0; i < old->n_over; i++) b[i] = (fv_binding){p.leaf[i], select(c, t, value[i], 0, count)};
    int n = old->n_over;
    if (s->k.value) s->k.value = fv_subst(c, s->k.value, b, n);
    if (s->v.value) s->v.value = fv_subst(c, s->v.value, b, n);
    for (int j = 0; j < s->n_scores; j++) s->score[j] = fv_subst(c, s->score[j], b, n);
    if (s->weight) s->weight = fv_subst(c, s->weight, b, n);
    s->exists = rest ? fv_subst(c, rest, b, n) : NULL;
    s->set = set;
    s->listed = true;
}

/* The share of pairs that exist, by evaluation at a regular sample of them. */
double lower_attend_share(const attend *x, const attend_set *s) {
    if (!s->exists) return 1;
    point p = {.n = 0};
    int64_t extent[2 * FV_MAX_AXES], pairs = 1, found = 0, seen = 0;
    fv_ctx *c = x->l->ctx;
    for (int i = 0; i < x->n_q + s->set->n_over; i++) {
        const fv_axis *a = i < x->n_q ? &x->q[i] : &s->set->over[i - x->n_q];
        if (!fv_uses_axis(s->exists, a->name)) continue;
        p.leaf[p.n] = fv_axis_ref(c, a->name);
        extent[p.n++] = a->extent;
        pairs *= a->extent;
    }
    int64_t step = pairs / MOST_EVALUATIONS + 1;
    if (step > 1) step |= 1;
    for (int64_t k = 0; k < pairs; k += step) {
        int64_t r = k;
        for (int i = p.n - 1; i >= 0; i--) {
            p.value[i] = (double)(r % extent[i]);
            r /= extent[i];
        }
        found += fv_eval(s->exists, leaf_value, &p) != 0;
        seen++;
        if (p.unknown) return 1;
    }
    return seen ? (double)found / (double)seen : 1;
}
