/* Verifier: infers every node again from its contents and compares, then checks what no single node sees: order,
 * identity, ownership of placeholders, and that nothing inner escapes. Collects all faults; changes nothing. */
#include "graph/private.h"

#include <string.h>

typedef struct { fv_graph *g; const fv_node *node; int faults; } verifier;
#define FAULT(v, ...) ((v)->faults++, fv_error((v)->g->ctx, FV_E_GRAPH, place(v), __VA_ARGS__))
static fv_loc place(const verifier *v) { return v->node ? v->node->loc : (fv_loc){0}; }

static bool known(const fv_graph *g, const fv_value *v) { return v && v->id >= 0 && v->id < g->n_values &&
                                                         g->value[v->id] == v; }
static void operand_before(const fv_value *x, void *user) {
    verifier *v = user;
    if (!known(v->g, x)) FAULT(v, "node %d reads a value of another graph", v->node->id);
    else if (x->node->id >= v->node->id)
        FAULT(v, "node %d reads a later value: %s", v->node->id, fv_value_text(v->g, x));
}

static void result_matches(verifier *v, int i, const fv_shape *s) {
    const fv_value *r = v->node->result[i];
    const char *name = fv_node_op_name(v->node->op);
    if (!known(v->g, r) || r->node != v->node || r->result != i || r->obj.kind != FV_OBJ_VALUE) {
        FAULT(v, "%s: result %d is not registered in the graph", name, i);
        return;
    }
    if (r->obj.type != s->type)
        FAULT(v, "%s: result %d is %s and should be %s", name, i, fv_type_name(r->obj.type), fv_type_name(s->type));
    if (!fv_axes_same(r->axis, r->obj.rank, s->axis, s->rank))
        FAULT(v, "%s: result %d should have the axes %s: %s", name, i, fv_axes_text(v->g->ctx, s->axis, s->rank),
              fv_value_text(v->g, r));
    if (s->partial && !r->partial) FAULT(v, "%s: result %d may be absent and is not marked so", name, i);
    if (r->free_form && !s->free_form) FAULT(v, "%s: result %d is not free of tensors and is marked so", name, i);
    if (r->obj.ranged && (!s->ranged || s->lo < r->obj.lo || s->hi > r->obj.hi))
        FAULT(v, "%s: result %d is said to lie in %lld..%lld, which does not follow", name, i, (long long)r->obj.lo,
              (long long)r->obj.hi);
}
static void declaration(const fv_node *n, fv_shape *d) {
    const fv_value *r = n->result[0];
    *d = (fv_shape){.type = r->obj.type, .rank = r->obj.rank, .partial = r->partial, .ranged = r->obj.ranged,
                    .lo = r->obj.lo, .hi = r->obj.hi};
    memcpy(d->axis, r->axis, sizeof(fv_axis) * (size_t)r->obj.rank);
}
static void verify_node(verifier *v) {
    const fv_node *n = v->node;
    if (n->n_results < 1 || !n->result || !n->result[0]) {
        FAULT(v, "node %d has no result", n->id);
        return;
    }
    int before = v->faults, count = 0;
    fv_node_operands(n, operand_before, v);
    if (v->faults != before) return;                    /* inference would read through them */
    fv_shape d;
    declaration(n, &d);
    const fv_shape *s = fv_node_infer(v->g, n, &d, &count);
    if (!s) {
        v->faults++;
        return;
    }
    if (count != n->n_results) {
        FAULT(v, "%s: %d results, and %d follow from it", fv_node_op_name(n->op), n->n_results, count);
        return;
    }
    for (int i = 0; i < count; i++) result_matches(v, i, &s[i]);
}

/* -- Placeholders ------------------------------------------------------------------------------------------------- */
typedef struct { verifier *v; const fv_bound_sets *sets; } guard;
/* An operand that the node evaluates before it binds its placeholders may not depend on them. */
static void outside(guard *c, const char *what, const fv_value *x) {
    for (int p = 0; x && p < c->sets->n; p++)
        if (c->sets->owner[p] == c->v->node && fv_bound_sets_has(c->sets, x->node, p)) {
            FAULT(c->v, "%s: %s depends on the %s that it binds", fv_node_op_name(c->v->node->op), what,
                  fv_value_text(c->v->g, c->sets->placeholder[p]));
            return;
        }
}
/* A score sees this set's raw product only, a weight this set's p only. */
static void inside(guard *c, const char *what, const fv_value *x, fv_value *const *mine, int n) {
    for (int p = 0; x && p < c->sets->n; p++) {
        if (c->sets->owner[p] != c->v->node || !fv_bound_sets_has(c->sets, x->node, p)) continue;
        bool own = false;
        for (int i = 0; mine && i < n; i++) own = own || mine[i] == c->sets->placeholder[p];
        if (!own)
            FAULT(c->v, "attend: %s depends on %s, which is not its own", what,
                  fv_value_text(c->v->g, c->sets->placeholder[p]));
    }
}
static void scoped_attend(guard *c, const fv_attend_node *a) {
    outside(c, "q", a->q);
    for (int i = 0; i < a->n_sets; i++) {
        const fv_attend_set *s = &a->set[i];
        outside(c, "k", s->k);
        outside(c, "v", s->v);
        outside(c, "s", s->s);
        outside(c, "only", s->only);
        for (int j = 0; j < s->n_scores; j++) inside(c, "a score", s->score[j], &s->raw, s->raw ? 1 : 0);
        inside(c, "a weight", s->weight, s->p, s->n_scores);
    }
}
static void scoped_scan(guard *c, const fv_scan_node *s) {
    for (int i = 0; i < s->n_states; i++) outside(c, "a first state", s->init[i]);
    for (int i = 0; i < s->n_elements; i++) outside(c, "an element's source", s->element_src[i]);
}
static void verify_scopes(verifier *v) {
    guard c = {.v = v, .sets = fv_graph_bound_sets(v->g)};
    bool *live = FV_NEWN(v->g->ctx, bool, v->g->n_nodes + 1);
    fv_graph_live(v->g, live);
    for (int i = 0; i < v->g->n_nodes; i++) {
        v->node = v->g->node[i];
        if (v->node->op == FV_NODE_ATTEND) scoped_attend(&c, &v->node->u.attend);
        if (v->node->op == FV_NODE_SCAN) scoped_scan(&c, &v->node->u.scan);
        int slot = c.sets->slot[i];
        if (live[i] && slot >= 0 && !c.sets->owner[slot])
            FAULT(v, "a placeholder that no node owns is used: %s", fv_value_text(v->g, v->node->result[0]));
    }
    v->node = NULL;
    for (int i = 0; i < v->g->n_outputs; i++) {
        const fv_output *o = &v->g->output[i];
        for (int p = 0; known(v->g, o->value) && p < c.sets->n; p++)
            if (fv_bound_sets_has(c.sets, o->value->node, p)) {
                v->node = c.sets->placeholder[p]->node;
                FAULT(v, "output \"%s\" depends on %s, which exists only inside an attend or scan",
                      fv_cstr(v->g->ctx, o->name),
                      fv_value_text(v->g, c.sets->placeholder[p]));
                break;
            }
    }
}

static void verify_outputs(verifier *v) {
    v->node = NULL;
    if (!v->g->n_outputs) FAULT(v, "graph \"%s\" has no output", fv_cstr(v->g->ctx, v->g->name));
    for (int i = 0; i < v->g->n_outputs; i++) {
        const fv_output *o = &v->g->output[i];
        const char *name = fv_cstr(v->g->ctx, o->name);
        if (!known(v->g, o->value)) {
            FAULT(v, "output \"%s\" is a value of another graph", name);
            continue;
        }
        if (o->value->partial)
            FAULT(v, "output \"%s\": elements of %s may be absent", name, fv_value_text(v->g, o->value));
        const char *what = fv_printf(v->g->ctx, "output \"%s\"", name);
        if (!fv_check_stored(v->g, o->loc, what, o->value->axis, o->value->obj.rank, &o->stored)) v->faults++;
        for (int j = 0; j < i; j++)
            if (fv_str_eq(o->entry, v->g->output[j].entry) && fv_str_eq(o->name, v->g->output[j].name))
                FAULT(v, "output \"%s\" is there twice", name);
    }
}

int fv_graph_verify(fv_graph *g) {
    verifier v = {.g = g};
    for (int i = 0; i < g->n_nodes; i++) {
        v.node = g->node[i];
        if (v.node->id != i) FAULT(&v, "node %d stands at place %d", v.node->id, i);
        else verify_node(&v);
    }
    if (v.faults) return v.faults;                      /* scopes are walked through sound nodes only */
    verify_outputs(&v);
    if (!v.faults) verify_scopes(&v);
    return v.faults;
}
