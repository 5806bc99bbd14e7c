/* Meaning by expansion (language.md section 4, 8): an attend that no fused strategy takes becomes products, reductions
 * and maps. The graph is built anew, node by node, with these attends replaced; everything else is copied. Also a
 * strategy of its own for differential tests. */
#include "lower/expand.h"

#include <math.h>
#include <string.h>

typedef lower_rebuild copy;
typedef struct {
    fv_axis axis[FV_MAX_AXES];
    int n;
} axes;

/* -- Copying
 * -------------------------------------------------------------------------------------------------------------------
 */
static const fv_expr *map_read(fv_ctx *c, const fv_expr *e, void *user) {
    const copy *k = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return e;
    const fv_value *old = fv_value_of(e->ref);
    fv_value *v = k->map[old->id];
    const fv_expr *arg[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) { /* by axis name: the copy may list its axes in another order */
        int a = fv_value_axis(old, v->axis[i].name);
        arg[i] = e->arg[a];
    }
    return fv_read(c, &v->obj, arg, v->obj.rank, e->i ? e->arg[e->n - 1] : NULL);
}
const fv_expr *lower_rebuild_expr(copy *k, const fv_expr *e) {
    return e ? fv_rewrite(k->to->ctx, e, map_read, k) : NULL;
}
static const fv_expr *mapped(copy *k, const fv_expr *e) { return lower_rebuild_expr(k, e); }
static fv_value *value(copy *k, fv_value *v) { return v ? k->map[v->id] : NULL; }
static void leaf(copy *k, const fv_node *n) {
    const fv_leaf_node *l = &n->u.leaf;
    const fv_value *v = n->result[0];
    fv_value *r = n->op == FV_NODE_INPUT
                      ? fv_graph_input(k->to, n->loc, l->name, v->obj.type, v->axis, v->obj.rank, &l->stored)
                  : n->op == FV_NODE_PARAM
                      ? fv_graph_param(k->to, n->loc, l->name, v->obj.type, v->axis, v->obj.rank, &l->stored)
                      : fv_graph_state(k->to, n->loc, l->name, v->obj.type, v->axis, v->obj.rank, &l->stored);
    if (r) r->node->u.leaf.stored_type = l->stored_type;
    if (r && v->obj.ranged) {
        r->obj.ranged = true;
        r->obj.lo = v->obj.lo;
        r->obj.hi = v->obj.hi;
    }
    k->map[v->id] = r;
}
static void read_copy(copy *k, const fv_node *n) {
    const fv_read_node *r = &n->u.read;
    fv_value *src = k->map[r->src->id];
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < src->obj.rank; i++) index[i] = mapped(k, r->index[fv_value_axis(r->src, src->axis[i].name)]);
    k->map[n->result[0]->id] = fv_graph_read(k->to, n->loc, src, n->result[0]->axis, n->result[0]->obj.rank, index,
                                             r->border, r->number, mapped(k, r->only));
}
static void attend_copy(copy *k, const fv_node *n) {
    fv_ctx *c = k->to->ctx;
    fv_attend_node a = n->u.attend;
    a.q = value(k, a.q);
    fv_attend_set *set = FV_NEWN(c, fv_attend_set, a.n_sets + 1);
    for (int i = 0; i < a.n_sets; i++) {
        set[i] = a.set[i];
        set[i].k = value(k, a.set[i].k);
        set[i].v = value(k, a.set[i].v);
        set[i].s = value(k, a.set[i].s);
        set[i].only = value(k, a.set[i].only);
        set[i].raw = value(k, a.set[i].raw);
        set[i].weight = value(k, a.set[i].weight);
        set[i].score = FV_NEWN(c, fv_value *, a.set[i].n_scores + 1);
        set[i].p = a.set[i].p ? FV_NEWN(c, fv_value *, a.set[i].n_scores + 1) : NULL;
        for (int j = 0; j < a.set[i].n_scores; j++) {
            set[i].score[j] = value(k, a.set[i].score[j]);
            if (set[i].p) set[i].p[j] = value(k, a.set[i].p[j]);
        }
    }
    a.set = set;
    const fv_value *made = fv_graph_attend(k->to, n->loc, &a, NULL);
    for (int i = 0; made && i < n->n_results; i++) k->map[n->result[i]->id] = made->node->result[i];
}
static fv_value **values(copy *k, fv_value *const *list, int n) {
    fv_value **r = FV_NEWN(k->to->ctx, fv_value *, n + 1);
    for (int i = 0; i < n; i++) r[i] = value(k, list[i]);
    return r;
}
static void scan_copy(copy *k, const fv_node *n) {
    fv_scan_node s = n->u.scan;
    s.init = values(k, s.init, s.n_states);
    s.state = values(k, s.state, s.n_states);
    s.next = values(k, s.next, s.n_states);
    s.element_src = values(k, s.element_src, s.n_elements);
    s.element = values(k, s.element, s.n_elements);
    s.output = value(k, s.output);
    fv_node *r = fv_graph_scan(k->to, n->loc, &s);
    for (int i = 0; r && i < n->n_results; i++) k->map[n->result[i]->id] = r->result[i];
    if (!r) k->failed = true;
}
void lower_rebuild_node(copy *k, const fv_node *n) {
    const fv_value *v = n->result[0];
    switch (n->op) {
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_STATE: leaf(k, n); return;
    case FV_NODE_CONST:
        k->map[v->id] = fv_graph_const(k->to, n->loc, v->obj.type, v->axis, v->obj.rank, n->u.constant.data);
        break;
    case FV_NODE_PLACEHOLDER:
        k->map[v->id] = fv_graph_placeholder(k->to, n->loc, fv_cstr(k->to->ctx, n->u.placeholder.what), v->obj.type,
                                             v->axis, v->obj.rank, v->partial);
        break;
    case FV_NODE_READ: read_copy(k, n); return;
    case FV_NODE_CONCAT: {
        fv_value *part[64];
        for (int i = 0; i < n->u.concat.n && i < 64; i++) part[i] = value(k, n->u.concat.part[i]);
        if (n->u.concat.n > 64) k->failed = true;
        else k->map[v->id] = fv_graph_concat(k->to, n->loc, n->u.concat.axis, part, n->u.concat.n);
        break;
    }
    case FV_NODE_COMPUTE: {
        const fv_compute_node *m = &n->u.compute;
        k->map[v->id] = fv_graph_compute(k->to, n->loc, m->monoid, v->axis, v->obj.rank, m->over, m->n_over,
                                         mapped(k, m->body), mapped(k, m->only), mapped(k, m->otherwise));
        break;
    }
    case FV_NODE_ATTEND: attend_copy(k, n); return;
    case FV_NODE_TOPK: {
        const fv_topk_node *t = &n->u.topk;
        fv_node *r = fv_graph_topk(k->to, n->loc, value(k, t->src), t->over, t->n_over, t->k, t->name, t->ascending);
        for (int i = 0; r && i < n->n_results; i++) k->map[n->result[i]->id] = r->result[i];
        if (!r) k->failed = true;
        return;
    }
    case FV_NODE_SCAN: scan_copy(k, n); return;
    case FV_NODE_COUNT: k->failed = true; break;
    }
    if (v->obj.ranged && k->map[v->id] && !k->map[v->id]->obj.ranged) {
        k->map[v->id]->obj.ranged = true;
        k->map[v->id]->obj.lo = v->obj.lo;
        k->map[v->id]->obj.hi = v->obj.hi;
    }
}

void lower_rebuild_outputs(copy *k) {
    for (int o = 0; o < k->from->n_outputs && !k->failed; o++) {
        const fv_output *out = &k->from->output[o];
        fv_value *v = k->map[out->value->id];
        fv_stored s = out->stored;
        for (int d = 0; d < s.rank; d++)
            for (int j = 0; j < s.dim[d].n; j++)
                s.dim[d].axis[j] = fv_value_axis(v, out->value->axis[s.dim[d].axis[j]].name);
        if (!fv_graph_output(k->to, out->loc, out->entry, out->name, v, &s)) k->failed = true;
    }
}

/* -- Expanding
 * --------------------------------------------------------------------------------------------------------------------
 */
static axes axes_of(const fv_value *v) {
    axes a = {.n = v->obj.rank};
    memcpy(a.axis, v->axis, sizeof *a.axis * (size_t)a.n);
    return a;
}
static void add_axes(axes *to, const fv_axis *axis, int n) {
    for (int i = 0; i < n; i++) {
        bool has = false;
        for (int j = 0; j < to->n; j++) has |= fv_str_eq(to->axis[j].name, axis[i].name);
        if (!has) to->axis[to->n++] = axis[i];
    }
}
static axes without(const axes *a, const fv_str *drop, int n) {
    axes r = {.n = 0};
    for (int i = 0; i < a->n; i++) {
        bool gone = false;
        for (int j = 0; j < n; j++) gone |= fv_str_eq(a->axis[i].name, drop[j]);
        if (!gone) r.axis[r.n++] = a->axis[i];
    }
    return r;
}
static const fv_expr *self(copy *k, const fv_value *v) { return fv_value_at_self(k->to->ctx, v); }
static fv_value *map_over(copy *k, fv_loc loc, const axes *a, const fv_expr *e) {
    return fv_graph_compute(k->to, loc, FV_MONOID_NONE, a->axis, a->n, NULL, 0, e, NULL, NULL);
}

typedef struct {
    const fv_attend_set *set;
    axes pair; /* Q and over */
    fv_str key[FV_MAX_AXES];
    const fv_expr *exists; /* over pair; NULL: always */
    fv_value *p[8];        /* scores, then what the steps make of them */
} part;
/* Some elements of a partial operand exist: all of an operand's elements at one pair exist or none does. */
static const fv_expr *present(copy *k, fv_loc loc, fv_value *v, const axes *pair) {
    fv_axis keep[FV_MAX_AXES], over[FV_MAX_AXES];
    int n = 0, m = 0;
    for (int i = 0; i < v->obj.rank; i++) {
        bool in = false;
        for (int j = 0; j < pair->n; j++) in |= fv_str_eq(pair->axis[j].name, v->axis[i].name);
        if (in) keep[n++] = v->axis[i];
        else over[m++] = v->axis[i];
    }
    fv_value *count = fv_graph_compute(k->to, loc, FV_MONOID_COUNT, keep, n, over, m, self(k, v), NULL, NULL);
    return count ? fv_op2(k->to->ctx, FV_X_LT, fv_int(k->to->ctx, 0), self(k, count)) : NULL;
}
/* Makes the inner nodes of an attend whose placeholders have values by now, in order. */
typedef struct {
    const copy *k;
    bool ready;
} ready_walk;
static void is_ready(const fv_value *v, void *user) {
    ready_walk *w = user;
    if (!w->k->map[v->id]) w->ready = false;
}
static void replay(copy *k, const fv_node *attend, int from) {
    for (int i = from; i < attend->id; i++) {
        const fv_node *n = k->from->node[i];
        if (!k->live[i] || !k->inner[i] || n->op == FV_NODE_PLACEHOLDER || k->map[n->result[0]->id]) continue;
        ready_walk w = {k, true};
        fv_node_operands(n, is_ready, &w);
        if (w.ready) lower_rebuild_node(k, n);
    }
}
static fv_value *reduce_over(copy *k, fv_loc loc, fv_monoid m, const axes *a, const fv_str *over, int n,
                             const fv_expr *e, const fv_expr *only) {
    fv_axis gone[FV_MAX_AXES];
    int g = 0;
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < n; j++)
            if (fv_str_eq(a->axis[i].name, over[j])) gone[g++] = a->axis[i];
    axes keep = without(a, over, n);
    if (!n)                                             /* one element, or nothing */
        return fv_graph_compute(k->to, loc, FV_MONOID_NONE, keep.axis, keep.n, NULL, 0, e, only,
                                fv_float(k->to->ctx, m == FV_MONOID_MAX ? -(double)INFINITY : 0));
    return fv_graph_compute(k->to, loc, m, keep.axis, keep.n, gone, g, e, only, NULL);
}
/* One step for score j: over named axes of the one set, or over the keys of all sets. Returns the maximum and the sum
 * through m and l. */
static void expand_step(copy *k, fv_loc loc, const fv_attend_step *st, part *part_, int n, int j, fv_value **m,
                        fv_value **l) {
    fv_ctx *c = k->to->ctx;
    const fv_expr *top = NULL, *sum = NULL;
    axes keep = {.n = 0};
    const fv_expr *e[64];
    if (!st->ratio) {
        for (int i = 0; i < n; i++) {
            const fv_str *over = st->n_axes ? st->axis : part_[i].key;
            int count = st->n_axes ? st->n_axes : part_[i].set->n_over;
            fv_value *v = reduce_over(k, loc, FV_MONOID_MAX, &part_[i].pair, over, count, self(k, part_[i].p[j]),
                                      part_[i].exists);
            if (!v) {
                k->failed = true;
                return;
            }
            keep = axes_of(v);
            top = top ? fv_op2(c, FV_X_MAX, top, self(k, v)) : self(k, v);
        }
        *m = map_over(k, loc, &keep, top);
        if (!*m) {
            k->failed = true;
            return;
        }
    }
    for (int i = 0; i < n; i++) {
        e[i] = self(k, part_[i].p[j]);
        if (!st->ratio) e[i] = fv_op1(c, FV_X_EXP, fv_sub(c, e[i], fv_op1(c, FV_X_SAFE, self(k, *m))));
        const fv_str *over = st->n_axes ? st->axis : part_[i].key;
        int count = st->n_axes ? st->n_axes : part_[i].set->n_over;
        fv_value *v = reduce_over(k, loc, FV_MONOID_SUM, &part_[i].pair, over, count, e[i], part_[i].exists);
        if (!v) {
            k->failed = true;
            return;
        }
        keep = axes_of(v);
        sum = sum ? fv_add(c, sum, self(k, v)) : self(k, v);
    }
    *l = map_over(k, loc, &keep, sum);
    if (!*l) {
        k->failed = true;
        return;
    }
    const fv_expr *d = self(k, *l);
    if (st->ratio)
        d = st->has_floor ? fv_op2(c, FV_X_MAX, d, fv_float(c, st->floor)) : fv_add(c, d, fv_float(c, st->eps));
    for (int i = 0; i < n; i++) {
        const fv_expr *q = fv_op2(c, FV_X_DIV, e[i], d);
        if (!st->ratio) q = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_EQ, d, fv_float(c, 0)), fv_float(c, 0), q);
        if (part_[i].exists) q = fv_op3(c, FV_X_WHERE, part_[i].exists, q, fv_float(c, 0));
        part_[i].p[j] = map_over(k, loc, &part_[i].pair, q);
        if (!part_[i].p[j]) {
            k->failed = true;
            return;
        }
    }
}
static void expand(copy *k, const fv_node *n, int inner_from) {
    fv_ctx *c = k->to->ctx;
    const fv_attend_node *a = &n->u.attend;
    fv_loc loc = n->loc;
    part *parts = FV_NEWN(c, part, a->n_sets + 1);
    const fv_value *lead = a->q ? a->q : a->set[0].s, *out = n->result[0];
    axes q = {.n = 0};
    for (int i = 0; i < out->obj.rank; i++) {
        bool dot = false;
        for (int d = 0; d < a->n_dot; d++) dot |= fv_str_eq(a->dot[d].name, out->axis[i].name);
        if (!dot && fv_value_axis(lead, out->axis[i].name) >= 0) q.axis[q.n++] = out->axis[i];
    }
    for (int i = 0; i < a->n_sets && !k->failed; i++) {
        const fv_attend_set *s = &a->set[i];
        part *p = &parts[i];
        p->set = s;
        p->pair = q;
        add_axes(&p->pair, s->over, s->n_over);
        for (int j = 0; j < s->n_over; j++) p->key[j] = s->over[j].name;
        fv_value *kv = value(k, s->k), *vv = value(k, s->v), *only = value(k, s->only);
        if (s->raw) {
            fv_value *raw = fv_graph_compute(k->to, loc, FV_MONOID_SUM, p->pair.axis, p->pair.n, a->dot, a->n_dot,
                                             fv_mul(c, self(k, value(k, a->q)), self(k, kv)), NULL, NULL);
            k->map[s->raw->id] = raw;
            if (!raw) {
                k->failed = true;
                return;
            }
        }
        replay(k, n, inner_from);
        if (kv && kv->partial) p->exists = fv_and(c, p->exists, present(k, loc, kv, &p->pair));
        if (vv && vv->partial) p->exists = fv_and(c, p->exists, present(k, loc, vv, &p->pair));
        if (only) p->exists = fv_and(c, p->exists, fv_to_bool(c, self(k, only)));
        for (int j = 0; j < s->n_scores && j < 8; j++) { /* a pair without one of its scores is no pair */
            fv_value *score = value(k, s->score[j]);
            if (score && score->partial) p->exists = fv_and(c, p->exists, present(k, loc, score, &p->pair));
            p->p[j] = map_over(k, loc, &p->pair, self(k, score));
        }
    }
    fv_value *m = NULL, *l = NULL;
    for (int j = 0; j < a->set[0].n_scores && !k->failed; j++)
        for (int i = 0; i < a->n_steps && !k->failed; i++)
            expand_step(k, loc, &a->step[i], parts, a->n_sets, j, &m, &l);
    const fv_expr *sum = NULL;
    axes all = axes_of(out);
    for (int i = 0; i < a->n_sets && !k->failed; i++) {
        const fv_attend_set *s = &a->set[i];
        fv_value *w = parts[i].p[0];
        if (s->weight) {
            for (int j = 0; j < s->n_scores; j++) k->map[s->p[j]->id] = parts[i].p[j];
            replay(k, n, inner_from);
            w = value(k, s->weight);
        }
        fv_value *v = value(k, s->v);
        const fv_expr *e = fv_mul(c, self(k, w), v ? self(k, v) : fv_float(c, s->v_number));
        axes pair = all;
        add_axes(&pair, s->over, s->n_over);
        fv_value *o = reduce_over(k, loc, FV_MONOID_SUM, &pair, parts[i].key, s->n_over, e, parts[i].exists);
        if (!o) {
            k->failed = true;
            return;
        }
        sum = sum ? fv_add(c, sum, self(k, o)) : self(k, o);
    }
    if (k->failed) return;
    k->map[out->id] = map_over(k, loc, &all, sum);
    if (n->n_results < 2) return;
    axes rows = axes_of(n->result[1]);
    const fv_expr *lse = fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_EQ, self(k, l), fv_float(c, 0)), fv_float(c, -INFINITY),
                                fv_add(c, self(k, m), fv_op1(c, FV_X_LOG, self(k, l))));
    k->map[n->result[1]->id] = map_over(k, loc, &rows, lse);
}

/* -- Which, and the whole graph
 * --------------------------------------------------------------------------------------------------- */
static bool step_over_queries(const fv_attend_node *a) {
    for (int i = 0; i < a->n_steps; i++) {
        if (!a->step[i].n_axes) continue;
        if (a->n_sets != 1 || a->step[i].n_axes != a->set[0].n_over) return true;
        for (int j = 0; j < a->step[i].n_axes; j++) {
            bool key = false;
            for (int q = 0; q < a->set[0].n_over; q++) key |= fv_str_eq(a->set[0].over[q].name, a->step[i].axis[j]);
            if (!key) return true;
        }
    }
    return false;
}
static bool wants_expansion(const copy *k, const fv_node *n) {
    if (n->op != FV_NODE_ATTEND || !k->live[n->id]) return false;
    return ((k->all || step_over_queries(&n->u.attend)) && n->u.attend.set[0].n_scores <= 8 &&
            n->u.attend.n_sets <= 64) || lower_keys_first(k, n);
}
/* Is a node inside of an attend that is expanded? It is built with it. */
static bool replayed(const copy *k, const fv_bound_sets *sets, const fv_node *n) {
    for (int p = 0; k->inner[n->id] && p < sets->n; p++)
        if (sets->owner[p] && wants_expansion(k, sets->owner[p]) && fv_bound_sets_has(sets, n, p)) return true;
    return false;
}
fv_graph *lower_expand_attends(fv_graph *g, bool all) {
    fv_ctx *c = g->ctx;
    bool *live = FV_NEWN(c, bool, g->n_nodes + 1), *inner = FV_NEWN(c, bool, g->n_nodes + 1), any = false;
    fv_graph_live(g, live);
    fv_graph_inner(g, inner);
    copy k = {.from = g, .live = live, .inner = inner, .all = all};
    for (int i = 0; i < g->n_nodes; i++) any |= wants_expansion(&k, g->node[i]);
    if (!any) return g;
    k.to = fv_graph_new(c, fv_cstr(c, g->name));
    k.map = FV_NEWN(c, fv_value *, g->n_values + 1);
    const fv_bound_sets *sets = fv_graph_bound_sets(g);
    int inner_from = 0;
    for (int i = 0; i < g->n_nodes && !k.failed; i++) {
        const fv_node *n = g->node[i];
        if (!live[i] || replayed(&k, sets, n)) continue;
        if (wants_expansion(&k, n)) {
            if (!k.all && lower_keys_first(&k, n)) lower_associate(&k, n);
            else expand(&k, n, inner_from);
        }
        else lower_rebuild_node(&k, n);
        if (n->op == FV_NODE_ATTEND) inner_from = i + 1;
        for (int r = 0; r < n->n_results; r++)
            if (!k.map[n->result[r]->id]) k.failed = true;
    }
    lower_rebuild_outputs(&k);
    return k.failed ? NULL : k.to;
}
