/* The nest of a group. Loops in nest order; accumulators are registers, opened just outside the first serial reduced
 * loop and closed after it, where the tail runs on them (output-stationary); if a free loop stands inside a reduced
 * one, the targets are read and written in memory by every innermost pass instead (operand-stationary). Conjuncts of a
 * `where` become conditions at the outermost place where they are scalars. Invariant: a target is written for every
 * valid point of its axes, also where every reduced point is excluded. */
#include "kernel/flatten_nest.h"

/* -- Loops ------------------------------------------------------------------------------------------------------- */
typedef struct {
    fl_nesting *n;
    int i;
    bool opened;
} step;
static void outer(fl_nesting *n, int i);
static void stepped(fl *f, void *user) {
    step *s = user;
    (void)f;
    if (s->opened) fl_inner(s->n, s->i + 1);
    else outer(s->n, s->i + 1);
}
void fl_inner(fl_nesting *n, int i) {
    if (fl_take_conditions(n, i)) return;
    if (i == n->n_seq) {
        fl_leaf(n);
        return;
    }
    step s = {n, i, true};
    fl_loop(n->f, &n->item[n->seq[i]], stepped, &s);
}
static void outer(fl_nesting *n, int i) {
    if (i == n->open_at) {
        if (!n->stream) fl_open_all(n);
        fl_inner(n, i);
        if (!n->stream) fl_close_all(n);
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
static void sequence(fl_nesting *n) {
    for (int j = 0; j < n->n_items; j++)
        if (!n->item[j].red && n->item[j].step >= n->item[j].ax->tile) n->seq[n->n_seq++] = j;
    for (int j = 0; j < n->n_items;
         j++) /* whole constant reduced axes are no loops: bound before the accumulators' reads */
        if (n->item[j].red || n->item[j].step < n->item[j].ax->tile) n->seq[n->n_seq++] = j;
    n->open_at = n->n_seq;
    for (int j = n->n_seq - 1; j >= 0; j--)
        if (n->item[n->seq[j]].red) n->open_at = j;
}
/* Free loops that stand after the first reduced item only because it is unrolled go before it. */
static void free_before_unrolled(fl_nesting *n) {
    int sorted[FV_MAX_AXES], m = 0;
    if (n->stream) return;
    for (int j = 0; j < n->n_seq; j++)
        if (!n->item[n->seq[j]].red) sorted[m++] = n->seq[j];
    for (int j = 0; j < n->n_seq; j++)
        if (n->item[n->seq[j]].red) sorted[m++] = n->seq[j];
    for (int j = 0; j < m; j++) n->seq[j] = sorted[j];
    n->open_at = m;
    for (int j = m - 1; j >= 0; j--)
        if (n->item[sorted[j]].red) n->open_at = j;
}
static void init_target(fl *f, const fv_stmt *s) {
    fv_stmt *map = fv_stmt_new(f->ctx, FV_S_MAP, s->loc);
    fl_group *g = FV_NEW(f->ctx, fl_group);
    map->target = s->target;
    fl_member tmp = {.s = s};
    map->expr = fl_neutral(f, tmp.s);
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
/* -- Conditions that one scalar decides for the whole nest: two nests -------------------------------------------- */
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
    if (g->n_body != 1 || !g->body[0].reduces) return fl_with_slack(f, g, one_nest);
    fl_split_where(&m, m.s->where);
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
    return fl_with_slack(f, g, one_nest);
}
static bool one_nest(fl *f, fl_group *g) {
    fl_nesting *n = FV_NEW(f->ctx, fl_nesting);
    n->f = f;
    n->g = g;
    f->label = g->body[0].s->label;
    for (int j = 0; j < g->n_body; j++) fl_split_where(&g->body[j], g->body[j].s->where);
    g->pair = g->n_body == 1 && g->body[0].reduces ? fl_pair_axis(f, g->body[0].s, g->lane) : NULL;
    if (fl_fragments(f, g)) {
        separate_tails(f, g);
        return !f->failed;
    }
    if (f->failed || !fl_order(f, g, n->item, &n->n_items)) return false;
    for (int j = 0; j < n->n_items && g->pair; j++)
        if (n->item[j].ax == g->pair) n->pairs = n->item[j].unroll && n->item[j].step == 2;
    n->stream = fl_is_stream(n->item, n->n_items);
    for (int j = 0; j < n->n_items; j++)
        if (n->item[j].lane && n->item[j].red) n->stream = false;
    for (int j = 0; j < g->n_body; j++)
        if (g->body[j].s->write == FV_W_ARGMAX || g->body[j].s->otherwise) n->stream = false;
    for (int j = 0; j < g->n_body && n->stream; j++)
        if (g->body[j].reduces && !fl_accumulates(g->body[j].s)) init_target(f, g->body[j].s);
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
