/* The hull of a tile of queries: see attend_hull.h. */
#include "lower/attend_hull.h"

typedef struct {
    const fv_expr *leaf;
    int64_t modulus;
} phase_walk;
static bool visit_phase(const fv_expr *e, void *user) {
    phase_walk *w = user;
    if (e->op == FV_X_MOD && e->arg[0] == w->leaf && e->arg[1]->op == FV_X_INT) w->modulus = e->arg[1]->i;
    return false;
}
/* The one index of keys and values that reads the query axis. */
typedef struct {
    const fv_expr *query, *index;
    bool several;
} index_walk;
static bool visit_index(const fv_expr *e, void *user) {
    index_walk *w = user;
    if (e->op != FV_X_READ) return false;
    for (int i = 0; i < e->n; i++) {
        if (!fv_uses(e->arg[i], w->query)) continue;
        if (w->index && w->index != e->arg[i]) w->several = true;
        w->index = e->arg[i];
    }
    return false;
}
/* Queries and keys of the largest hull, by evaluation of every tile. */
typedef struct {
    const fv_expr *i, *g;
    double iv, gv;
} leaves;
static double leaf_value(const fv_expr *e, void *user) {
    const leaves *s = user;
    return e == s->i ? s->iv : e == s->g ? s->gv : 0;
}
static int64_t largest(const attend_hull *h, fv_ctx *c) {
    leaves s = {fv_axis_ref(c, h->i), fv_var(c, h->g, FV_I32), 0, 0};
    int64_t most = 0;
    for (int64_t g = 0; g < h->phase; g++) {
        int64_t len = (h->query.extent - g + h->phase - 1) / h->phase;
        for (int64_t i = 0; i < len; i += h->rows) {
            s.gv = (double)g;
            s.iv = (double)i;
            double a = fv_eval(h->start, leaf_value, &s);
            s.iv = (double)(i + h->rows - 1 < len - 1 ? i + h->rows - 1 : len - 1);
            double b = fv_eval(h->start, leaf_value, &s);
            if ((int64_t)(b - a) + h->tap.extent > most) most = (int64_t)(b - a) + h->tap.extent;
        }
    }
    return most;
}
static const fv_expr *phase_coord(fv_ctx *c, const attend_hull *h) {
    return h->phase == 1 ? fv_int(c, 0) : fv_var(c, h->g, FV_I32);
}
static void copy_facts(fv_ctx *c, fv_facts *to, const fv_facts *from) {
    for (int j = 0; j < from->n; j++)
        fv_facts_add(c, to, from->item[j].leaf, from->item[j].range.lo, from->item[j].range.hi);
}
static void phase_facts(fv_ctx *c, const attend_hull *h, fv_facts *f) {
    const fv_expr *i = fv_axis_ref(c, h->i), *g = phase_coord(c, h);
    fv_facts_add(c, f, i, 0, (h->query.extent + h->phase - 1) / h->phase - 1);
    if (h->phase == 1) return;
    fv_facts_add(c, f, g, 0, h->phase - 1);
    fv_facts_add(c, f, fv_add(c, fv_muli(c, i, h->phase), g), 0, h->query.extent - 1);
}

bool attend_hull_find(const attend *x, const fv_axis *query, int64_t rows, attend_hull *h, const char **why) {
    fv_ctx *c = x->l->ctx;
    *h = (attend_hull){.query = *query};
    *why = "several key sets, or no keys and values of one";
    if (x->n_sets != 1 || !x->set[0].k.value || !x->set[0].v.value) return false;
    index_walk w = {.query = fv_axis_ref(c, query->name)};
    fv_visit(x->set[0].k.value, visit_index, &w);
    fv_visit(x->set[0].v.value, visit_index, &w);
    *why = "keys and values read the query axis in different ways";
    if (!w.index || w.several) return false;
    phase_walk ph = {w.query, 1};
    fv_visit(w.index, visit_phase, &ph);
    h->phase = ph.modulus;
    h->i = h->phase == 1 ? query->name : fv_internf(c, "%s.i", fv_cstr(c, query->name));
    h->g = fv_internf(c, "%s.g", fv_cstr(c, query->name));
    h->y = fv_internf(c, "%s.y", fv_cstr(c, query->name));
    const fv_expr *i = fv_axis_ref(c, h->i), *g = phase_coord(c, h);
    fv_facts f = {0};
    copy_facts(c, &f, &x->set[0].facts);
    phase_facts(c, h, &f);
    fv_binding b = {w.query, fv_add(c, fv_muli(c, i, h->phase), g)};
    const fv_expr *index = fv_simplify(c, &f, fv_subst(c, w.index, &b, 1)), *rest = NULL;
    int64_t coef = 0;
    *why = "the index is not a start plus a multiple of one tap";
    for (int j = 0; j < x->set[0].set->n_over; j++) {
        const fv_axis *t = &x->set[0].set->over[j];
        if (!fv_uses_axis(index, t->name)) continue;
        if (rest || !fv_split_affine(c, index, fv_axis_ref(c, t->name), &coef, &rest)) return false;
        h->tap = *t;
    }
    if (!rest || coef != h->phase) return false;
    h->start = fv_simplify(c, &f, fv_op2(c, FV_X_FLOORDIV, fv_sub(c, rest, g), fv_int(c, h->phase)));
    const fv_expr *back = fv_simplify(c, &f, fv_sub(c, fv_add(c, fv_muli(c, h->start, h->phase), g), rest));
    int64_t zero;
    if (!fv_is_int(back, &zero) || zero != 0) return false;
    *why = "the start of the window is not monotone in the query";
    int direction = fv_monotone(&f, h->start, i);
    if (direction != 1 && direction != 0) return false;
    int64_t longest = (query->extent + h->phase - 1) / h->phase;
    const fv_sched_entry *wished = fv_schedule_get(lower_wish(x->l), FV_F_TILE, h->i);
    if (wished) rows = wished->item[0].step;
    h->rows = rows < longest ? rows : longest;
    h->keys = largest(h, c);
    return true;
}

static void substitute(attend *x, const fv_binding *b, int n, const fv_facts *f) {
    fv_ctx *c = x->l->ctx;
    attend_set *s = &x->set[0];
    s->k.value = fv_simplify(c, f, fv_subst(c, s->k.value, b, n));
    s->v.value = fv_simplify(c, f, fv_subst(c, s->v.value, b, n));
    if (s->exists) s->exists = fv_simplify(c, f, fv_subst(c, s->exists, b, n));
    for (int j = 0; j < s->n_scores; j++) s->score[j] = fv_subst(c, s->score[j], b, n);
    if (s->weight) s->weight = fv_subst(c, s->weight, b, n);
}
void attend_hull_declare(attend_program *p, const attend_hull *h) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    lower_kernel *k = &p->k;
    const fv_expr *i = fv_axis_ref(c, h->i), *g = phase_coord(c, h);
    int64_t longest = (h->query.extent + h->phase - 1) / h->phase;
    if (h->phase > 1) lower_grid(k, h->g, 0, h->phase);
    lower_grid(k, h->i, lower_tile(k, h->i, h->rows, longest), longest);
    const fv_expr *limit =
        fv_op2(c, FV_X_FLOORDIV, fv_sub(c, fv_int(c, h->query.extent + h->phase - 1), g), fv_int(c, h->phase));
    limit = k->grid[k->n_grid - 1].limit = fv_simplify(c, &k->facts, limit);
    if (h->phase > 1) fv_facts_add(c, &k->facts, fv_add(c, fv_muli(c, i, h->phase), g), 0, h->query.extent - 1);
    const fv_expr *base = fv_var(c, fv_base_name(c, h->i), FV_I32);
    const fv_expr *last = fv_op2(c, FV_X_MIN, fv_addi(c, base, h->rows - 1), fv_addi(c, limit, -1));
    fv_binding first = {i, base}, final = {i, last};
    fv_stmt *s = lower_stmt(k, &k->body, FV_S_AXIS, NULL);
    s->n_axes = 1;
    s->axis = FV_NEW(c, fv_tile_axis);
    *s->axis = (fv_tile_axis){.name = h->y,
                              .tile = h->keys,
                              .base = fv_subst(c, h->start, &first, 1),
                              .limit = fv_addi(c, fv_subst(c, h->start, &final, 1), h->tap.extent)};
    fv_range reach = fv_range_of(&k->facts, h->start);  /* of starts; a border may let them leave the keys */
    fv_facts_add(c, &k->facts, fv_axis_ref(c, h->y), reach.lo, reach.hi + h->tap.extent - 1);
    lower_inner_axis(k, h->y, h->keys, longest);
    p->tile[p->n_tile++] = h->i;
    /* Tap = y - start(i), where that is one. */
    const fv_expr *u = fv_sub(c, fv_axis_ref(c, h->y), h->start);
    fv_binding b[2] = {{fv_axis_ref(c, h->query.name), fv_add(c, fv_muli(c, i, h->phase), g)},
                       {fv_axis_ref(c, h->tap.name), u}};
    fv_facts f = {0};
    copy_facts(c, &f, &x->set[0].facts);
    copy_facts(c, &f, &k->facts);
    int from = h->phase == 1 ? 1 : 0;
    substitute(x, b + from, 2 - from, &f);
    const fv_expr *in = fv_and(c, fv_op2(c, FV_X_LE, fv_int(c, 0), u), fv_op2(c, FV_X_LT, u, fv_int(c, h->tap.extent)));
    x->set[0].exists = fv_and(c, in, x->set[0].exists);
    p->in_hull = fv_and(c, p->in_hull, in);
    if (h->phase == 1) return;
    if (x->query) x->query = fv_subst(c, x->query, b, 1);
    p->row_binding[p->n_row_bindings++] = b[0];
}
