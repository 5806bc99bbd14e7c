/* Keys first (language.md section 8, re-association): an attend without a softmax whose score is the product of q and
 * k, times factors of the query, is (q k^T) v = q (k^T v). The sum over the keys is made once, not once per query:
 *
 *     S[d, e] = sum_t k[t, d] v[t, e]      z[d] = sum_t k[t, d]
 *     out[q, e] = w(q) f(q) sum_d q[d] S[d, e] / D(f(q) sum_d q[d] z[d])
 *
 * f: the factors of the score, w: those of the weight, D: the normaliser (max with its floor, or plus its eps; none:
 * 1). Exact but for rounding: the same products, added in another order. Invariant: nothing here depends on a key but k
 * and v, and every pair exists. */
#include "lower/expand.h"

#include <string.h>

/* -- The factors of a linear expression
 * --------------------------------------------------------------------------------------------------------------- */
typedef struct {
    const lower_rebuild *k;
    const fv_value *of; /* a placeholder: raw, or p */
    const fv_attend_set *set;
    bool found;
} linear_in;
static bool is_key(const fv_attend_set *s, fv_str axis) {
    for (int i = 0; i < s->n_over; i++)
        if (fv_str_eq(s->over[i].name, axis)) return true;
    return false;
}
static bool find(const fv_expr *e, void *user) {
    linear_in *w = user;
    if (e->op == FV_X_AXIS && is_key(w->set, e->name)) w->found = true;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return false;
    const fv_value *v = fv_value_of(e->ref);
    if (w->k->inner[v->node->id] || v->node->op == FV_NODE_PLACEHOLDER) w->found = true;
    return false;
}
/* Free of keys, and of all that depends on a placeholder. */
static bool of_query(const linear_in *w, const fv_expr *e) {
    linear_in v = {w->k, w->of, w->set, false};
    fv_visit(e, find, &v);
    return !v.found;
}
/* e = of * factor: the factor, or NULL where e is no such product. */
static const fv_expr *factor(const linear_in *w, const fv_expr *e) {
    fv_ctx *c = w->k->from->ctx;
    const fv_expr *f;
    switch (e->op) {
    case FV_X_READ:
        if (e->ref->kind != FV_OBJ_VALUE) return NULL;
        const fv_value *v = fv_value_of(e->ref);
        if (e != fv_value_at_self(c, v)) return NULL;
        if (v == w->of) return fv_float(c, 1);
        if (v->node->op != FV_NODE_COMPUTE || v->node->u.compute.monoid != FV_MONOID_NONE || v->node->u.compute.only ||
            v->node->u.compute.otherwise)
            return NULL;
        return factor(w, v->node->u.compute.body);
    case FV_X_NEG: return (f = factor(w, e->arg[0])) ? fv_op1(c, FV_X_NEG, f) : NULL;
    case FV_X_MUL:
        if (of_query(w, e->arg[1])) return (f = factor(w, e->arg[0])) ? fv_mul(c, f, e->arg[1]) : NULL;
        if (of_query(w, e->arg[0])) return (f = factor(w, e->arg[1])) ? fv_mul(c, e->arg[0], f) : NULL;
        return NULL;
    case FV_X_DIV:
        if (!of_query(w, e->arg[1])) return NULL;
        return (f = factor(w, e->arg[0])) ? fv_op2(c, FV_X_DIV, f, e->arg[1]) : NULL;
    default: return NULL;
    }
}
static const fv_expr *factor_of(const lower_rebuild *k, const fv_value *v, const fv_value *of, const fv_attend_set *s) {
    linear_in w = {k, of, s, false};
    return factor(&w, fv_value_at_self(k->from->ctx, v));
}

/* -- When
 * --------------------------------------------------------------------------------------------------------------- */
static bool is_dot(const fv_attend_node *a, fv_str axis) { return fv_axis_find(a->dot, a->n_dot, axis) >= 0; }
bool lower_keys_first(const lower_rebuild *k, const fv_node *n) {
    const fv_attend_node *a = &n->u.attend;
    const fv_attend_set *s = &a->set[0];
    if (a->n_sets != 1 || !a->q || !s->k || !s->v || s->only || s->n_scores != 1 || !s->raw || n->n_results > 1)
        return false;
    if (a->q->partial || s->k->partial || s->v->partial || s->raw->partial || !a->n_dot) return false;
    if (a->n_steps > 1 || (a->n_steps && (!a->step[0].ratio || a->step[0].n_axes))) return false;
    double queries = 1, keys = 1, d = 1, e = 1;
    for (int i = 0; i < s->n_over; i++) keys *= (double)s->over[i].extent;
    for (int i = 0; i < a->n_dot; i++) d *= (double)a->dot[i].extent;
    for (int i = 0; i < a->q->obj.rank; i++) {
        fv_axis x = a->q->axis[i];
        if (!is_dot(a, x.name) && fv_value_axis(s->k, x.name) < 0 && fv_value_axis(s->v, x.name) < 0)
            queries *= (double)x.extent;
    }
    for (int i = 0; i < s->v->obj.rank; i++) {
        fv_axis x = s->v->axis[i];
        if (!is_key(s, x.name) && (is_dot(a, x.name) || fv_value_axis(a->q, x.name) < 0)) e *= (double)x.extent;
    }
    if ((queries + keys) * d * (e + 1) * 2 > queries * keys * (d + e)) return false; /* half the work at least */
    return factor_of(k, s->score[0], s->raw, s) && (!s->weight || factor_of(k, s->weight, s->p[0], s));
}

/* -- How
 * --------------------------------------------------------------------------------------------------------------- */
typedef struct {
    fv_axis axis[FV_MAX_AXES];
    int n;
} axes;
static void add(axes *to, fv_axis x) {
    if (fv_axis_find(to->axis, to->n, x.name) < 0 && to->n < FV_MAX_AXES) to->axis[to->n++] = x;
}
/* A dot axis inside: v may use its name for an axis of its own. */
static fv_axis inside(lower_rebuild *k, fv_axis dot) {
    dot.name = fv_internf(k->to->ctx, "%s.dot", fv_cstr(k->to->ctx, dot.name));
    return dot;
}
/* v at its own coordinates; its dot axes under their names inside. */
static const fv_expr *at(lower_rebuild *k, const fv_attend_node *a, const fv_value *v, bool dots) {
    fv_ctx *c = k->to->ctx;
    const fv_expr *arg[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++)
        arg[i] = fv_axis_ref(c, (dots && is_dot(a, v->axis[i].name) ? inside(k, v->axis[i]) : v->axis[i]).name);
    return fv_read(c, &v->obj, arg, v->obj.rank, NULL);
}
static fv_value *sum(lower_rebuild *k, fv_loc loc, const axes *keep, const fv_axis *over, int n, const fv_expr *e) {
    return fv_graph_compute(k->to, loc, FV_MONOID_SUM, keep->axis, keep->n, over, n, e, NULL, NULL);
}
void lower_associate(lower_rebuild *k, const fv_node *n) {
    fv_ctx *c = k->to->ctx;
    const fv_attend_node *a = &n->u.attend;
    const fv_attend_set *s = &a->set[0];
    const fv_value *q = k->map[a->q->id], *key = k->map[s->k->id], *v = k->map[s->v->id], *out = n->result[0];
    axes S = {.n = 0}, Z = {.n = 0}, Q = {.n = 0}, all = {.n = out->obj.rank};
    fv_axis dot[FV_MAX_AXES];
    memcpy(all.axis, out->axis, sizeof *all.axis * (size_t)all.n);
    for (int i = 0; i < a->n_dot; i++) dot[i] = inside(k, a->dot[i]);
    for (int i = 0; i < key->obj.rank; i++)
        if (!is_key(s, key->axis[i].name) && !is_dot(a, key->axis[i].name)) add(&Z, key->axis[i]);
    S = Z;
    for (int i = 0; i < a->n_dot; i++) add(&S, dot[i]), add(&Z, dot[i]);
    for (int i = 0; i < v->obj.rank; i++)
        if (!is_key(s, v->axis[i].name)) add(&S, v->axis[i]);
    for (int i = 0; i < q->obj.rank; i++)
        if (!is_dot(a, q->axis[i].name)) add(&Q, q->axis[i]);
    fv_value *kv = sum(k, n->loc, &S, s->over, s->n_over, fv_mul(c, at(k, a, key, true), at(k, a, v, false)));
    fv_value *num = kv ? sum(k, n->loc, &all, dot, a->n_dot, fv_mul(c, at(k, a, q, true), at(k, a, kv, false))) : NULL;
    k->failed = k->failed || !num;
    if (k->failed) return;
    const fv_expr *f = lower_rebuild_expr(k, factor_of(k, s->score[0], s->raw, s));
    const fv_expr *y = fv_mul(c, fv_value_at_self(c, num), f);
    if (a->n_steps) {
        fv_value *z = sum(k, n->loc, &Z, s->over, s->n_over, at(k, a, key, true));
        fv_value *den = z ? sum(k, n->loc, &Q, dot, a->n_dot, fv_mul(c, at(k, a, q, true), at(k, a, z, false))) : NULL;
        k->failed = k->failed || !den;
        if (k->failed) return;
        const fv_expr *d = fv_mul(c, fv_value_at_self(c, den), f);
        const fv_attend_step *st = &a->step[0];
        y = fv_op2(c, FV_X_DIV, y, st->has_floor ? fv_op2(c, FV_X_MAX, d, fv_float(c, st->floor))
                                                 : fv_add(c, d, fv_float(c, st->eps)));
    }
    if (s->weight) y = fv_mul(c, y, lower_rebuild_expr(k, factor_of(k, s->weight, s->p[0], s)));
    k->map[out->id] = fv_graph_compute(k->to, n->loc, FV_MONOID_NONE, all.axis, all.n, NULL, 0, y, NULL, NULL);
    k->failed = k->failed || !k->map[out->id];
}
