/* attend by expansion (language.md section 4): raw scores, the score's nodes, which pairs exist, the steps, the
 * weight's nodes, the sum. Each set keeps its scores in one canonical order, Q then keys. A removed pair is in no sum
 * and no maximum, and its v is never multiplied. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const fv_attend_set *s;
    ref_box pair;                                       /* Q, then the keys */
    int64_t count;                                      /* pairs */
    double **x;                                         /* [n_scores]: the scores, then what the steps make of them */
    double *w;                                          /* the weights, once known */
    unsigned char *exists;                              /* NULL: all */
} one_set;
typedef struct {
    ref_run *r;
    const fv_node *n;
    const fv_attend_node *a;
    ref_box q;                                          /* query axes, as in the results */
    int n_scores;
    one_set *set;
    double **max, **sum;                                /* [n_scores]: of the step being made, over its kept axes */
} attend;
static fv_axis no_axis(ref_run *r) { return (fv_axis){.name = fv_intern(r->ctx, "_0"), .extent = 1}; }

/* -- Which pairs exist -------------------------------------------------------------------------------------------- */
static bool all_exist_first(attend *t, one_set *s) {
    if (s->exists) return true;
    s->exists = ref_bytes(t->r, s->count);
    if (s->exists) memset(s->exists, 1, (size_t)s->count);
    return s->exists != NULL;
}
/* Removes the pairs for which some element of v, over the axes that v has beside the pair's, is absent (or false). */
static bool remove_absent(attend *t, one_set *s, const fv_value *v, bool false_too) {
    const ref_store *from = v ? &t->r->at[v->id] : NULL;
    if (!v || (!from->exists && !false_too)) return true;
    if (!all_exist_first(t, s)) return false;
    int64_t sv[2 * FV_MAX_AXES], se[2 * FV_MAX_AXES];
    ref_box all = s->pair;
    ref_box_add(&all, v->axis, v->obj.rank);
    ref_strides(&all, v->axis, v->obj.rank, sv);
    ref_strides(&all, s->pair.axis, s->pair.n, se);
    ref_walk w = {.box = &all, .n = 2, .stride = {sv, se}};
    do {
        bool there = !from->exists || from->exists[w.off[0]];
        if (!there || (false_too && from->data[w.off[0]] == 0)) s->exists[w.off[1]] = 0;
    } while (ref_next(&w));
    return true;
}

/* -- Between values and the canonical order ----------------------------------------------------------------------- */
static double *gathered(attend *t, const one_set *s, const fv_value *v) {
    double *x = ref_doubles(t->r, s->count);
    if (!x) return NULL;
    int64_t sv[2 * FV_MAX_AXES];
    ref_strides(&s->pair, v->axis, v->obj.rank, sv);
    ref_walk w = {.box = &s->pair, .n = 1, .stride = {sv}};
    const double *from = t->r->at[v->id].data;
    int64_t i = 0;
    do x[i++] = from[w.off[0]];
    while (ref_next(&w));
    return x;
}
static bool scattered(attend *t, const one_set *s, const double *x, const fv_value *to) {
    if (!ref_alloc(t->r, to)) return false;
    int64_t sv[2 * FV_MAX_AXES];
    ref_store *st = &t->r->at[to->id];
    ref_strides(&s->pair, to->axis, to->obj.rank, sv);
    ref_walk w = {.box = &s->pair, .n = 1, .stride = {sv}};
    int64_t i = 0;
    do {
        st->data[w.off[0]] = x[i];
        if (st->exists) st->exists[w.off[0]] = !s->exists || s->exists[i];
        i++;
    } while (ref_next(&w));
    return true;
}

/* -- Scores ------------------------------------------------------------------------------------------------------- */
static bool raw_scores(attend *t, one_set *s) {
    const fv_value *q = t->a->q, *k = s->s->k, *raw = s->s->raw;
    if (!raw) return true;
    if (!ref_alloc(t->r, raw)) return false;
    int64_t sq[2 * FV_MAX_AXES], sk[2 * FV_MAX_AXES], so[2 * FV_MAX_AXES];
    ref_box box = s->pair;
    ref_box_add(&box, t->a->dot, t->a->n_dot);
    ref_strides(&box, q->axis, q->obj.rank, sq);
    ref_strides(&box, k->axis, k->obj.rank, sk);
    ref_strides(&box, raw->axis, raw->obj.rank, so);
    ref_store *st = &t->r->at[raw->id];
    if (!ref_sum_product(t->r, &box, t->r->at[q->id].data, sq, t->r->at[k->id].data, sk, st->data, so)) return false;
    if (!st->exists) return true;
    double *copy = gathered(t, s, raw);                 /* marks what exists */
    bool fine = copy && scattered(t, s, copy, raw);
    free(copy);
    return fine;
}
typedef struct { const bool *by_p; bool found; } p_search;
static void look(const fv_value *v, void *user) {
    p_search *s = user;
    s->found = s->found || s->by_p[v->node->id];
}
/* The nodes of the body that wait for the normalised scores. */
static void mark_weights(attend *t, bool *by_p) {
    for (int i = 0; i < t->a->n_sets; i++)
        for (int j = 0; t->a->set[i].p && j < t->n_scores; j++) by_p[t->a->set[i].p[j]->node->id] = true;
    for (const fv_node **b = t->r->body[t->n->id]; *b; b++) {
        p_search s = {.by_p = by_p};
        fv_node_operands(*b, look, &s);
        by_p[(*b)->id] = s.found;
    }
}
static bool run_body(attend *t, const bool *by_p, bool which) {
    for (const fv_node **b = t->r->body[t->n->id]; *b; b++)
        if (by_p[(*b)->id] == which && !ref_eval(t->r, *b)) return false;
    t->r->node = t->n;
    return true;
}

/* -- Steps -------------------------------------------------------------------------------------------------------- */
/* Strides of the kept axes of step j over a set's pairs; returns how many cells they make. */
static int64_t kept(const fv_attend_step *st, const one_set *s, int64_t *stride) {
    ref_box keep = {0};
    for (int i = 0; i < s->pair.n; i++) {
        bool gone = !st->n_axes && fv_axis_find(s->s->over, s->s->n_over, s->pair.axis[i].name) >= 0;
        for (int j = 0; j < st->n_axes; j++) gone = gone || fv_str_eq(st->axis[j], s->pair.axis[i].name);
        if (!gone) ref_box_add(&keep, &s->pair.axis[i], 1);
    }
    ref_strides(&s->pair, keep.axis, keep.n, stride);
    return ref_box_count(&keep);
}
static double exp_of(double y, double m) { return m > -(double)INFINITY ? exp(y - m) : isnan(y) ? y : 0; }
typedef enum { PASS_MAX, PASS_SUM, PASS_DIVIDE } pass;
static void run_pass(const attend *t, const fv_attend_step *st, one_set *s, int j, pass what) {
    int64_t stride[2 * FV_MAX_AXES], i = 0;
    kept(st, s, stride);
    ref_walk w = {.box = &s->pair, .n = 1, .stride = {stride}};
    double *x = s->x[j], *max = t->max[j], *sum = t->sum[j];
    do {
        int64_t at = w.off[0];
        if (s->exists && !s->exists[i]) { i++; continue; }
        if (what == PASS_MAX) max[at] = x[i] > max[at] ? x[i] : max[at];
        else if (what == PASS_SUM) sum[at] += st->ratio ? x[i] : exp_of(x[i], max[at]);
        else if (!st->ratio) x[i] = sum[at] == 0 ? 0 : exp(x[i] - max[at]) / sum[at];
        else x[i] = x[i] / (st->has_floor ? (sum[at] > st->floor || isnan(sum[at]) ? sum[at] : st->floor)
                            : sum[at] + st->eps);
        i++;
    } while (ref_next(&w));
}
static bool run_step(attend *t, const fv_attend_step *st) {
    int64_t stride[2 * FV_MAX_AXES], cells = kept(st, &t->set[0], stride);
    for (int j = 0; j < t->n_scores; j++) {
        free(t->max[j]);
        free(t->sum[j]);
        t->sum[j] = NULL;
        t->max[j] = ref_doubles(t->r, cells);
        t->sum[j] = ref_doubles(t->r, cells);
        if (!t->max[j] || !t->sum[j]) return false;
        for (int64_t i = 0; i < cells; i++) t->max[j][i] = -(double)INFINITY;
        for (int p = st->ratio ? PASS_SUM : PASS_MAX; p <= PASS_DIVIDE; p++)
            for (int i = 0; i < t->a->n_sets; i++) run_pass(t, st, &t->set[i], j, (pass)p);
    }
    return true;
}
static bool store_lse(attend *t) {
    for (int j = 0; t->a->lse && j < t->n_scores; j++) {
        const fv_value *v = t->n->result[1 + j];
        if (!ref_alloc(t->r, v)) return false;
        double *to = t->r->at[v->id].data;
        for (int64_t i = 0; i < fv_value_count(v); i++)
            to[i] = t->sum[j][i] == 0 ? -(double)INFINITY : t->max[j][i] + log(t->sum[j][i]);
    }
    return true;
}

/* -- The sum ------------------------------------------------------------------------------------------------------ */
static bool all_finite(const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) if (!isfinite(x[i])) return false;
    return true;
}
/* Pair by pair, leaving out what does not exist: a number for v, or v with numbers that must not meet a zero. */
static void sum_slowly(const attend *t, const one_set *s, const ref_box *box, const int64_t *sw, const int64_t *sv,
                       const int64_t *so, double *out) {
    const double *v = s->s->v ? t->r->at[s->s->v->id].data : &s->s->v_number;
    ref_walk w = {.box = box, .n = 3, .stride = {sw, sv, so}};
    do {
        if (!s->exists || s->exists[w.off[0]]) out[w.off[2]] += s->w[w.off[0]] * v[w.off[1]];
    } while (ref_next(&w));
}
static bool add_set(attend *t, one_set *s) {
    const fv_value *out = t->n->result[0], *v = s->s->v;
    int64_t sw[2 * FV_MAX_AXES], sv[2 * FV_MAX_AXES] = {0}, so[2 * FV_MAX_AXES];
    ref_box box = s->pair;
    ref_box_add(&box, out->axis, out->obj.rank);
    ref_strides(&box, s->pair.axis, s->pair.n, sw);
    if (v) ref_strides(&box, v->axis, v->obj.rank, sv);
    ref_strides(&box, out->axis, out->obj.rank, so);
    double *to = t->r->at[out->id].data;
    if (!v || (s->exists && !all_finite(t->r->at[v->id].data, fv_value_count(v)))) {
        sum_slowly(t, s, &box, sw, sv, so, to);
        return true;
    }
    for (int64_t i = 0; s->exists && i < s->count; i++) if (!s->exists[i]) s->w[i] = 0;
    return ref_sum_product(t->r, &box, s->w, sw, t->r->at[v->id].data, sv, to, so);
}
static bool weights(attend *t, const bool *by_p) {
    bool any = false;
    for (int i = 0; i < t->a->n_sets; i++) {
        one_set *s = &t->set[i];
        any = any || s->s->weight;
        for (int j = 0; s->s->weight && j < t->n_scores; j++) if (!scattered(t, s, s->x[j], s->s->p[j])) return false;
    }
    if (any && !run_body(t, by_p, true)) return false;
    for (int i = 0; i < t->a->n_sets; i++) {
        one_set *s = &t->set[i];
        if (!s->s->weight) {
            s->w = s->x[0];
            s->x[0] = NULL;
        } else if (!(s->w = gathered(t, s, s->s->weight)) || !remove_absent(t, s, s->s->weight, false)) {
            return false;
        }
    }
    return true;
}

/* Nothing reads the raw products and the score's nodes any more: a weight sees the normalised scores alone. */
static void free_scores(attend *t, const bool *by_p) {
    for (int i = 0; i < t->a->n_sets; i++) if (t->a->set[i].raw) ref_free(t->r, t->a->set[i].raw);
    for (const fv_node **b = t->r->body[t->n->id]; *b; b++)
        for (int i = 0; !by_p[(*b)->id] && i < (*b)->n_results; i++) ref_free(t->r, (*b)->result[i]);
}
static bool scores(attend *t, const bool *by_p) {
    for (int i = 0; i < t->a->n_sets; i++) {
        one_set *s = &t->set[i];
        if (!remove_absent(t, s, s->s->only, true) || !remove_absent(t, s, s->s->k, false) ||
            !remove_absent(t, s, s->s->v, false) ||
            !raw_scores(t, s)) return false;
    }
    if (!run_body(t, by_p, false)) return false;
    for (int i = 0; i < t->a->n_sets; i++) {
        one_set *s = &t->set[i];
        for (int j = 0; j < t->n_scores; j++) {
            if (!remove_absent(t, s, s->s->score[j], false) || !(s->x[j] = gathered(t, s, s->s->score[j])))
                return false;
        }
    }
    free_scores(t, by_p);
    return true;
}
static bool run(attend *t, bool *by_p) {
    mark_weights(t, by_p);
    if (!scores(t, by_p)) return false;
    for (int i = 0; i < t->a->n_steps; i++) if (!run_step(t, &t->a->step[i])) return false;
    if (!store_lse(t) || !weights(t, by_p) || !ref_alloc(t->r, t->n->result[0])) return false;
    for (int i = 0; i < t->a->n_sets; i++) if (!add_set(t, &t->set[i])) return false;
    return true;
}
/* Query axes: those of the results that v does not bring, which are what q or the logits have. */
static void find_query(attend *t) {
    const fv_value *lead = t->a->q ? t->a->q : t->a->set[0].s;
    for (int i = 0; i < lead->obj.rank; i++) {
        bool gone = fv_axis_find(t->a->dot, t->a->n_dot, lead->axis[i].name) >= 0;
        for (int j = 0; !t->a->q && j < t->a->n_sets; j++)
            gone = gone || fv_axis_find(t->a->set[j].over, t->a->set[j].n_over, lead->axis[i].name) >= 0;
        if (!gone) ref_box_add(&t->q, &lead->axis[i], 1);
    }
}
static void dispose(attend *t) {
    for (int i = 0; t->set && i < t->a->n_sets; i++) {
        for (int j = 0; t->set[i].x && j < t->n_scores; j++) free(t->set[i].x[j]);
        free(t->set[i].x);
        free(t->set[i].w);
        free(t->set[i].exists);
        if (t->a->set[i].raw) ref_free(t->r, t->a->set[i].raw);
        for (int j = 0; t->a->set[i].p && j < t->n_scores; j++) ref_free(t->r, t->a->set[i].p[j]);
    }
    for (int j = 0; t->max && t->sum && j < t->n_scores; j++) {
        free(t->max[j]);
        free(t->sum[j]);
    }
    free(t->set);
    free(t->max);
    free(t->sum);
    ref_free_body(t->r, t->n);
}
bool ref_eval_attend(ref_run *r, const fv_node *n) {
    attend t = {.r = r, .n = n, .a = &n->u.attend, .n_scores = n->u.attend.set[0].n_scores};
    fv_axis unit = no_axis(r);
    find_query(&t);
    t.set = calloc((size_t)t.a->n_sets, sizeof *t.set);
    t.max = calloc((size_t)t.n_scores, sizeof *t.max);
    t.sum = calloc((size_t)t.n_scores, sizeof *t.sum);
    bool *by_p = calloc((size_t)r->g->n_nodes, sizeof *by_p);
    bool fine = (t.set && t.max && t.sum && by_p) || ref_fail(r, "no memory for an attend");
    for (int i = 0; fine && i < t.a->n_sets; i++) {
        one_set *s = &t.set[i];
        s->s = &t.a->set[i];
        s->pair = t.q;
        ref_box_add(&s->pair, s->s->over, s->s->n_over);
        if (!s->pair.n) ref_box_add(&s->pair, &unit, 1);
        s->count = ref_box_count(&s->pair);
        s->x = calloc((size_t)t.n_scores, sizeof *s->x);
        fine = s->x || ref_fail(r, "no memory for an attend");
    }
    fine = fine && run(&t, by_p);
    free(by_p);
    dispose(&t);
    return fine;
}
