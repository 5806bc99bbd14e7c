/* Work of the live nodes by definition: products summed are multiply-accumulates, every other operator on a float is a
 * map. */
#include "graph/private.h"

static bool count_op(const fv_expr *e, void *user) {
    if (fv_op_arity(e->op) > 0 && fv_type_is_float(e->type) && e->op != FV_X_TOFLOAT) ++*(double *)user;
    return false;
}
static double float_ops(const fv_expr *e) {
    double n = 0;
    if (e) fv_visit(e, count_op, &n);
    return n;
}
static double points_of(const fv_axis *axis, int n) {
    double p = 1;
    for (int i = 0; i < n; i++) p *= (double)axis[i].extent;
    return p;
}
static void compute_cost(const fv_node *n, fv_cost *out) {
    const fv_compute_node *c = &n->u.compute;
    double points = points_of(n->result[0]->axis, n->result[0]->obj.rank) * points_of(c->over, c->n_over);
    double ops = float_ops(c->body) + float_ops(c->otherwise);
    bool product = c->monoid == FV_MONOID_SUM && c->body->op == FV_X_MUL && fv_type_is_float(c->body->type);
    if (product) {                                      /* one multiplication joins the addition of the sum */
        out->macs += points;
        out->maps += points * (ops - 1);
    } else {
        out->maps += points * (ops + (c->monoid != FV_MONOID_NONE && fv_type_is_float(c->body->type) ? 1 : 0));
    }
}
/* q k and W v by their dot and value axes; the steps as three maps a pair (exp, sum, quotient) for softmax, two for
 * ratio. */
static void attend_cost(const fv_node *n, fv_cost *out) {
    const fv_attend_node *a = &n->u.attend;
    double dot = points_of(a->dot, a->n_dot), out_points = points_of(n->result[0]->axis, n->result[0]->obj.rank), q = 1;
    for (int i = 0; i < n->result[0]->obj.rank; i++) {
        const fv_axis *x = &n->result[0]->axis[i];
        bool query = (a->q && fv_value_axis(a->q, x->name) >= 0 && fv_axis_find(a->dot, a->n_dot, x->name) < 0) ||
                     (!a->q && fv_value_axis(a->set[0].s, x->name) >= 0);
        if (query) q *= (double)x->extent;
    }
    for (int i = 0; i < a->n_sets; i++) {
        const fv_attend_set *s = &a->set[i];
        double keys = points_of(s->over, s->n_over), steps = 0;
        for (int j = 0; j < a->n_steps; j++) steps += a->step[j].ratio ? 2 : 3;
        if (s->k) out->macs += q * keys * dot;
        if (s->v || s->v_number != 0) out->macs += out_points * keys;
        out->maps += q * keys * steps * s->n_scores;
    }
}

/* How often a node runs: the steps of every scan it is inside of. */
static double times_of(const fv_graph *g, const fv_bound_sets *sets, int node) {
    double t = 1;
    const fv_node *seen[FV_MAX_AXES];
    int n = 0;
    for (int p = 0; p < sets->n; p++) {
        const fv_node *o = sets->owner[p];
        bool again = !o || o->op != FV_NODE_SCAN || !fv_bound_sets_has(sets, g->node[node], p) || n == FV_MAX_AXES;
        for (int i = 0; i < n; i++) again = again || seen[i] == o;
        if (again) continue;
        seen[n++] = o;
        t *= (double)o->u.scan.over.extent;
    }
    return t;
}
void fv_graph_cost(const fv_graph *g, fv_cost *out) {
    *out = (fv_cost){0};
    bool *live = FV_NEWN(g->ctx, bool, g->n_nodes + 1);
    fv_graph_live(g, live);
    const fv_bound_sets *sets = fv_graph_bound_sets(g);
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        if (!live[i]) continue;
        fv_cost one = {0};
        if (n->op == FV_NODE_COMPUTE) compute_cost(n, &one);
        if (n->op == FV_NODE_ATTEND) attend_cost(n, &one);
        if (n->op == FV_NODE_PARAM) out->params += (double)fv_value_count(n->result[0]);
        double t = times_of(g, sets, i);
        out->macs += one.macs * t;
        out->maps += one.maps * t;
    }
}
