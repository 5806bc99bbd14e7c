/* Who reads what: operands of a node, live nodes, nodes inside others. */
#include "graph/private.h"

#include <string.h>

typedef struct { void (*fn)(const fv_value *, void *); void *user; } each_value;
static bool value_of_read(const fv_expr *e, void *user) {
    const each_value *c = user;
    if (e->op == FV_X_READ && e->ref && e->ref->kind == FV_OBJ_VALUE) c->fn(fv_value_of(e->ref), c->user);
    return false;
}
void fv_expr_values(const fv_expr *e, void (*fn)(const fv_value *v, void *user), void *user) {
    each_value c = {fn, user};
    if (e) fv_visit(e, value_of_read, &c);
}

static void each(fv_value *const *list, int n, const each_value *c) {
    for (int i = 0; list && i < n; i++) if (list[i]) c->fn(list[i], c->user);
}
static void attend_operands(const fv_attend_node *a, const each_value *c) {
    each(&a->q, 1, c);
    for (int i = 0; i < a->n_sets; i++) {
        const fv_attend_set *s = &a->set[i];
        each(&s->k, 1, c);
        each(&s->v, 1, c);
        each(&s->s, 1, c);
        each(&s->only, 1, c);
        each(&s->raw, 1, c);
        each(s->score, s->n_scores, c);
        each(s->p, s->n_scores, c);
        each(&s->weight, 1, c);
    }
}
void fv_node_operands(const fv_node *n, void (*fn)(const fv_value *v, void *user), void *user) {
    each_value c = {fn, user};
    switch (n->op) {
    case FV_NODE_READ:
        fn(n->u.read.src, user);
        for (int i = 0; i < n->u.read.src->obj.rank; i++) fv_expr_values(n->u.read.index[i], fn, user);
        fv_expr_values(n->u.read.only, fn, user);
        break;
    case FV_NODE_CONCAT: each(n->u.concat.part, n->u.concat.n, &c); break;
    case FV_NODE_COMPUTE:
        fv_expr_values(n->u.compute.body, fn, user);
        fv_expr_values(n->u.compute.only, fn, user);
        fv_expr_values(n->u.compute.otherwise, fn, user);
        break;
    case FV_NODE_ATTEND: attend_operands(&n->u.attend, &c); break;
    case FV_NODE_TOPK: fn(n->u.topk.src, user); break;
    case FV_NODE_SCAN: {
        const fv_scan_node *s = &n->u.scan;
        each(s->init, s->n_states, &c);
        each(s->state, s->n_states, &c);
        each(s->next, s->n_states, &c);
        each(s->element_src, s->n_elements, &c);
        each(s->element, s->n_elements, &c);
        each(&s->output, 1, &c);
        break;
    }
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_CONST:
    case FV_NODE_STATE:
    case FV_NODE_PLACEHOLDER:
    case FV_NODE_COUNT: break;
    }
}

static void mark_live(const fv_value *v, void *user) { ((bool *)user)[v->node->id] = true; }
void fv_graph_live(const fv_graph *g, bool *live) {
    memset(live, 0, sizeof(bool) * (size_t)g->n_nodes);
    for (int i = 0; i < g->n_outputs; i++) live[g->output[i].value->node->id] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) if (live[i]) fv_node_operands(g->node[i], mark_live, live);
}

/* -- Inner nodes: a bit per placeholder, closed over operands, less what a node owns ------------------------------ */
typedef struct { const fv_graph *g; uint64_t *set, *now; int words; const fv_node *node; } binder;
static void gather(const fv_value *v, void *user) {
    binder *b = user;
    const uint64_t *from = b->set + (size_t)v->node->id * (size_t)b->words;
    for (int w = 0; w < b->words; w++) b->now[w] |= from[w];
}
const fv_bound_sets *fv_graph_bound_sets(const fv_graph *g) {
    fv_bound_sets *s = FV_NEW(g->ctx, fv_bound_sets);
    int *slot = FV_NEWN(g->ctx, int, g->n_nodes + 1);
    for (int i = 0; i < g->n_nodes; i++) slot[i] = g->node[i]->op == FV_NODE_PLACEHOLDER ? s->n++ : -1;
    s->words = (s->n + 63) / 64;
    s->slot = slot;
    s->placeholder = FV_NEWN(g->ctx, const fv_value *, s->n + 1);
    s->owner = FV_NEWN(g->ctx, const fv_node *, s->n + 1);
    s->bits = FV_NEWN(g->ctx, uint64_t, (size_t)s->words * (size_t)g->n_nodes + 1);
    for (int i = 0; i < g->n_nodes; i++) if (slot[i] >= 0) s->placeholder[slot[i]] = g->node[i]->result[0];
    for (int i = 0; i < g->n_nodes; i++)
        for (int p = 0; (g->node[i]->op == FV_NODE_ATTEND || g->node[i]->op == FV_NODE_SCAN) && p < s->n; p++)
            if (!s->owner[p] && fv_node_owns(g->node[i], s->placeholder[p])) s->owner[p] = g->node[i];
    for (int i = 0; s->words && i < g->n_nodes; i++) {
        binder b = {.g = g, .set = s->bits, .now = s->bits + (size_t)i * (size_t)s->words, .words = s->words,
                    .node = g->node[i]};
        fv_node_operands(g->node[i], gather, &b);
        for (int p = 0; p < s->n; p++) if (s->owner[p] == g->node[i]) b.now[p / 64] &= ~(UINT64_C(1) << (p % 64));
        if (slot[i] >= 0) b.now[slot[i] / 64] |= UINT64_C(1) << (slot[i] % 64);
    }
    return s;
}
bool fv_bound_sets_has(const fv_bound_sets *s, const fv_node *n, int placeholder) {
    return s->bits[(size_t)n->id * (size_t)s->words + (size_t)placeholder / 64] >> (placeholder % 64) & 1;
}
bool fv_bound_sets_any(const fv_bound_sets *s, const fv_node *n) {
    for (int w = 0; w < s->words; w++) if (s->bits[(size_t)n->id * (size_t)s->words + (size_t)w]) return true;
    return false;
}
void fv_graph_inner(const fv_graph *g, bool *inner) {
    const fv_bound_sets *s = fv_graph_bound_sets(g);
    for (int i = 0; i < g->n_nodes; i++) inner[i] = fv_bound_sets_any(s, g->node[i]);
}
