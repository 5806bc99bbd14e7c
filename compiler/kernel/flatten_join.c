/* Joining: a run of statements that can share one nest. B joins the body if its points are those of the run (free and
 * reduced axes together), its lanes too, and nothing it reads is written by another point of the run; a map or store
 * over the free axes of the run's reductions becomes their tail, on the accumulators. Legality is a question of names:
 * which memory is read or written, and whether only at the same point. */
#include "kernel/flatten.h"

typedef struct {
    const fv_obj *o;
    bool any, elsewhere;
} reading;
static bool at_own_axes(const fv_expr *read) {
    if (read->ref->kind != FV_OBJ_BUFFER) return false;
    const fv_buffer *b = (const fv_buffer *)read->ref;
    for (int j = 0; j < b->obj.rank; j++)
        if (read->arg[j]->op != FV_X_AXIS || !fv_str_eq(read->arg[j]->name, b->axis[j])) return false;
    return true;
}
static bool note_read(const fv_expr *e, void *user) {
    reading *r = user;
    if (e->op != FV_X_READ || e->ref != r->o) return false;
    r->any = true;
    r->elsewhere |= !at_own_axes(e);
    return false;
}
static reading reads(const fv_stmt *s, const fv_obj *o) {
    reading r = {o, false, false};
    fv_visit(s->expr, note_read, &r);
    if (s->where) fv_visit(s->where, note_read, &r);
    if (s->otherwise) fv_visit(s->otherwise, note_read, &r);
    for (int j = 0; s->kind == FV_S_STORE && j < s->target->rank; j++) fv_visit(s->index[j], note_read, &r);
    return r;
}
static bool reduces(const fv_stmt *s) { return s->kind == FV_S_REDUCE || s->kind == FV_S_CONTRACT; }

/* May b run at each point right after a, instead of after all points of a? */
static bool independent(const fv_stmt *a, const fv_stmt *b) {
    reading ba = reads(b, a->target), ab = reads(a, b->target);
    if (a->target == b->target && (reduces(a) || reduces(b) || a->kind == FV_S_STORE)) return false;
    if (ba.any && (reduces(a) || ba.elsewhere || a->kind == FV_S_STORE)) return false;
    if (ab.any && (reduces(b) || ab.elsewhere || b->kind == FV_S_STORE)) return false;
    return true;
}
/* May b run on the accumulators of a's block, where a reduces (or maps at points that b's axes do not tell apart)? */
static bool may_follow(const fv_stmt *a, const fv_stmt *b) {
    reading ba = reads(b, a->target), ab = reads(a, b->target);
    if (a->kind == FV_S_STORE) return !ba.any && a->target != b->target;
    if (ab.any) return false;
    if (!reduces(a)) return !ba.any && a->target != b->target;
    return !ba.elsewhere;
}
static bool same_set(fl_axis *const *a, int n, fl_axis *const *b, int m) {
    if (n != m) return false;
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int j = 0; j < m; j++) found |= a[i] == b[j];
        if (!found) return false;
    }
    return true;
}
static bool joins_body(fl *f, const fl_group *g, const fv_stmt *s) {
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    if (g->n_tail || g->n_body == FL_MAX_GROUP || s->write == FV_W_ARGMAX || !same_set(axes, n, g->axis, g->n_axes))
        return false;
    bool any = false;
    for (int j = 0; j < g->n_body; j++) {
        const fv_stmt *a = g->body[j].s;
        if (a->write == FV_W_ARGMAX || !independent(a, s)) return false;
        any |= g->body[j].reduces;
    }
    if (reduces(s) && any && !same_set(axes, n_free, g->axis, g->n_free)) return false;
    return fl_stmt_lane(f, s) == g->lane;
}
static bool joins_tail(fl *f, const fl_group *g, const fv_stmt *s) {
    fl_axis *axes[FV_MAX_AXES];
    int n_free, n = fl_stmt_axes(f, s, axes, &n_free);
    if ((s->kind != FV_S_MAP && s->kind != FV_S_STORE) || g->n_tail == FL_MAX_GROUP || g->n_free == g->n_axes)
        return false;
    if (!same_set(axes, n, g->axis, g->n_free)) return false;
    if (s->label.i && fv_schedule_get(f->s, FV_F_LANE, s->label) && fl_stmt_lane(f, s) != g->lane) return false;
    for (int j = 0; j < g->n_body; j++)
        if (!may_follow(g->body[j].s, s)) return false;
    for (int j = 0; j < g->n_tail; j++)
        if (!independent(g->tail[j], s)) return false;
    return true;
}
static void set_axes(fl *f, fl_group *g, const fv_stmt *s) { g->n_axes = fl_stmt_axes(f, s, g->axis, &g->n_free); }
static void add(fl_group *g, const fv_stmt *s) {
    fl_member *m = &g->body[g->n_body++];
    m->s = s;
    m->reduces = reduces(s);
}
static bool joinable(const fv_stmt *s) { return s && fv_stmt_is_op(s) && s->kind != FV_S_SCAN && s->kind != FV_S_TOPK; }

const fv_stmt *fl_join(fl *f, const fv_stmt *s, fl_group *g) {
    set_axes(f, g, s);
    g->lane = fl_stmt_lane(f, s);
    add(g, s);
    const fv_stmt *next = s->next;
    for (; joinable(next) && joins_body(f, g, next); next = next->next) {
        bool had = false;
        for (int j = 0; j < g->n_body; j++) had |= g->body[j].reduces;
        if (reduces(next) && !had) set_axes(f, g, next); /* the reduction says which axes are free */
        add(g, next);
    }
    bool any = false;
    for (int j = 0; j < g->n_body; j++) any |= g->body[j].reduces;
    for (; any && joinable(next) && joins_tail(f, g, next); next = next->next) g->tail[g->n_tail++] = next;
    return next;
}
