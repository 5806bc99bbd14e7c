/* Whether the elements of an axis are computed apart: then a graph for some of them is the graph for any number. Of
 * every value it is found out along which of its axes the batch lies, if any; then every node is asked whether it keeps
 * the batch's elements apart. Invariant: a batch coordinate is used for nothing but to read a batch's value at itself.
 */
#include "graph/private.h"

#include <string.h>

typedef enum { UNKNOWN, PLAIN, BATCH } kind;
typedef struct {
    kind kind;
    fv_str axis; /* BATCH: the value's axis */
} along;
typedef struct {
    const fv_graph *g;
    along *of; /* by value id */
    bool changed;
    /* of one node */
    along found;
    bool unknown;
    int64_t extent;
    const char *fault;
} batch;

static bool same(fv_str a, fv_str b) { return fv_str_eq(a, b); }
static void set(batch *b, const fv_value *v, along a) {
    along *of = &b->of[v->id];
    if (of->kind == a.kind && (a.kind != BATCH || same(of->axis, a.axis))) return;
    if (of->kind == BATCH) return; /* once it is known to lie there */
    *of = a;
    b->changed = true;
}
/* The batch lies along `axis` of what the node gives. */
static void find(batch *b, fv_str axis) {
    if (b->found.kind == BATCH && !same(b->found.axis, axis)) b->fault = "it pairs elements with one another";
    b->found = (along){BATCH, axis};
}
static void take(batch *b, const fv_value *v) { /* v is read at its own coordinates */
    if (!v) return;
    if (b->of[v->id].kind == UNKNOWN) b->unknown = true;
    if (b->of[v->id].kind == BATCH) find(b, b->of[v->id].axis);
}
static void take_index(batch *b, const fv_expr *e) {
    if (e->op == FV_X_AXIS) find(b, e->name);
    else b->fault = "it reads an element by a computed number";
}
static void take_read(batch *b, const fv_value *v, const fv_expr *const *index) {
    const along *a = &b->of[v->id];
    if (a->kind == UNKNOWN) b->unknown = true;
    for (int i = 0; i < v->obj.rank && a->kind == BATCH; i++)
        if (same(v->axis[i].name, a->axis)) take_index(b, index[i]);
}
static bool take_expr(const fv_expr *e, void *user) {
    if (e->op == FV_X_READ && e->ref && e->ref->kind == FV_OBJ_VALUE) take_read(user, fv_value_of(e->ref), e->arg);
    return false;
}
static void take_all(batch *b, const fv_expr *e) {
    if (e) fv_visit(e, take_expr, b);
}
static void take_attend(batch *b, const fv_attend_node *a) {
    take(b, a->q);
    for (int i = 0; i < a->n_sets; i++) {
        take(b, a->set[i].k);
        take(b, a->set[i].v);
        take(b, a->set[i].s);
        take(b, a->set[i].only);
        take(b, a->set[i].weight);
        for (int k = 0; k < a->set[i].n_scores; k++) take(b, a->set[i].score[k]);
    }
}
static along as(const fv_value *v, along a) { /* a value without the axis is the same for all */
    if (a.kind == BATCH && fv_value_axis(v, a.axis) < 0) a.kind = PLAIN;
    return a;
}
static void settle_owned(batch *b, const fv_node *n, along a) {
    if (n->op == FV_NODE_ATTEND)
        for (int i = 0; i < n->u.attend.n_sets; i++) {
            const fv_attend_set *s = &n->u.attend.set[i];
            if (s->raw) set(b, s->raw, as(s->raw, a));
            for (int k = 0; s->p && k < s->n_scores; k++)
                if (s->p[k]) set(b, s->p[k], as(s->p[k], a));
        }
    if (n->op == FV_NODE_SCAN) {
        for (int i = 0; i < n->u.scan.n_states; i++) set(b, n->u.scan.state[i], as(n->u.scan.state[i], a));
        for (int i = 0; i < n->u.scan.n_elements; i++) set(b, n->u.scan.element[i], as(n->u.scan.element[i], a));
    }
}
/* Looks at what a node reads: found, unknown, fault. */
static void look(batch *b, const fv_node *n) {
    b->found = (along){.kind = PLAIN};
    b->unknown = false;
    b->fault = NULL;
    switch (n->op) {
    case FV_NODE_READ:
        take_read(b, n->u.read.src, n->u.read.index);
        for (int i = 0; i < n->u.read.src->obj.rank; i++) take_all(b, n->u.read.index[i]);
        take_all(b, n->u.read.only);
        break;
    case FV_NODE_CONCAT:
        for (int i = 0; i < n->u.concat.n; i++) take(b, n->u.concat.part[i]);
        break;
    case FV_NODE_COMPUTE:
        take_all(b, n->u.compute.body);
        take_all(b, n->u.compute.only);
        take_all(b, n->u.compute.otherwise);
        break;
    case FV_NODE_ATTEND: take_attend(b, &n->u.attend); break;
    case FV_NODE_TOPK: take(b, n->u.topk.src); break;
    case FV_NODE_SCAN:
        for (int i = 0; i < n->u.scan.n_states; i++) {
            take(b, n->u.scan.init[i]);
            take(b, n->u.scan.next[i]);
        }
        take(b, n->u.scan.output);
        for (int i = 0; i < n->u.scan.n_elements; i++) take(b, n->u.scan.element_src[i]);
        break;
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_CONST:
    case FV_NODE_STATE:
    case FV_NODE_PLACEHOLDER:
    case FV_NODE_COUNT: break;
    }
}
static void settle(batch *b) {
    do {
        b->changed = false;
        for (int i = 0; i < b->g->n_nodes; i++) {
            const fv_node *n = b->g->node[i];
            if (n->op == FV_NODE_INPUT || n->op == FV_NODE_PLACEHOLDER) continue;
            look(b, n);
            if (b->unknown && b->found.kind != BATCH) continue;
            for (int k = 0; k < n->n_results; k++) set(b, n->result[k], as(n->result[k], b->found));
            settle_owned(b, n, b->found);
        }
    } while (b->changed);
}

/* -- What mixes ---- */
typedef struct {
    batch *b;
    fv_str axis;
} use;
static bool uses(use *u, const fv_expr *e);
static bool use_read(use *u, const fv_expr *e) {
    const fv_value *v = e->ref && e->ref->kind == FV_OBJ_VALUE ? fv_value_of(e->ref) : NULL;
    const along *a = v ? &u->b->of[v->id] : NULL;
    for (int i = 0; i < e->n; i++) {
        bool own = a && a->kind == BATCH && i < v->obj.rank && same(v->axis[i].name, a->axis);
        if (!own && uses(u, e->arg[i])) return true;
    }
    return false;
}
/* Whether the coordinate of the axis occurs other than where a batch's value is read at it. */
static bool uses(use *u, const fv_expr *e) {
    if (!e) return false;
    if (e->op == FV_X_AXIS) return same(e->name, u->axis);
    if (e->op == FV_X_READ) return use_read(u, e);
    for (int i = 0; i < e->n; i++)
        if (uses(u, e->arg[i])) return true;
    return false;
}
static bool listed(const fv_axis *list, int n, fv_str axis) { return fv_axis_find(list, n, axis) >= 0; }
static bool attend_sums(const fv_attend_node *a, fv_str axis) {
    bool sums = listed(a->dot, a->n_dot, axis);
    for (int i = 0; i < a->n_sets; i++) sums = sums || listed(a->set[i].over, a->set[i].n_over, axis);
    for (int i = 0; i < a->n_steps; i++)
        for (int k = 0; k < a->step[i].n_axes; k++) sums = sums || same(a->step[i].axis[k], axis);
    return sums;
}
/* A value that is the same for the whole batch has no axis of that name. */
static bool other_has(const batch *b, const fv_value *v, fv_str axis) {
    return v && b->of[v->id].kind != BATCH && fv_value_axis(v, axis) >= 0;
}
static const char *mixing(batch *b, const fv_node *n) {
    look(b, n);
    if (b->fault || b->found.kind != BATCH) return b->fault;
    fv_str t = b->found.axis;
    use u = {b, t};
    bool sums = false, used = false, other = false;
    switch (n->op) {
    case FV_NODE_READ:
        for (int i = 0; i < n->u.read.src->obj.rank; i++) {
            const along *a = &b->of[n->u.read.src->id];
            bool own = a->kind == BATCH && same(n->u.read.src->axis[i].name, a->axis);
            used = used || (!own && uses(&u, n->u.read.index[i]));
        }
        used = used || uses(&u, n->u.read.only);
        break;
    case FV_NODE_CONCAT:
        sums = same(n->u.concat.axis, t);
        for (int i = 0; i < n->u.concat.n; i++) other = other || other_has(b, n->u.concat.part[i], t);
        break;
    case FV_NODE_COMPUTE:
        sums = listed(n->u.compute.over, n->u.compute.n_over, t);
        used = uses(&u, n->u.compute.body) || uses(&u, n->u.compute.only) || uses(&u, n->u.compute.otherwise);
        break;
    case FV_NODE_ATTEND: {
        const fv_attend_node *a = &n->u.attend;
        sums = attend_sums(a, t);
        other = other_has(b, a->q, t);
        for (int i = 0; i < a->n_sets; i++) {
            const fv_attend_set *s = &a->set[i];
            other = other || other_has(b, s->k, t) || other_has(b, s->v, t) || other_has(b, s->s, t) ||
                    other_has(b, s->only, t) || other_has(b, s->weight, t);
            for (int k = 0; k < s->n_scores; k++) other = other || other_has(b, s->score[k], t);
        }
        break;
    }
    case FV_NODE_TOPK:
        for (int i = 0; i < n->u.topk.n_over; i++) sums = sums || same(n->u.topk.over[i], t);
        break;
    case FV_NODE_SCAN: sums = same(n->u.scan.over.name, t); break;
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_CONST:
    case FV_NODE_STATE:
    case FV_NODE_PLACEHOLDER:
    case FV_NODE_COUNT: break;
    }
    if (sums) return "it goes over elements of the batch together";
    if (used) return "it uses the number of an element";
    if (other) return "it takes a value that has one row for each element and does not come from the batch";
    for (int i = 0; i < n->n_results; i++) {
        int at = fv_value_axis(n->result[i], t);
        if (at >= 0 && n->result[i]->axis[at].extent != b->extent) return "it takes a part of the batch";
        if (at < 0 && n->op != FV_NODE_SCAN) return "its result has no batch axis";
    }
    return NULL;
}
static bool outermost(const fv_value *v, const fv_stored *s, fv_str axis) {
    return s->rank > 0 && s->dim[0].n == 1 && same(v->axis[s->dim[0].axis[0]].name, axis);
}
const fv_node *fv_graph_mixes(const fv_graph *g, fv_str axis, const char **why) {
    batch b = {.g = g, .of = FV_NEWN(g->ctx, along, g->n_values + 1)};
    bool *live = FV_NEWN(g->ctx, bool, g->n_nodes + 1);
    fv_graph_live(g, live);
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        if (n->op == FV_NODE_STATE) return *why = "it keeps a state from run to run", n;
        if (n->op != FV_NODE_INPUT) continue;
        int at = fv_value_axis(n->result[0], axis);
        if (at < 0 || !outermost(n->result[0], &n->u.leaf.stored, axis))
            return *why = "it is an input without the axis as its outermost dimension", n;
        b.extent = n->result[0]->axis[at].extent;
        set(&b, n->result[0], (along){BATCH, axis});
    }
    settle(&b);
    for (int i = 0; i < g->n_nodes; i++)
        if (live[i] && (*why = mixing(&b, g->node[i]))) return g->node[i];
    for (int i = 0; i < g->n_outputs; i++) {
        const fv_value *v = g->output[i].value;
        *why = "it is an output without the axis as its outermost dimension";
        if (b.of[v->id].kind != BATCH || !outermost(v, &g->output[i].stored, b.of[v->id].axis)) return v->node;
    }
    return NULL;
}
