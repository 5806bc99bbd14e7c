/* Small questions about values, axes and expressions, and the texts of messages. Pure: nothing here records an error.
 * */
#include "graph/private.h"

#include <string.h>

const char *fv_node_op_name(fv_node_op op) {
    static const char *const name[FV_NODE_COUNT] = {"input", "param", "const", "state", "placeholder",
                                                    "read", "concat", "compute", "attend", "topk", "scan"};
    return op < FV_NODE_COUNT ? name[op] : "?";
}
static const char *const border_names[] = {"none", "number", "cut", "clamp", "reflect", "wrap"};
const char *fv_border_name(fv_border b) { return b <= FV_BORDER_WRAP ? border_names[b] : "?"; }
bool fv_border_parse(const char *s, fv_border *out) {
    for (int i = 0; i <= FV_BORDER_WRAP; i++) if (!strcmp(s, border_names[i])) { *out = (fv_border)i; return true; }
    return false;
}
const char *fv_monoid_name(fv_monoid m) {
    static const char *const name[] = {"map", "sum", "mean", "max", "min", "count", "any", "all"};
    return m <= FV_MONOID_ALL ? name[m] : "?";
}
static int product_reads(const fv_expr *e) {            /* reads in a product; -1: not a product of reads */
    if (e->op == FV_X_READ) return 1;
    if (e->op != FV_X_MUL) return -1;
    int a = product_reads(e->arg[0]), b = a < 0 ? -1 : product_reads(e->arg[1]);
    return b < 0 ? -1 : a + b;
}
const char *fv_compute_word(const fv_compute_node *c) {
    if (c->monoid == FV_MONOID_SUM && c->n_over > 0 && product_reads(c->body) >= 2) return "contract";
    return fv_monoid_name(c->monoid);
}

/* -- Axes --------------------------------------------------------------------------------------------------------- */
int fv_axis_find(const fv_axis *axis, int n, fv_str name) {
    for (int i = 0; i < n; i++) if (fv_str_eq(axis[i].name, name)) return i;
    return -1;
}
bool fv_axes_same(const fv_axis *a, int na, const fv_axis *b, int nb) {
    if (na != nb) return false;
    for (int i = 0; i < na; i++) {
        int j = fv_axis_find(b, nb, a[i].name);
        if (j < 0 || a[i].extent != b[j].extent) return false;
    }
    return true;
}
const char *fv_axes_text(fv_ctx *ctx, const fv_axis *axis, int n) {
    fv_buf b = {0};
    fv_buf_puts(&b, "");
    for (int i = 0; i < n; i++)
        fv_buf_printf(&b, "%s%s=%lld", i ? " " : "", fv_cstr(ctx, axis[i].name), (long long)axis[i].extent);
    const char *s = n ? fv_strdup(ctx, b.text) : "(no axes)";
    fv_buf_dispose(&b);
    return s;
}
void fv_axes_facts(fv_ctx *ctx, const fv_axis *axis, int n, fv_facts *f) {
    for (int i = 0; i < n; i++) fv_facts_add(ctx, f, fv_axis_ref(ctx, axis[i].name), 0, axis[i].extent - 1);
}
int fv_value_axis(const fv_value *v, fv_str name) { return fv_axis_find(v->axis, v->obj.rank, name); }
int64_t fv_value_count(const fv_value *v) {
    int64_t n = 1;
    for (int i = 0; i < v->obj.rank; i++) n *= v->axis[i].extent;
    return n;
}
void fv_value_facts(fv_ctx *ctx, const fv_value *v, fv_facts *f) { fv_axes_facts(ctx, v->axis, v->obj.rank, f); }
const fv_expr *fv_value_at_self(fv_ctx *ctx, const fv_value *v) {
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) index[i] = fv_axis_ref(ctx, v->axis[i].name);
    return fv_read(ctx, &v->obj, index, v->obj.rank, NULL);
}
fv_stored fv_stored_plain(int n) {
    fv_stored s = {.rank = n};
    for (int i = 0; i < n && i < FV_MAX_AXES; i++) {
        s.dim[i].n = 1;
        s.dim[i].axis[0] = i;
    }
    return s;
}

const char *fv_value_text(const fv_graph *g, const fv_value *v) {
    const fv_node *n = v->node;
    const char *name = fv_node_op_name(n->op);
    if (n->op == FV_NODE_INPUT || n->op == FV_NODE_PARAM || n->op == FV_NODE_STATE)
        name = fv_cstr(g->ctx, n->u.leaf.name);
    else if (n->op == FV_NODE_PLACEHOLDER) name = fv_cstr(g->ctx, n->u.placeholder.what);
    else if (n->op == FV_NODE_COMPUTE) name = fv_compute_word(&n->u.compute);
    const char *axes = fv_axes_text(g->ctx, v->axis, v->obj.rank);
    return n->loc.line ? fv_printf(g->ctx, "%s: %s (line %d)", name, axes, n->loc.line)
        : fv_printf(g->ctx, "%s: %s", name, axes);
}

/* -- Expressions -------------------------------------------------------------------------------------------------- */
static bool may_be_absent(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_EXACT || (e->op == FV_X_READ && fv_value_of(e->ref)->partial);
}
bool fv_expr_partial(const fv_expr *e) { return e && fv_visit(e, may_be_absent, NULL); }
static bool not_free(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ && !fv_value_of(e->ref)->free_form;
}
bool fv_expr_free(const fv_expr *e) { return !e || !fv_visit(e, not_free, NULL); }

bool fv_expr_bound(const fv_facts *f, const fv_expr *e, int64_t *lo, int64_t *hi) {
    fv_range r = fv_range_of(f, e);
    if (r.lo > r.hi || r.lo <= INT32_MIN || r.hi >= INT32_MAX) return false;
    *lo = r.lo;
    *hi = r.hi;
    return true;
}
bool fv_expr_within(fv_ctx *ctx, const fv_facts *f, const fv_expr *e, int64_t lo, int64_t hi) {
    fv_range r = fv_range_of(f, e);
    if (r.lo >= lo && r.hi <= hi) return true;
    e = fv_simplify(ctx, f, e);
    r = fv_range_of(f, e);
    if (r.lo >= lo && r.hi <= hi) return true;
    bool low = r.lo >= lo || fv_prove(ctx, f, fv_op2(ctx, FV_X_LE, fv_int(ctx, lo), e)) == 1;
    return low && (r.hi <= hi || fv_prove(ctx, f, fv_op2(ctx, FV_X_LE, e, fv_int(ctx, hi))) == 1);
}

/* -- Placeholders ------------------------------------------------------------------------------------------------- */
static int among(fv_value *const *list, int n, const fv_value *v) {
    int times = 0;
    for (int i = 0; list && i < n; i++) times += list[i] == v;
    return times;
}
int fv_node_owns(const fv_node *at, const fv_value *v) {
    if (at->op == FV_NODE_SCAN) {
        const fv_scan_node *s = &at->u.scan;
        return among(s->state, s->n_states, v) + among(s->element, s->n_elements, v);
    }
    int times = 0;
    for (int i = 0; at->op == FV_NODE_ATTEND && i < at->u.attend.n_sets; i++) {
        const fv_attend_set *s = &at->u.attend.set[i];
        times += (s->raw == v) + among(s->p, s->n_scores, v);
    }
    return times;
}
fv_node *fv_placeholder_owner(const fv_graph *g, const fv_value *v) {
    for (int i = v->node->id + 1; i < g->n_nodes; i++) if (fv_node_owns(g->node[i], v)) return g->node[i];
    return NULL;
}
