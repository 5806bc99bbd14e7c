/* Products of an attend on pairs of bf16: see attend_program.h. Keys along the rows, queries in the lanes, for both:
 *   s[k, q]    = sum over d of k[k, 2 two + pair] * q[two, q, pair]
 *   acc[dv, q] = sum over k of v[dv, 2 two + pair] * p[two, q, pair]
 * Queries and weights are rounded into tiles of pairs, values into a tile with the keys innermost; keys are read where
 * they lie if they are bf16 with d innermost, else from a rounded copy. Reduced axes are whole pairs, on a matrix unit
 * whole fragments: what is left over is zero on both sides. A pair that does not exist has weight zero. */
#include "lower/attend_program.h"

#include <string.h>

enum { FRAGMENT = 32, LEAST = 8, ROWS = 8 }; /* points of a fragment; below, what they save is not worth a copy */

static int64_t unit_of(const lower *l, int64_t n) { return l->t->fragments && 2 * n >= FRAGMENT ? FRAGMENT : 2; }
static int64_t whole(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

void attend_pairs_choose(attend_program *p, int64_t rows) {
    const attend *x = p->x;
    const lower *l = x->l;
    if (!lower_takes_pairs(l) || l->node[x->final->id].prepare || p->n_tile != 1 || rows < ROWS) return;
    bool k = x->query && x->a->n_dot == 1 && x->a->dot[0].extent >= LEAST, v = x->n_e == 1 && x->e[0].extent >= LEAST;
    for (int i = 0; i < x->n_sets; i++) {
        bool many = p->n_key[i] == 1 && p->keys[i].extent >= LEAST;
        k &= many && x->set[i].k.value;
        v &= many && x->set[i].v.value;
    }
    p->pair_scores = k;
    p->pair_sums = v;
}

/* -- Axes and statements ----------------------------------------------------------------------------------------- */
static fv_str suffixed(attend_program *p, fv_str axis, const char *suffix) {
    return fv_internf(p->k.l->ctx, "%s.%s", fv_cstr(p->k.l->ctx, axis), suffix);
}
/* `n` points of an axis as whole pairs. */
static attend_pair_axes split(attend_program *p, fv_str axis, int64_t n) {
    int64_t all = whole(n, unit_of(p->k.l, n));
    attend_pair_axes a = {suffixed(p, axis, "two"), suffixed(p, axis, "pair"), axis, all};
    lower_axis(&p->k, a.two, all / 2);
    lower_axis(&p->k, a.pair, 2);
    return a;
}
static const fv_expr *joined(attend_program *p, const attend_pair_axes *a) {
    fv_ctx *c = p->k.l->ctx;
    return fv_add(c, fv_muli(c, fv_axis_ref(c, a->two), 2), fv_axis_ref(c, a->pair));
}
static fv_stmt *map(attend_program *p, fv_stmts *list, const char *label, const fv_buffer *b, const fv_expr *e,
                    const fv_expr *where, fv_str lane) {
    fv_ctx *c = p->k.l->ctx;
    fv_stmt *s = lower_stmt(&p->k, list, FV_S_MAP, label);
    s->target = &b->obj;
    s->write = FV_W_SET;
    s->expr = fv_simplify(c, &p->k.facts, e);
    where = where ? fv_simplify(c, &p->k.facts, where) : NULL;
    if (where && !fv_is_true(where)) {
        s->where = where;
        s->otherwise = fv_float(c, 0);
    }
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, fv_cstr(c, s->label), fv_cstr(c, lane));
    return s;
}
static const fv_expr *below(fv_ctx *c, const fv_expr *e, int64_t n) { return fv_op2(c, FV_X_LT, e, fv_int(c, n)); }
static const fv_expr *moved(fv_ctx *c, const fv_expr *e, fv_str axis, const fv_expr *to) {
    fv_binding b = {fv_axis_ref(c, axis), to};
    return e ? fv_subst(c, e, &b, 1) : NULL;
}
static const fv_expr *element(fv_ctx *c, const fv_buffer *b, const fv_expr *i, const fv_expr *j) {
    const fv_expr *at[2] = {i, j};
    return fv_read(c, &b->obj, at, 2, NULL);
}
static void product(attend_program *p, fv_stmts *list, const char *label, const fv_buffer *to, fv_write w,
                    const attend_pair_axes *over, const fv_expr *e, fv_str *out) {
    fv_ctx *c = p->k.l->ctx;
    fv_stmt *s = lower_stmt(&p->k, list, FV_S_CONTRACT, label);
    s->target = &to->obj;
    s->write = w;
    s->expr = e;
    s->over[s->n_over++] = over->two;
    s->over[s->n_over++] = over->pair;
    if (out) *out = s->label;
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, fv_cstr(c, s->label), fv_cstr(c, p->tile[0]));
}

/* -- Scores ------------------------------------------------------------------------------------------------------ */
void attend_pairs_query(attend_program *p, fv_stmts *list) {
    fv_ctx *c = p->k.l->ctx;
    const fv_axis *d = &p->x->a->dot[0];
    p->dots = split(p, d->name, d->extent);
    fv_str axis[3] = {p->dots.two, p->tile[0], p->dots.pair};
    p->qb = lower_buffer(&p->k, "qb", FV_BF16, axis, 3);
    const fv_expr *at = joined(p, &p->dots);
    map(p, list, "qp", p->qb, element(c, p->qt, at, fv_axis_ref(c, p->tile[0])), below(c, at, d->extent), p->tile[0]);
}
/* bf16 of the plan's own with d innermost; on a matrix unit, at multiples of 64 bytes. */
static bool in_place(attend_program *p, int set, const fv_expr *e) {
    fv_ctx *c = p->k.l->ctx;
    if (e->op != FV_X_READ || e->i || e->ref->kind != FV_OBJ_TENSOR || e->ref->type != FV_BF16 ||
        p->dots.all != p->x->a->dot[0].extent)
        return false;
    const fv_tensor *t = (const fv_tensor *)e->ref;
    const fv_expr *at = fv_int(c, 0), *d = fv_axis_ref(c, p->dots.axis), *key = fv_axis_ref(c, p->key[set][0]);
    for (int i = 0; i < e->ref->rank; i++) at = fv_add(c, at, fv_muli(c, e->arg[i], t->stride[i]));
    fv_affine a;
    if (!t->padded || !fv_affine_of(fv_simplify(c, &p->k.facts, at), &a)) return false;
    bool one = false, rows = false, aligned = a.constant % FRAGMENT == 0;
    for (int i = 0; i < a.n; i++) {
        if (a.term[i].atom == d) one = a.term[i].coef == 1;
        else if (fv_uses(a.term[i].atom, d)) return false;
        else aligned &= a.term[i].coef % FRAGMENT == 0;
        rows |= a.term[i].atom == key;
    }
    return one && (!p->k.l->t->fragments || (rows && aligned));
}
static fv_buffer *copied_keys(attend_program *p, fv_stmts *list, int set, const fv_expr *e) {
    fv_ctx *c = p->k.l->ctx;
    const fv_axis *d = &p->x->a->dot[0];
    fv_str all = d->name;
    if (p->dots.all != d->extent) {
        all = suffixed(p, d->name, "all");
        if (!lower_extent(&p->k, all)) lower_axis(&p->k, all, p->dots.all);
    }
    fv_str axis[2] = {p->key[set][0], all};
    fv_buffer *b = lower_buffer(&p->k, fv_printf(c, "kb%d", set), FV_BF16, axis, 2);
    map(p, list, "kp", b, moved(c, e, d->name, fv_axis_ref(c, all)), below(c, fv_axis_ref(c, all), d->extent), all);
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, fv_cstr(c, b->obj.name), fv_cstr(c, all));
    return b;
}
void attend_pairs_scores(attend_program *p, fv_stmts *list, int set, const fv_buffer *raw) {
    fv_ctx *c = p->k.l->ctx;
    const fv_expr *e = attend_bind(p, set, p->x->set[set].k.value), *at = joined(p, &p->dots), *k;
    if (in_place(p, set, e)) k = fv_simplify(c, &p->k.facts, moved(c, e, p->dots.axis, at));
    else k = element(c, copied_keys(p, list, set, e), fv_axis_ref(c, p->key[set][0]), at);
    product(p, list, "qk", raw, FV_W_SUM, &p->dots, fv_mul(c, k, lower_buffer_at(&p->k, p->qb)), set ? NULL : &p->qk);
}

/* -- Sums -------------------------------------------------------------------------------------------------------- */
/* The part of a condition that does not tell queries apart. */
static const fv_expr *of_keys(fv_ctx *c, const fv_expr *e, fv_str query) {
    if (e && e->op == FV_X_AND) {
        const fv_expr *a = of_keys(c, e->arg[0], query), *b = of_keys(c, e->arg[1], query);
        return a && b ? fv_op2(c, FV_X_AND, a, b) : a ? a : b;
    }
    return e && !fv_uses_axis(e, query) ? e : NULL;
}
void attend_pairs_sum(attend_program *p, fv_stmts *list, int set, bool first, int64_t block, const fv_expr *value) {
    fv_ctx *c = p->k.l->ctx;
    fv_str key = p->key[set][0], q = p->tile[0], all = suffixed(p, key, "all");
    int64_t n = p->keys[set].extent;
    attend_pair_axes a = split(p, key, block);
    lower_axis(&p->k, all, a.all);
    const fv_expr *from = block < n ? fv_var(c, fv_base_name(c, key), FV_I32) : fv_int(c, 0);
    fv_str rows[2] = {p->value[0], all}, pairs[3] = {a.two, q, a.pair};
    fv_buffer *v = lower_buffer(&p->k, fv_printf(c, "vt%d", set), FV_BF16, rows, 2),
              *w = lower_buffer(&p->k, fv_printf(c, "pb%d", set), FV_BF16, pairs, 3);
    const fv_expr *at = fv_add(c, from, fv_axis_ref(c, all)), *to = fv_add(c, from, joined(p, &a));
    bool ragged = n % block || a.all != block;
    const fv_expr *exists = of_keys(c, attend_bind(p, set, p->x->set[set].exists), q);
    const fv_expr *where =
        fv_and(c, ragged ? below(c, at, n) : NULL, exists ? moved(c, exists, key, at) : fv_bool(c, true));
    map(p, list, "vp", v, moved(c, value, key, at), where, all);
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, fv_cstr(c, v->obj.name), fv_cstr(c, all));
    map(p, list, "pp", w, element(c, p->s[set][0], joined(p, &a), fv_axis_ref(c, q)), ragged ? below(c, to, n) : NULL,
        q);
    const fv_expr *e = fv_mul(c, element(c, v, fv_axis_ref(c, p->value[0]), joined(p, &a)), lower_buffer_at(&p->k, w));
    product(p, list, "pv", p->acc, first ? FV_W_SUM : FV_W_ADD, &a, e, set ? NULL : &p->pv);
}
