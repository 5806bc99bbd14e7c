/* Statements of an attend kernel: see attend_program.h. Scores are kept times log2(e), so that every exponential is an
 * exp2. */
#include "lower/attend_program.h"

#include <math.h>
#include <string.h>

static const double LOG2E = 1.4426950408889634074, LN2 = 0.69314718055994530942;

const fv_expr *attend_bind(attend_program *p, int set, const fv_expr *e) {
    if (!e) return NULL;
    if (p->n_row_bindings) e = fv_subst(p->k.l->ctx, e, p->row_binding, p->n_row_bindings);
    e = lower_apply_fused(&p->k, &p->query, e);
    if (set >= 0) e = lower_apply_fused(&p->k, &p->keys[set], e);
    return lower_bind(&p->k, e);
}
static fv_buffer *pair_buffer(attend_program *p, const char *name, int set) {
    fv_str axis[FV_MAX_AXES];
    int n = 0;
    if (!p->key_first)
        for (int i = 0; i < p->n_tile; i++) axis[n++] = p->tile[i];
    for (int i = 0; i < p->n_key[set]; i++) axis[n++] = p->key[set][i];
    if (p->key_first)
        for (int i = 0; i < p->n_tile; i++) axis[n++] = p->tile[i];
    return lower_buffer(&p->k, name, FV_F32, axis, n);
}
static fv_stmt *write_stmt(attend_program *p, fv_stmts *list, fv_stmt_kind kind, const char *label, const fv_buffer *b,
                           fv_write w, const fv_expr *e, int over_set) {
    fv_stmt *s = lower_stmt(&p->k, list, kind, label);
    s->target = &b->obj;
    s->write = w;
    s->expr = e;
    for (int i = 0; over_set >= 0 && i < p->n_key[over_set]; i++) s->over[s->n_over++] = p->key[over_set][i];
    if (over_set >= 0 && !s->n_over) { /* a set of one key: nothing to reduce over */
        fv_ctx *c = p->k.l->ctx;
        const fv_expr *was = lower_buffer_at(&p->k, b);
        s->kind = FV_S_MAP;
        s->write = FV_W_SET;
        if (w == FV_W_ADD) s->expr = fv_add(c, was, e);
        if (w == FV_W_MAXIN) s->expr = fv_op2(c, FV_X_MAX, was, e);
    }
    return s;
}
/* x * a and x / a with a constant a, of a product that has a constant already: one factor for both, and no division.
 * The factor is rounded once more than the author's two steps were: docs/numerics.md. */
static const fv_expr *gather_factors(fv_ctx *c, const fv_expr *e, void *user) {
    (void)user;
    if (e->type != FV_F32 || (e->op != FV_X_MUL && e->op != FV_X_DIV)) return e;
    int at = e->arg[1]->op == FV_X_FLOAT ? 1 : e->op == FV_X_MUL && e->arg[0]->op == FV_X_FLOAT ? 0 : -1;
    if (at < 0) return e;
    const fv_expr *rest = e->arg[1 - at];
    double factor = e->op == FV_X_DIV ? 1 / e->arg[at]->f : e->arg[at]->f;
    int in = rest->op != FV_X_MUL ? -1 : rest->arg[1]->op == FV_X_FLOAT ? 1 : rest->arg[0]->op == FV_X_FLOAT ? 0 : -1;
    if (in >= 0) {
        factor *= rest->arg[in]->f;
        rest = rest->arg[1 - in];
    }
    return isfinite(factor) && factor != 0 ? fv_mul(c, rest, fv_float(c, factor)) : e;
}
static const fv_expr *at(attend_program *p, const fv_buffer *b) { return lower_buffer_at(&p->k, b); }

void attend_query(attend_program *p, fv_stmts *list) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    fv_str axis[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < x->a->n_dot; i++) {
        lower_axis(&p->k, x->a->dot[i].name, x->a->dot[i].extent);
        axis[n++] = x->a->dot[i].name;
    }
    for (int i = 0; i < x->n_e; i++) {
        p->value[i] = lower_value_axis_name(c, x->e[i].name);
        lower_axis(&p->k, p->value[i], x->e[i].extent);
    }
    if (!x->query) return;
    for (int i = 0; i < p->n_tile; i++) axis[n++] = p->tile[i];
    p->qt = lower_buffer(&p->k, "qt", FV_F32, axis, n);
    /* One constant scale for all sets goes into the queries. */
    double scale = 1, factor = 1;
    bool fold = x->a->n_steps == 1 && !x->a->step[0].ratio;
    for (int i = 0; i < x->n_sets && fold; i++) {
        fold = lower_plain_scale(&x->set[i], &factor) && (i == 0 || factor == scale);
        scale = factor;
    }
    if (fold)
        for (int i = 0; i < x->n_sets; i++) p->log2_scale[i] = scale * LOG2E;
    const fv_expr *e = attend_bind(p, -1, x->query);
    if (fold && p->pair_scores && scale > 0) p->exp_scale = scale * LOG2E; /* queries are not rounded again */
    else if (fold) e = fv_mul(c, e, fv_float(c, scale * LOG2E));
    write_stmt(p, list, FV_S_MAP, "qs", p->qt, FV_W_SET, e, -1);
    if (p->pair_scores) attend_pairs_query(p, list);
}

static void products_of_scores(attend_program *p, fv_stmts *list, int i, const fv_buffer *b) {
    const attend *x = p->x;
    fv_stmt *qk = write_stmt(p, list, FV_S_CONTRACT, "qk", b, FV_W_SUM,
                             fv_mul(x->l->ctx, at(p, p->qt), attend_bind(p, i, x->set[i].k.value)), -1);
    for (int d = 0; d < x->a->n_dot; d++) qk->over[qk->n_over++] = x->a->dot[d].name;
    qk->where = attend_bind(p, i, p->in_hull); /* what is left out here, `sc` replaces */
    if (i == 0) p->qk = qk->label;
}
void attend_scores(attend_program *p, fv_stmts *list, int i) {
    attend *x = p->x;
    attend_set *s = &x->set[i];
    fv_ctx *c = x->l->ctx;
    char name[24];
    const fv_expr *raw = NULL;
    bool log2e = x->a->n_steps && !x->a->step[0].ratio;
    for (int j = 0; j < s->n_scores; j++) {
        snprintf(name, sizeof name, "s%d_%d", i, j);
        p->s[i][j] = pair_buffer(p, name, i);
    }
    if (s->set->raw) {
        fv_buffer *b = s->n_scores == 1 ? p->s[i][0] : pair_buffer(p, fv_printf(c, "raw%d", i), i);
        if (p->pair_scores) attend_pairs_scores(p, list, i, b);
        else products_of_scores(p, list, i, b);
        raw = at(p, b);
    }
    if (p->log2_scale[i] != 0 && !s->exists) return;
    for (int j = 0; j < s->n_scores; j++) {
        const fv_expr *e = s->score[j];
        if (raw) e = lower_replace_read(c, e, s->set->raw, raw);
        e = p->log2_scale[i] != 0 ? raw : attend_bind(p, i, e);
        if (log2e && p->log2_scale[i] == 0) e = fv_mul(c, e, fv_float(c, LOG2E));
        e = fv_rewrite(c, e, gather_factors, NULL);
        fv_stmt *sc = write_stmt(p, list, FV_S_MAP, "sc", p->s[i][j], FV_W_SET, e, -1);
        if (i == 0 && j == 0) p->sc = sc->label;
        if (!s->exists) continue;
        sc->where = attend_bind(p, i, s->exists);
        sc->otherwise = fv_float(c, log2e ? -INFINITY : 0);
    }
}

static fv_buffer *row_buffer(attend_program *p, const char *name) {
    return lower_buffer(&p->k, name, FV_F32, p->tile, p->n_tile);
}
static const fv_expr *exp2_of(fv_ctx *c, const fv_expr *s, const fv_expr *m) {
    return fv_op1(c, FV_X_EXP2, fv_sub(c, s, fv_op1(c, FV_X_SAFE, m)));
}

static const fv_expr *scaled(const attend_program *p, const fv_expr *s) {
    fv_ctx *c = p->x->l->ctx;
    return p->exp_scale > 0 ? fv_mul(c, s, fv_float(c, p->exp_scale)) : s;
}
/* Weights that are rounded to bf16 want no exponential of f32; a logarithm of their sum does. */
static void short_exp(attend_program *p, const fv_stmt *ex) {
    const attend *x = p->x;
    bool lse = x->a->lse && x->l->node[x->anchor->result[1]->node->id].role != LOWER_DEAD;
    if (p->pair_sums && !lse) fv_schedule_set_int(x->l->ctx, p->k.schedule, FV_F_EXP, fv_cstr(x->l->ctx, ex->label), 2);
}
/* One step over the keys of all sets, for score j. The last softmax without a weight leaves the division to the store.
 */
static void step(attend_program *p, fv_stmts *list, int j, int at_step, bool defer) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    const fv_attend_step *st = &x->a->step[at_step];
    char name[24];
    snprintf(name, sizeof name, "l%d_%d", at_step, j);
    fv_buffer *l = row_buffer(p, name), *m = NULL;
    if (!st->ratio) {
        name[0] = 'm';
        m = row_buffer(p, name);
        for (int i = 0; i < x->n_sets; i++)
            write_stmt(p, list, FV_S_REDUCE, "mx", m, i || !p->n_key[i] ? (i ? FV_W_MAXIN : FV_W_SET) : FV_W_MAX,
                       at_step ? fv_mul(c, at(p, p->s[i][j]), fv_float(c, LOG2E)) : at(p, p->s[i][j]),
                       i || p->n_key[i] ? i : -1);
        if (p->exp_scale > 0) write_stmt(p, list, FV_S_MAP, "mm", m, FV_W_SET, scaled(p, at(p, m)), -1);
        for (int i = 0; i < x->n_sets; i++) {
            const fv_expr *s =
                at_step ? fv_mul(c, at(p, p->s[i][j]), fv_float(c, LOG2E)) : scaled(p, at(p, p->s[i][j]));
            fv_stmt *ex = write_stmt(p, list, FV_S_MAP, "ex", p->s[i][j], FV_W_SET, exp2_of(c, s, at(p, m)), -1);
            if (defer) short_exp(p, ex);
            if (at_step && x->set[i].exists) {
                ex->where = attend_bind(p, i, x->set[i].exists);
                ex->otherwise = fv_float(c, 0);
            }
        }
    }
    for (int i = 0; i < x->n_sets; i++)
        write_stmt(p, list, FV_S_REDUCE, "ls", l, i || !p->n_key[i] ? (i ? FV_W_ADD : FV_W_SET) : FV_W_SUM,
                   at(p, p->s[i][j]), i || p->n_key[i] ? i : -1);
    if (j == 0 && !st->ratio) {
        p->m = m;
        p->l = l;
    }
    if (defer) return;
    const fv_expr *d = at(p, l);
    if (st->ratio)
        d = st->has_floor ? fv_op2(c, FV_X_MAX, d, fv_float(c, st->floor)) : fv_add(c, d, fv_float(c, st->eps));
    for (int i = 0; i < x->n_sets; i++) {
        const fv_expr *q = fv_op2(c, FV_X_DIV, at(p, p->s[i][j]), d);
        if (!st->ratio) q = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_EQ, d, fv_float(c, 0)), fv_float(c, 0), q);
        fv_stmt *s = write_stmt(p, list, FV_S_MAP, "nm", p->s[i][j], FV_W_SET, q, -1);
        if (st->ratio && x->set[i].exists) {
            s->where = attend_bind(p, i, x->set[i].exists);
            s->otherwise = fv_float(c, 0);
        }
    }
}
static bool has_weight(const attend *x) {
    for (int i = 0; i < x->n_sets; i++)
        if (x->set[i].weight || x->set[i].n_scores > 1) return true;
    return false;
}
static bool deferred(const attend *x) {
    return !has_weight(x) && x->a->n_steps > 0 && !x->a->step[x->a->n_steps - 1].ratio && x->a->n_steps == 1;
}

void attend_resident(attend_program *p, fv_stmts *list) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    for (int j = 0; j < x->set[0].n_scores; j++)
        for (int i = 0; i < x->a->n_steps; i++) step(p, list, j, i, deferred(x));
    for (int i = 0; i < x->n_sets; i++) {
        attend_set *s = &x->set[i];
        if (!s->weight) continue;
        const fv_expr *w = s->weight;
        for (int j = 0; j < s->n_scores; j++) w = lower_replace_read(c, w, s->set->p[j], at(p, p->s[i][j]));
        fv_stmt *st = write_stmt(p, list, FV_S_MAP, "wt", p->s[i][0], FV_W_SET, attend_bind(p, i, w), -1);
        if (s->exists) {
            st->where = attend_bind(p, i, s->exists);
            st->otherwise = fv_float(c, 0);
        }
    }
}

void attend_online(attend_program *p, fv_stmts *list, int set, const fv_expr *full) {
    fv_ctx *c = p->x->l->ctx;
    fv_buffer *t = row_buffer(p, fv_printf(c, "t%d", set)), *al = row_buffer(p, fv_printf(c, "al%d", set)),
              *ct = row_buffer(p, fv_printf(c, "ct%d", set));
    fv_buffer *s = p->s[set][0];
    (void)full;
    write_stmt(p, list, FV_S_REDUCE, "mx", t, FV_W_MAX, at(p, s), set);
    write_stmt(p, list, FV_S_MAP, "mn", t, FV_W_SET, fv_op2(c, FV_X_MAX, scaled(p, at(p, t)), at(p, p->m)), -1);
    write_stmt(p, list, FV_S_MAP, "al", al, FV_W_SET, exp2_of(c, at(p, p->m), at(p, t)), -1);
    short_exp(p, write_stmt(p, list, FV_S_MAP, "ex", s, FV_W_SET, exp2_of(c, scaled(p, at(p, s)), at(p, t)), -1));
    write_stmt(p, list, FV_S_REDUCE, "ls", ct, FV_W_SUM, at(p, s), set);
    write_stmt(p, list, FV_S_MAP, "lu", p->l, FV_W_SET, fv_add(c, fv_mul(c, at(p, p->l), at(p, al)), at(p, ct)), -1);
    write_stmt(p, list, FV_S_MAP, "mu", p->m, FV_W_SET, at(p, t), -1);
    if (p->x->l->t->unit) { /* items would have to agree on the condition first */
        write_stmt(p, list, FV_S_MAP, "rs", p->acc, FV_W_SET, fv_mul(c, at(p, p->acc), at(p, al)), -1);
        return;
    }
    fv_stmt *cond = lower_stmt(&p->k, list, FV_S_IF, NULL);
    cond->expr = fv_op1(c, FV_X_ANY, fv_op2(c, FV_X_NE, at(p, al), fv_float(c, 1)));
    fv_stmts inner = {0};
    write_stmt(p, &inner, FV_S_MAP, "rs", p->acc, FV_W_SET, fv_mul(c, at(p, p->acc), at(p, al)), -1);
    cond->body = inner.first;
}

static const fv_expr *value_of(attend_program *p, int i) {
    const attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    fv_binding b[FV_MAX_AXES];
    if (!x->set[i].v.value) return fv_float(c, x->set[i].set->v_number);
    for (int j = 0; j < x->n_e; j++) b[j] = (fv_binding){fv_axis_ref(c, x->e[j].name), fv_axis_ref(c, p->value[j])};
    return attend_bind(p, i, fv_subst(c, x->set[i].v.value, b, x->n_e));
}
static fv_stmt *sum_stmt(attend_program *p, fv_stmts *list, int i, bool first, bool masked) {
    attend *x = p->x;
    attend_set *s = &x->set[i];
    fv_ctx *c = x->l->ctx;
    const fv_expr *v = value_of(p, i);
    fv_stmt *pv =
        write_stmt(p, list, FV_S_CONTRACT, "pv", p->acc, first ? (p->n_key[i] ? FV_W_SUM : FV_W_SET) : FV_W_ADD,
                   fv_mul(c, at(p, p->s[i][0]), v), first && !p->n_key[i] ? -1 : i);
    if (i == 0) p->pv = pv->label;
    if (masked && s->exists) {
        pv->where = attend_bind(p, i, s->exists);
        if (!p->n_key[i]) pv->otherwise = first ? fv_float(c, 0) : at(p, p->acc);
    }
    return pv;
}
void attend_sum(attend_program *p, fv_stmts *list, int i, bool first, const fv_expr *full) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    if (!x->set[i].v.value && x->set[i].set->v_number == 0 && !first) return;
    if (p->pair_sums) {
        attend_pairs_sum(p, list, i, first, p->s[i][0]->extent[0], value_of(p, i));
        return;
    }
    if (!full || !x->set[i].exists) {
        sum_stmt(p, list, i, first, true);
        return;
    }
    fv_stmt *yes = lower_stmt(&p->k, list, FV_S_IF, NULL);
    fv_stmts a = {0}, b = {0};
    yes->expr = full;
    sum_stmt(p, &a, i, first, false);
    yes->body = a.first;
    fv_stmt *no = lower_stmt(&p->k, list, FV_S_IF, NULL);
    no->expr = fv_op1(c, FV_X_NOT, full);
    sum_stmt(p, &b, i, first, true);
    no->body = b.first;
}

void attend_store(attend_program *p, fv_stmts *list) {
    attend *x = p->x;
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    const fv_value *out = x->final->result[0];
    const fv_expr *o = at(p, p->acc);
    if (deferred(x)) {
        fv_buffer *rl = row_buffer(p, "rl");
        write_stmt(p, list, FV_S_MAP, "rl", rl, FV_W_SET,
                   fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_EQ, at(p, p->l), fv_float(c, 0)), fv_float(c, 0),
                          fv_op2(c, FV_X_DIV, fv_float(c, 1), at(p, p->l))),
                   -1);
        o = fv_mul(c, o, at(p, rl));
    }
    fv_binding b[FV_MAX_AXES];
    for (int j = 0; j < x->n_e; j++) b[j] = (fv_binding){fv_axis_ref(c, x->e[j].name), fv_axis_ref(c, p->value[j])};
    o = attend_bind(p, -1, fv_subst(c, lower_epilogue(&p->k, x->anchor, x->final, o), b, x->n_e));
    const fv_expr *index[FV_MAX_AXES];
    lower_final_coords(l, x->final, index);
    for (int i = 0; i < out->obj.rank; i++) index[i] = attend_bind(p, -1, fv_subst(c, index[i], b, x->n_e));
    lower_store(&p->k, list, "ot", out, index, o, NULL);
    if (p->pair_sums)
        fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, fv_cstr(c, list->last->label), fv_cstr(c, p->value[0]));
    if (!x->a->lse) return;
    const fv_value *lse = x->anchor->result[1];
    if (l->node[lse->node->id].role == LOWER_DEAD) return;
    lower_place_value(l, lse, NULL);
    for (int i = 0; i < lse->obj.rank; i++) index[i] = attend_bind(p, -1, fv_axis_ref(c, lse->axis[i].name));
    const fv_expr *e = fv_add(c, fv_mul(c, at(p, p->m), fv_float(c, LN2)), fv_op1(c, FV_X_LOG, at(p, p->l)));
    e = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_EQ, at(p, p->l), fv_float(c, 0)), fv_float(c, -INFINITY), e);
    lower_store(&p->k, list, "le", lse, index, e, NULL);
}
