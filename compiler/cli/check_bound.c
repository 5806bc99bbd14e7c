/* Lengths and exactness of a graph's values: see check_bound.h. Invariant: one pass in node order; a value's entry is
 * final when its node has been passed. */
#include "cli/check_bound.h"

#include <math.h>
#include <string.h>

enum { SMALL = 3, MOST_EXPRESSION = 256 }; /* magnitude of whole-number leaves; larger bodies count as inexact */
static const double EPS = 0x1p-24;

typedef struct {
    double length, most, stored, peak;
    bool exact;
} entry;
typedef struct {
    const fv_graph *g;
    entry *of;
    double length, stored, peak;
} walk; /* of: by value id */

static void longest(const fv_value *v, void *user) {
    walk *w = user;
    const entry *e = &w->of[v->id];
    w->length = fmax(w->length, e->length);
    w->stored = fmax(w->stored, e->stored);
    w->peak = fmax(w->peak, e->peak);
}
static double points(const fv_axis *a, int n) {
    double p = 1;
    for (int i = 0; i < n; i++) p *= (double)a[i].extent;
    return p;
}

/* -- Exactness ---- */
/* An integer made a float is not followed. */
static double leaf(const fv_expr *e, void *user) {
    const walk *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return HUGE_VAL;
    const entry *x = &w->of[fv_value_of(e->ref)->id];
    return x->exact ? x->most : HUGE_VAL;
}
static void compute_exact(walk *w, const fv_node *n, entry *out) {
    const fv_compute_node *c = &n->u.compute;
    double many = points(c->over, c->n_over), m = HUGE_VAL;
    if (fv_expr_size(c->body) <= MOST_EXPRESSION) m = fv_whole_magnitude(c->body, leaf, w);
    m = fmax(m, fv_whole_magnitude(c->otherwise, leaf, w));
    if (c->monoid == FV_MONOID_SUM) m *= many;
    if (c->monoid == FV_MONOID_COUNT) m = many;
    if (c->monoid == FV_MONOID_MEAN) m = HUGE_VAL;
    out->most = m;
    out->exact = m < FV_WHOLE_LIMIT;
}

/* -- Nodes ---- */
static double own_length(const fv_node *n) {
    if (n->op == FV_NODE_COMPUTE) {
        const fv_compute_node *c = &n->u.compute;
        bool sum = c->monoid == FV_MONOID_SUM || c->monoid == FV_MONOID_MEAN;
        return fv_float_operations(c->body) + fv_float_operations(c->otherwise) + (sum ? sqrt(points(c->over, c->n_over)) : 0);
    }
    if (n->op == FV_NODE_ATTEND) {
        const fv_attend_node *a = &n->u.attend;
        double keys = 0;
        for (int i = 0; i < a->n_sets; i++) keys += points(a->set[i].over, a->set[i].n_over);
        return sqrt(points(a->dot, a->n_dot)) + sqrt(keys) + 8;
    }
    if (n->op == FV_NODE_SCAN) return sqrt((double)n->u.scan.over.extent) + 8;
    return 0;
}
static double own_stored(const fv_node *n) {
    if (n->op == FV_NODE_ATTEND) return 4;
    if (n->op != FV_NODE_COMPUTE) return 0;
    return n->u.compute.monoid == FV_MONOID_SUM || n->u.compute.monoid == FV_MONOID_MEAN ? 2 : 1;
}
static entry entry_of(walk *w, const fv_node *n) {
    entry e = {.length = w->length + own_length(n), .stored = w->stored + own_stored(n), .most = SMALL, .exact = true};
    const entry *src = NULL;
    switch (n->op) {
    case FV_NODE_INPUT:
    case FV_NODE_PARAM:
    case FV_NODE_STATE: break;
    case FV_NODE_CONST:
        e.most = 0;
        for (int64_t i = 0; i < n->u.constant.count; i++) {
            double v = fabs(n->u.constant.data[i]);
            if (!(floor(v) == v)) e.exact = false;
            e.most = fmax(e.most, v);
        }
        break;
    case FV_NODE_READ:
        src = &w->of[n->u.read.src->id];
        e.exact = src->exact && floor(n->u.read.number) == n->u.read.number;
        e.most = fmax(src->most, n->u.read.border == FV_BORDER_NUMBER ? fabs(n->u.read.number) : 0);
        break;
    case FV_NODE_CONCAT:
        for (int i = 0; i < n->u.concat.n; i++) {
            src = &w->of[n->u.concat.part[i]->id];
            e.exact = e.exact && src->exact;
            e.most = fmax(e.most, src->most);
        }
        break;
    case FV_NODE_COMPUTE: compute_exact(w, n, &e); break;
    case FV_NODE_TOPK:
        src = &w->of[n->u.topk.src->id];
        e.exact = src->exact;
        e.most = src->most;
        break;
    case FV_NODE_PLACEHOLDER:
    case FV_NODE_ATTEND:
    case FV_NODE_SCAN:
    case FV_NODE_COUNT: e.exact = false; break;
    }
    e.peak = fmax(w->peak, e.most);
    return e;
}
void cli_bounds(const fv_graph *g, cli_bound *out) {
    walk w = {.g = g, .of = FV_NEWN(g->ctx, entry, g->n_values + 1)};
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        w.length = 1;
        w.peak = 0;
        w.stored = 1; /* a leaf, a view or a concat that is stored: rounding it again changes nothing */
        fv_node_operands(n, longest, &w);
        entry e = entry_of(&w, n);
        for (int r = 0; r < n->n_results; r++) w.of[n->result[r]->id] = e;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const entry *e = &w.of[g->output[i].value->id];
        out[i] = (cli_bound){e->length, e->exact, e->stored, e->peak};
    }
}
static double unit(fv_type storage) { return storage == FV_BF16 ? 0x1p-8 : storage == FV_F16 ? 0x1p-11 : 0; }
bool cli_exact(const cli_bound *b, fv_type storage) {
    return b->exact && (unit(storage) == 0 || b->peak <= 1 / unit(storage));
}
double cli_tolerance(const cli_bound *b, fv_type storage, double most) {
    double t = 4 * (b->length * EPS + b->stored * unit(storage)) * most;
    return t > 0x1p-126 ? t : 0x1p-126;
}
