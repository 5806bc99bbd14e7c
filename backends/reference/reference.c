/* The run: which nodes, in which order, and how long their values live. A value is freed after the last node outside
 * any attend or scan that needs it; the values of a body when their owner is done with a step. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- Leaves and outputs in their stored order --------------------------------------------------------------------- */
/* The axes of v from the outermost stored dimension to the innermost. */
static int stored_axes(const fv_stored *s, const fv_value *v, fv_axis *axis) {
    int n = 0;
    for (int i = 0; i < s->rank; i++) for (int j = 0; j < s->dim[i].n; j++) axis[n++] = v->axis[s->dim[i].axis[j]];
    return n;
}
static void permute(const fv_value *v, const fv_stored *s, const double *from, double *to, bool to_stored) {
    fv_axis axis[FV_MAX_AXES];
    int64_t ss[2 * FV_MAX_AXES], sv[2 * FV_MAX_AXES];
    ref_box box = {0};
    ref_box_add(&box, v->axis, v->obj.rank);
    ref_strides(&box, axis, stored_axes(s, v, axis), ss);
    ref_strides(&box, v->axis, v->obj.rank, sv);
    ref_walk w = {.box = &box, .n = 2, .stride = {ss, sv}};
    do {
        if (to_stored) to[w.off[0]] = from[w.off[1]];
        else to[w.off[1]] = from[w.off[0]];
    } while (ref_next(&w));
}
/* Elements of an integer or bool leaf are what its type says. */
static bool check_leaf(ref_run *r, const fv_value *v, const double *x) {
    const fv_obj *o = &v->obj;
    for (int64_t i = 0; !fv_type_is_float(o->type) && i < fv_value_count(v); i++) {
        double lo = o->type == FV_BOOL ? 0 : o->ranged ? (double)o->lo : (double)INT32_MIN;
        double hi = o->type == FV_BOOL ? 1 : o->ranged ? (double)o->hi : (double)INT32_MAX;
        if (x[i] >= lo && x[i] <= hi && x[i] == floor(x[i])) continue;
        fv_error(r->ctx, FV_E_INPUT, v->node->loc, "element %lld is %g, which is no %s from %g to %g: %s", (long long)i,
                 x[i],
                 fv_type_name(o->type), lo, hi, fv_value_text(r->g, v));
        return false;
    }
    return true;
}
static bool eval_leaf(ref_run *r, const fv_node *n) {
    const fv_value *v = n->result[0];
    int64_t count = fv_value_count(v);
    if (!ref_alloc(r, v)) return false;
    double *x = ref_doubles(r, count);
    if (!x) return false;
    int errors = fv_error_count(r->ctx);
    bool fine = r->source && r->source(r->user, n, x, count);
    if (!fine && fv_error_count(r->ctx) == errors) ref_fail(r, "nothing is known of %s", fv_value_text(r->g, v));
    fine = fine && check_leaf(r, v, x);
    if (fine) permute(v, &n->u.leaf.stored, x, r->at[v->id].data, false);
    free(x);
    return fine;
}
static bool eval_const(ref_run *r, const fv_node *n) {
    if (!ref_alloc(r, n->result[0])) return false;
    memcpy(r->at[n->result[0]->id].data, n->u.constant.data, sizeof(double) * (size_t)n->u.constant.count);
    return true;
}
bool ref_eval(ref_run *r, const fv_node *n) {
    r->node = n;
    switch (n->op) {
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_STATE: return eval_leaf(r, n);
    case FV_NODE_CONST: return eval_const(r, n);
    case FV_NODE_READ: return ref_eval_read(r, n);
    case FV_NODE_CONCAT: return ref_eval_concat(r, n);
    case FV_NODE_COMPUTE: return ref_eval_compute(r, n);
    case FV_NODE_ATTEND: return ref_eval_attend(r, n);
    case FV_NODE_TOPK: return ref_eval_topk(r, n);
    case FV_NODE_SCAN: return ref_eval_scan(r, n);
    case FV_NODE_PLACEHOLDER:
    case FV_NODE_COUNT: break;
    }
    return ref_fail(r, "a placeholder outside its node");
}
void ref_free_body(ref_run *r, const fv_node *owner) {
    for (const fv_node **b = r->body[owner->id]; b && *b; b++)
        for (int i = 0; i < (*b)->n_results; i++) ref_free(r, (*b)->result[i]);
}

/* -- Who evaluates what ------------------------------------------------------------------------------------------- */
typedef struct {
    bool *needed;                                       /* by node id */
    const fv_node **owner;                              /* by node id: who evaluates it; NULL: the run itself */
    int *last;                                          /* by value id: the last node outside bodies that needs it */
    int now;
} plan;
static void need(const fv_value *v, void *user) { ((plan *)user)->needed[v->node->id] = true; }
static void use(const fv_value *v, void *user) {
    plan *p = user;
    if (p->last[v->id] < p->now) p->last[v->id] = p->now;
}
static bool wanted(const fv_output *o, fv_str entry) { return !entry.i || fv_str_eq(o->entry, entry); }

/* The first owner, in order, of the placeholders that each node depends on; placeholders themselves are bound, not
 * evaluated. */
static void find_owners(const fv_graph *g, plan *p) {
    const fv_bound_sets *sets = fv_graph_bound_sets(g);
    for (int i = 0; i < g->n_nodes; i++)
        for (int b = 0; b < sets->n; b++) {
            const fv_node *o = sets->owner[b];
            if (o && fv_bound_sets_has(sets, g->node[i], b) && (!p->owner[i] || o->id < p->owner[i]->id))
                p->owner[i] = o;
        }
}
static void find_bodies(ref_run *r, const plan *p) {
    const fv_graph *g = r->g;
    int *n = FV_NEWN(g->ctx, int, g->n_nodes + 1);
    for (int i = 0; i < g->n_nodes; i++) if (p->needed[i] && p->owner[i]) n[p->owner[i]->id]++;
    r->body = FV_NEWN(g->ctx, const fv_node **, g->n_nodes + 1);
    for (int i = 0; i < g->n_nodes; i++) {
        r->body[i] = FV_NEWN(g->ctx, const fv_node *, n[i] + 1);
        n[i] = 0;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *o = p->owner[i];
        if (p->needed[i] && o && g->node[i]->op != FV_NODE_PLACEHOLDER) r->body[o->id][n[o->id]++] = g->node[i];
    }
}
static int root_of(const plan *p, int node) {
    while (p->owner[node]) node = p->owner[node]->id;
    return node;
}
static void make_plan(ref_run *r, fv_str entry, plan *p) {
    fv_graph *g = r->g;
    p->needed = FV_NEWN(g->ctx, bool, g->n_nodes + 1);
    p->owner = FV_NEWN(g->ctx, const fv_node *, g->n_nodes + 1);
    p->last = FV_NEWN(g->ctx, int, g->n_values + 1);
    for (int i = 0; i < g->n_outputs; i++)
        if (wanted(&g->output[i], entry)) p->needed[g->output[i].value->node->id] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) if (p->needed[i]) fv_node_operands(g->node[i], need, p);
    find_owners(g, p);
    find_bodies(r, p);
    for (int i = 0; i < g->n_nodes; i++) {
        if (!p->needed[i]) continue;
        p->now = root_of(p, i);
        fv_node_operands(g->node[i], use, p);
    }
    for (int i = 0; i < g->n_outputs; i++)
        if (wanted(&g->output[i], entry)) p->last[g->output[i].value->id] = g->n_nodes;
}

/* -- Running ------------------------------------------------------------------------------------------------------ */
static void note_most(ref_run *r, const fv_node *n) {
    for (int j = 0; j < n->n_results; j++) {
        const double *x = r->at[n->result[j]->id].data;
        for (int64_t i = 0; x && i < fv_value_count(n->result[j]); i++)
            *r->most = isnan(x[i]) ? INFINITY : fmax(*r->most, fabs(x[i]));
    }
}
static bool run_nodes(ref_run *r, const plan *p, void (*progress)(int, int, void *), void *user) {
    const fv_graph *g = r->g;
    /* lists of value id + 1 */
    int *by_last = FV_NEWN(g->ctx, int, g->n_values + 1), *head = FV_NEWN(g->ctx, int, g->n_nodes + 2);
    for (int v = 0; v < g->n_values; v++) {
        int *h = &head[p->last[v] < g->value[v]->node->id ? g->value[v]->node->id : p->last[v]];
        by_last[v] = *h;
        *h = v + 1;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        if (p->needed[i] && !p->owner[i] && !ref_eval(r, n)) return false;
        if (r->most && p->needed[i] && !p->owner[i]) note_most(r, n);
        for (int v = head[i]; v; v = by_last[v - 1])
            if (!p->owner[g->value[v - 1]->node->id]) ref_free(r, g->value[v - 1]);
        if (progress) progress(i + 1, g->n_nodes, user);
    }
    return true;
}
static bool give_outputs(ref_run *r, fv_str entry, double **out) {
    for (int i = 0; i < r->g->n_outputs; i++) {
        const fv_output *o = &r->g->output[i];
        if (!wanted(o, entry)) continue;
        out[i] = ref_doubles(r, fv_value_count(o->value));
        if (!out[i]) return false;
        permute(o->value, &o->stored, r->at[o->value->id].data, out[i], true);
    }
    return true;
}
static bool run_all(fv_graph *g, fv_str entry, fv_ref_source *source, void *user, double **out, double *most,
                    void (*progress)(int done, int total, void *user), void *progress_user) {
    bool any = false;
    for (int i = 0; i < g->n_outputs; i++) {
        out[i] = NULL;
        any = any || wanted(&g->output[i], entry);
    }
    if (fv_graph_verify(g)) return false;
    if (!any) {
        fv_error(g->ctx, FV_E_UNKNOWN, (fv_loc){0}, "graph \"%s\" has no entry \"%s\"", fv_cstr(g->ctx, g->name),
                 fv_cstr(g->ctx, entry));
        return false;
    }
    ref_run r = {.g = g, .ctx = g->ctx, .source = source, .user = user, .most = most};
    plan p = {0};
    r.at = calloc((size_t)g->n_values + 1, sizeof *r.at);
    if (!r.at) return ref_fail(&r, "no memory");
    make_plan(&r, entry, &p);
    bool fine = run_nodes(&r, &p, progress, progress_user) && give_outputs(&r, entry, out);
    for (int i = 0; i < g->n_values; i++) ref_free(&r, g->value[i]);
    free(r.at);
    for (int i = 0; !fine && i < g->n_outputs; i++) {
        free(out[i]);
        out[i] = NULL;
    }
    return fine;
}
bool fv_reference_run(fv_graph *g, fv_str entry, fv_ref_source *source, void *user, double **out,
                      void (*progress)(int done, int total, void *user), void *progress_user) {
    return run_all(g, entry, source, user, out, NULL, progress, progress_user);
}
bool fv_reference_run_most(fv_graph *g, fv_ref_source *source, void *user, double **out, double *most,
                           void (*progress)(int done, int total, void *user), void *progress_user) {
    return run_all(g, (fv_str){0}, source, user, out, most, progress, progress_user);
}
