/* Lengths and exactness of a graph's values: see check_bound.h. Invariant: one pass in node order; a value's entry is
 * final when its node has been passed. */
#include "cli/check_bound.h"

#include <math.h>
#include <string.h>

enum { SMALL = 3, MOST_EXPRESSION = 256 }; /* magnitude of whole-number leaves; larger bodies count as inexact */
static const double EPS = 0x1p-24, EXACT_LIMIT = 16777216;

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
static bool count_float(const fv_expr *e, void *user) {
    if (fv_op_arity(e->op) > 0 && fv_type_is_float(e->type)) ++*(double *)user;
    return false;
}
static double operations(const fv_expr *e) {
    double n = 0;
    if (e) fv_visit(e, count_float, &n);
    return n;
}
static double points(const fv_axis *a, int n) {
    double p = 1;
    for (int i = 0; i < n; i++) p *= (double)a[i].extent;
    return p;
}

/* -- Exactness ---- */
/* The largest magnitude of e; HUGE_VAL: not known to be a whole number below the limit. */
static double largest(const walk *w, const fv_expr *e) {
    double a, b, m = HUGE_VAL;
    switch (e->op) {
    case FV_X_FLOAT: m = floor(e->f) == e->f ? fabs(e->f) : HUGE_VAL; break;
    case FV_X_INT: m = fabs((double)e->i); break;
    case FV_X_READ: {
        const entry *x = e->ref->kind == FV_OBJ_VALUE ? &w->of[fv_value_of(e->ref)->id] : NULL;
        m = x && x->exact ? x->most : HUGE_VAL;
        break;
    }
    case FV_X_NEG:
    case FV_X_ABS: m = largest(w, e->arg[0]); break;
    case FV_X_ADD:
    case FV_X_SUB: m = largest(w, e->arg[0]) + largest(w, e->arg[1]); break;
    case FV_X_MUL: m = largest(w, e->arg[0]) * largest(w, e->arg[1]); break;
    case FV_X_MIN:
    case FV_X_MAX:
        a = largest(w, e->arg[0]);
        b = largest(w, e->arg[1]);
        m = a > b ? a : b;
        break;
    case FV_X_WHERE:
        a = largest(w, e->arg[1]);
        b = largest(w, e->arg[2]);
        m = a > b ? a : b;
        if (largest(w, e->arg[0]) == HUGE_VAL) m = HUGE_VAL;
        break;
    case FV_X_LT:
    case FV_X_LE:
    case FV_X_EQ:
    case FV_X_NE:
    case FV_X_AND:
    case FV_X_OR: m = largest(w, e->arg[0]) < EXACT_LIMIT && largest(w, e->arg[1]) < EXACT_LIMIT ? 1 : HUGE_VAL; break;
    case FV_X_NOT: m = largest(w, e->arg[0]); break;
    default: break;
    }
    if (m >= EXACT_LIMIT && !fv_type_is_float(e->type) &&
        e->op != FV_X_READ) { /* integer arithmetic on coordinates has no roundings */
        fv_range r = fv_range_of(NULL, e);
        if (e->type == FV_BOOL) m = 1;
        else if (r.lo > -(INT64_C(1) << 24) && r.hi < (INT64_C(1) << 24))
            m = fmax(fabs((double)r.lo), fabs((double)r.hi));
    }
    return m < EXACT_LIMIT ? m : HUGE_VAL;
}
static void compute_exact(const walk *w, const fv_node *n, entry *out) {
    const fv_compute_node *c = &n->u.compute;
    double many = points(c->over, c->n_over), m = HUGE_VAL;
    if (fv_expr_size(c->body) <= MOST_EXPRESSION) m = largest(w, c->body);
    if (c->otherwise) m = fmax(m, largest(w, c->otherwise));
    if (c->monoid == FV_MONOID_SUM) m *= many;
    if (c->monoid == FV_MONOID_COUNT) m = many;
    if (c->monoid == FV_MONOID_MEAN) m = HUGE_VAL;
    out->most = m;
    out->exact = m < EXACT_LIMIT;
}

/* -- Nodes ---- */
static double own_length(const fv_node *n) {
    if (n->op == FV_NODE_COMPUTE) {
        const fv_compute_node *c = &n->u.compute;
        bool sum = c->monoid == FV_MONOID_SUM || c->monoid == FV_MONOID_MEAN;
        return operations(c->body) + operations(c->otherwise) + (sum ? sqrt(points(c->over, c->n_over)) : 0);
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
static entry entry_of(const walk *w, const fv_node *n) {
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
