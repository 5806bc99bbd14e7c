/* Memory order per edge. Attention that enumerates keys by offset wants its map's axes innermost (lanes run along
 * columns); everything that touches the same points reads and writes that order freely, so the wish spreads along edges
 * that keep the coordinates: maps, products over channels, norms, residual sums. It ends at windows, pools and heads,
 * which read any order. Elsewhere axes that come from weights alone are innermost (channels-last). */
#include "lower/attend.h"

#include <string.h>

typedef struct {
    lower *l;
    int *parent;
    const fv_axis *axis;
    int n;
    const fv_value *result;
} spread;
static int root(int *parent, int i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}
static void join(spread *s, const fv_value *a, const fv_value *b) {
    s->parent[root(s->parent, a->id)] = root(s->parent, b->id);
}
static bool has_axes(const spread *s, const fv_value *v) {
    for (int i = 0; i < s->n; i++) {
        int a = fv_value_axis(v, s->axis[i].name);
        if (a < 0 || v->axis[a].extent != s->axis[i].extent) return false;
    }
    return true;
}
/* A READ of a value at its own coordinates on all map axes joins it with the node's result. */
static bool visit(const fv_expr *e, void *user) {
    spread *s = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return false;
    const fv_value *v = fv_value_of(e->ref);
    if (!has_axes(s, v)) return false;
    for (int i = 0; i < s->n; i++)
        if (e->arg[fv_value_axis(v, s->axis[i].name)] != fv_axis_ref(s->l->ctx, s->axis[i].name)) return false;
    join(s, v, s->result);
    return false;
}
static void spread_node(spread *s, const fv_node *n) {
    s->result = n->result[0];
    if (!has_axes(s, s->result)) return;
    if (n->op == FV_NODE_COMPUTE) {
        fv_visit(n->u.compute.body, visit, s);
    } else if (n->op == FV_NODE_READ) {
        const fv_value *src = n->u.read.src;
        if (!has_axes(s, src)) return;
        for (int i = 0; i < s->n; i++)
            if (n->u.read.index[fv_value_axis(src, s->axis[i].name)] != fv_axis_ref(s->l->ctx, s->axis[i].name)) return;
        join(s, src, s->result);
    } else if (n->op == FV_NODE_ATTEND && n->u.attend.q && has_axes(s, n->u.attend.q))
        join(s, n->u.attend.q, s->result);
    else if (n->op == FV_NODE_CONCAT) {
        for (int i = 0; i < n->u.concat.n; i++)
            if (has_axes(s, n->u.concat.part[i])) join(s, n->u.concat.part[i], s->result);
    }
}
/* The stored values that k and v are views of. */
typedef struct {
    spread *s;
    const fv_value *out;
} key_walk;
static void reach_stored(const fv_value *v, void *user) {
    key_walk *w = user;
    const lower_node *d = &w->s->l->node[v->node->id];
    if (d->role == LOWER_INLINE) fv_node_operands(v->node, reach_stored, w);
    else if (has_axes(w->s, v) && !d->prepare) join(w->s, v, w->out);
}

static const int *map_innermost(lower *l, const fv_value *v, const fv_axis *axis, int n) {
    int *order = FV_NEWN(l->ctx, int, v->obj.rank + 1), k = 0;
    for (int i = 0; i < v->obj.rank; i++) {
        bool in = false;
        for (int j = 0; j < n; j++) in |= fv_str_eq(v->axis[i].name, axis[j].name);
        if (!in) order[k++] = i;
    }
    for (int j = 0; j < n; j++) order[k++] = fv_value_axis(v, axis[j].name);
    return order;
}
/* A reduction of run-time values, one of which has all axes of the result (a pool; a window times a generated kernel),
 * keeps the memory order of that one. */
typedef struct {
    const lower *l;
    const fv_value *out;
    const fv_expr *read; /* the largest that has them all */
} operand_walk;
static bool largest(const fv_expr *e, void *user) {
    operand_walk *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return false;
    for (int i = 0; i < w->out->obj.rank; i++)
        if (w->out->axis[i].extent > 1 && !fv_uses_axis(e, w->out->axis[i].name)) return false;
    if (!w->read || fv_value_count(fv_value_of(e->ref)) > fv_value_count(fv_value_of(w->read->ref))) w->read = e;
    return false;
}
static void like_operand(lower *l, const fv_value *v, const fv_expr *body) {
    operand_walk w = {l, v, NULL};
    fv_visit(body, largest, &w);
    if (!w.read) return;
    const fv_value *u = fv_value_of(w.read->ref);
    int *order = FV_NEWN(l->ctx, int, v->obj.rank + 1), n = 0;
    bool taken[FV_MAX_AXES] = {false};
    for (int i = 0; i < v->obj.rank; i++)
        if (!fv_uses_axis(w.read, v->axis[i].name)) order[n++] = i, taken[i] = true;
    for (int d = 0; d < u->obj.rank; d++) {
        const fv_expr *at = w.read->arg[l->order[u->id] ? l->order[u->id][d] : d];
        for (int i = 0; i < v->obj.rank; i++)
            if (!taken[i] && fv_uses_axis(at, v->axis[i].name)) order[n++] = i, taken[i] = true;
    }
    l->order[v->id] = order;
}
/* Axes of a product's result that only its weights have go last. */
static void weights_last(lower *l, const fv_value *v, const fv_expr *weights, const fv_expr *rest) {
    int *order = FV_NEWN(l->ctx, int, v->obj.rank + 1), k = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < v->obj.rank; i++) {
            bool own = fv_uses_axis(weights, v->axis[i].name) && !fv_uses_axis(rest, v->axis[i].name);
            bool shared = fv_uses_axis(weights, v->axis[i].name);
            if ((own || shared) == (pass == 1)) order[k++] = i;
        }
    l->order[v->id] = order;
}
static void reduction(lower *l, const fv_node *n) {
    const fv_value *v = n->result[0];
    fv_facts f = {0};
    fv_value_facts(l->ctx, v, &f);
    for (int i = 0; i < n->u.compute.n_over; i++)
        fv_facts_add(l->ctx, &f, fv_axis_ref(l->ctx, n->u.compute.over[i].name), 0, n->u.compute.over[i].extent - 1);
    const fv_expr *body = lower_expand(l, &f, n->u.compute.body).value;
    if (n->u.compute.monoid == FV_MONOID_SUM && body->op == FV_X_MUL)
        for (int w = 0; w < 2; w++)
            if (lower_expr_is_prepare(l, body->arg[w])) {
                weights_last(l, v, body->arg[w], body->arg[1 - w]);
                return;
            }
    like_operand(l, v, body);
}
/* A group's final value has the order of its anchor: its axes stand where the first of the anchor's axes in their
 * coordinate does (a merged axis where its parts do); axes of one point come first. */
static void follow(lower *l, const fv_node *anchor, const fv_node *final) {
    const fv_value *a = anchor->result[0], *f = final->result[0];
    if (!l->order[a->id] || l->order[f->id]) return;
    const fv_expr *coords[FV_MAX_AXES];
    lower_final_coords(l, final, coords);
    int *order = FV_NEWN(l->ctx, int, f->obj.rank + 1), n = 0, inner[FV_MAX_AXES], m = 0;
    bool taken[FV_MAX_AXES] = {false};
    for (int i = 0; i < a->obj.rank; i++)
        for (int j = 0; j < f->obj.rank; j++)
            if (!taken[j] && fv_uses_axis(coords[j], a->axis[l->order[a->id][i]].name)) inner[m++] = j, taken[j] = true;
    for (int j = 0; j < f->obj.rank; j++) {
        if (!taken[j] && f->axis[j].extent > 1) return; /* an axis of its own: a row that follows its sums */
        if (!taken[j]) order[n++] = j;
    }
    memcpy(order + n, inner, sizeof *inner * (size_t)m);
    l->order[f->id] = order;
}

void lower_orders(lower *l) {
    fv_graph *g = l->g;
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        const lower_node *d = &l->node[i];
        if ((d->role != LOWER_STORED && d->role != LOWER_ABSORBED) || n->op != FV_NODE_COMPUTE ||
            n->u.compute.monoid == FV_MONOID_NONE)
            continue;
        reduction(l, n);
        if (d->role == LOWER_ABSORBED && l->coords[d->final]) follow(l, n, g->node[d->final]);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        attend x;
        if (n->op != FV_NODE_ATTEND || (l->node[i].role != LOWER_STORED && l->node[i].role != LOWER_ABSORBED)) continue;
        if (!lower_attend_read(l, n, n, &x)) return;
        fv_axis map[FV_MAX_AXES];
        int n_map = 0;
        bool tile = false;
        for (int j = 0; j < x.n_q; j++) {
            if (!lower_attend_enumerates(&x, &x.q[j])) tile |= x.q[j].extent >= 4;
            else if (!lower_attend_batch(&x, &x.q[j])) map[n_map++] = x.q[j];
        }
        if (tile || !n_map) continue;
        spread s = {.l = l, .parent = FV_NEWN(l->ctx, int, g->n_values + 1), .axis = map, .n = n_map};
        for (int v = 0; v < g->n_values; v++) s.parent[v] = v;
        for (int j = 0; j < g->n_nodes; j++)
            if (l->node[j].role != LOWER_DEAD) spread_node(&s, g->node[j]);
        key_walk w = {&s, x.out};
        for (int q = 0; q < x.n_sets; q++) {
            if (x.a->set[q].k) reach_stored(x.a->set[q].k, &w);
            if (x.a->set[q].v) reach_stored(x.a->set[q].v, &w);
        }
        if (x.a->q) reach_stored(x.a->q, &w);
        int mine = root(s.parent, x.out->id);
        for (int v = 0; v < g->n_values; v++)
            if (root(s.parent, v) == mine && has_axes(&s, g->value[v]))
                l->order[v] = map_innermost(l, g->value[v], map, n_map);
    }
}
