/* Builders: each fills a node, infers its results (infer.c), which is where the rules are, and appends it to the graph.
 * Invariant: a node is in the graph only if its inference succeeded, and every value it reads stands before it. */
#include "graph/private.h"

#include <string.h>

fv_graph *fv_graph_new(fv_ctx *ctx, const char *name) {
    fv_graph *g = FV_NEW(ctx, fv_graph);
    g->ctx = ctx;
    char *text = fv_strdup(ctx, name ? name : "");
    for (char *c = text; *c; c++) if (*c == '"' || *c == '\\' || (unsigned char)*c < 32) *c = '_';
    g->name = fv_intern(ctx, text);
    return g;
}

static fv_node *node_new(fv_graph *g, fv_node_op op, fv_loc loc) {
    fv_node *n = FV_NEW(g->ctx, fv_node);
    n->op = op;
    n->loc = loc;
    n->id = g->n_nodes;
    return n;
}

static fv_value *value_new(fv_graph *g, fv_node *n, int result, const fv_shape *s) {
    fv_value *v = FV_NEW(g->ctx, fv_value);
    v->id = g->n_values;
    v->node = n;
    v->result = result;
    fv_axis *axis = FV_NEWN(g->ctx, fv_axis, s->rank + 1);
    memcpy(axis, s->axis, sizeof(fv_axis) * (size_t)s->rank);
    v->axis = axis;
    v->partial = s->partial;
    v->free_form = s->free_form;
    v->obj = (fv_obj){.kind = FV_OBJ_VALUE, .name = fv_internf(g->ctx, "_%d", v->id), .type = s->type, .rank = s->rank,
                      .ranged = s->ranged, .lo = s->lo, .hi = s->hi};
    fv_push(g->ctx, g->value, g->n_values, g->cap_values, v);
    return v;
}

/* Infers and appends; NULL after an error. */
static fv_node *node_add(fv_graph *g, fv_node *n, const fv_shape *declared) {
    int count = 0;
    const fv_shape *s = fv_node_infer(g, n, declared, &count);
    if (!s) return NULL;
    n->n_results = count;
    n->result = FV_NEWN(g->ctx, fv_value *, count + 1);
    for (int i = 0; i < count; i++) n->result[i] = value_new(g, n, i, &s[i]);
    fv_push(g->ctx, g->node, g->n_nodes, g->cap_nodes, n);
    return n;
}
static fv_value *only_result(fv_node *n) { return n ? n->result[0] : NULL; }

/* Copies axes into a declaration; false when there are too many to copy. */
static bool declare(fv_graph *g, fv_loc loc, fv_shape *d, fv_type type, const fv_axis *axis, int n) {
    memset(d, 0, sizeof *d);
    if (n < 0 || n > FV_MAX_AXES) {
        fv_error(g->ctx, FV_E_AXIS, loc, "%d axes; a tensor has at most %d", n, FV_MAX_AXES);
        return false;
    }
    d->type = type;
    d->rank = n;
    if (n) memcpy(d->axis, axis, sizeof(fv_axis) * (size_t)n);
    return true;
}

bool fv_graph_symbol(fv_graph *g, fv_loc loc, fv_str name, fv_binding_time time, int64_t value, int64_t multiple_of) {
    if (!name.i || value < 1 || multiple_of < 0 || (multiple_of > 1 && value % multiple_of)) {
        fv_error(g->ctx, FV_E_CONFIG, loc, "extent '%s' = %lld is not a positive multiple of %lld",
                 fv_cstr(g->ctx, name),
                 (long long)value, (long long)multiple_of);
        return false;
    }
    for (int i = 0; i < g->n_symbols; i++) {
        if (!fv_str_eq(g->symbol[i].name, name)) continue;
        fv_error(g->ctx, FV_E_CONFIG, loc, "extent '%s' is declared twice", fv_cstr(g->ctx, name));
        return false;
    }
    fv_symbol s = {.name = name, .time = time, .value = value, .multiple_of = multiple_of};
    fv_push(g->ctx, g->symbol, g->n_symbols, g->cap_symbols, s);
    return true;
}

/* -- Leaves ------------------------------------------------------------------------------------------------------- */
static fv_value *leaf(fv_graph *g, fv_node_op op, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                      const fv_stored *stored) {
    fv_shape d;
    if (!declare(g, loc, &d, type, axis, n)) return NULL;
    fv_node *node = node_new(g, op, loc);
    node->u.leaf = (fv_leaf_node){.name = name, .stored = stored ? *stored : fv_stored_plain(n), .stored_type = type};
    return only_result(node_add(g, node, &d));
}
fv_value *fv_graph_input(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored) {
    return leaf(g, FV_NODE_INPUT, loc, name, type, axis, n, stored);
}
fv_value *fv_graph_param(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored) {
    return leaf(g, FV_NODE_PARAM, loc, name, type, axis, n, stored);
}
fv_value *fv_graph_state(fv_graph *g, fv_loc loc, fv_str name, fv_type type, const fv_axis *axis, int n,
                         const fv_stored *stored) {
    return leaf(g, FV_NODE_STATE, loc, name, type, axis, n, stored);
}

fv_value *fv_graph_const(fv_graph *g, fv_loc loc, fv_type type, const fv_axis *axis, int n, const double *data) {
    fv_shape d;
    if (!declare(g, loc, &d, type, axis, n) || !fv_check_axes(g, loc, "const", axis, n)) return NULL;
    int64_t count = 1;
    for (int i = 0; i < n; i++) count *= axis[i].extent;
    double *copy = FV_NEWN(g->ctx, double, count);
    memcpy(copy, data, sizeof(double) * (size_t)count);
    fv_node *node = node_new(g, FV_NODE_CONST, loc);
    node->u.constant = (fv_const_node){.data = copy, .count = count};
    return only_result(node_add(g, node, &d));
}

fv_value *fv_graph_placeholder(fv_graph *g, fv_loc loc, const char *what, fv_type type, const fv_axis *axis, int n,
                               bool partial) {
    fv_shape d;
    if (!declare(g, loc, &d, type, axis, n)) return NULL;
    d.partial = partial;
    fv_node *node = node_new(g, FV_NODE_PLACEHOLDER, loc);
    node->u.placeholder.what = fv_intern(g->ctx, what);
    return only_result(node_add(g, node, &d));
}

bool fv_value_bound(fv_graph *g, fv_loc loc, fv_value *v, int64_t lo, int64_t hi) {
    if (!v) return false;
    fv_node_op op = v->node->op;
    bool leafy = op == FV_NODE_INPUT || op == FV_NODE_PARAM || op == FV_NODE_STATE || op == FV_NODE_PLACEHOLDER;
    if (!leafy || v->obj.type != FV_I32 || lo > hi) {
        fv_error(g->ctx, FV_E_ARGUMENT, loc,
                 "bounds %lld..%lld belong to an i32 input, param, state or placeholder; this is %s %s",
                 (long long)lo, (long long)hi, fv_type_name(v->obj.type), fv_value_text(g, v));
        return false;
    }
    if (v->obj.ranged) {                                /* both hold */
        lo = lo > v->obj.lo ? lo : v->obj.lo;
        hi = hi < v->obj.hi ? hi : v->obj.hi;
    }
    if (lo > hi) {
        fv_error(g->ctx, FV_E_ARGUMENT, loc, "no number is within all bounds of %s", fv_value_text(g, v));
        return false;
    }
    v->obj.ranged = true;
    v->obj.lo = lo;
    v->obj.hi = hi;
    return true;
}

/* -- Reads, joins, computes --------------------------------------------------------------------------------------- */
static const fv_expr **copy_exprs(fv_graph *g, const fv_expr *const *e, int n) {
    const fv_expr **out = FV_NEWN(g->ctx, const fv_expr *, n + 1);
    if (n > 0) memcpy(out, e, sizeof *out * (size_t)n);
    return out;
}
static fv_value **copy_values(fv_graph *g, fv_value *const *v, int n) {
    fv_value **out = FV_NEWN(g->ctx, fv_value *, n + 1);
    if (n > 0) memcpy(out, v, sizeof *out * (size_t)n);
    return out;
}
static bool any_null(const void *const *p, int n) {
    for (int i = 0; i < n; i++) if (!p[i]) return true;
    return false;
}

fv_value *fv_graph_read(fv_graph *g, fv_loc loc, fv_value *src, const fv_axis *axis, int n, const fv_expr *const *index,
                        fv_border border, double number, const fv_expr *only) {
    fv_shape d;
    if (!src || any_null((const void *const *)index, src->obj.rank) || !declare(g, loc, &d, FV_VOID, axis, n))
        return NULL;
    fv_node *node = node_new(g, FV_NODE_READ, loc);
    node->u.read = (fv_read_node){.src = src, .index = copy_exprs(g, index, src->obj.rank), .border = border,
                                  .number = border == FV_BORDER_NUMBER ? number : 0, .only = only};
    return only_result(node_add(g, node, &d));
}

fv_value *fv_graph_concat(fv_graph *g, fv_loc loc, fv_str axis, fv_value *const *part, int n) {
    if (n < 1) {
        fv_error(g->ctx, FV_E_ARGUMENT, loc, "concat of no parts");
        return NULL;
    }
    if (any_null((const void *const *)part, n)) return NULL;
    fv_node *node = node_new(g, FV_NODE_CONCAT, loc);
    node->u.concat = (fv_concat_node){.axis = axis, .n = n, .part = copy_values(g, part, n)};
    return only_result(node_add(g, node, NULL));
}

fv_value *fv_graph_compute(fv_graph *g, fv_loc loc, fv_monoid m, const fv_axis *axis, int n, const fv_axis *over,
                           int n_over,
                           const fv_expr *body, const fv_expr *only, const fv_expr *otherwise) {
    fv_shape d;
    if (!body || !declare(g, loc, &d, FV_VOID, axis, n)) return NULL;
    if (n_over < 0 || n + n_over > FV_MAX_AXES) {
        fv_error(g->ctx, FV_E_AXIS, loc, "%d axes and %d reduced ones; together at most %d", n, n_over, FV_MAX_AXES);
        return NULL;
    }
    fv_node *node = node_new(g, FV_NODE_COMPUTE, loc);
    fv_compute_node *c = &node->u.compute;
    *c = (fv_compute_node){.monoid = m, .n_over = n_over, .body = body, .only = only, .otherwise = otherwise};
    if (n_over) memcpy(c->over, over, sizeof(fv_axis) * (size_t)n_over);
    return only_result(node_add(g, node, &d));
}

/* -- Nodes with several results ----------------------------------------------------------------------------------- */
fv_node *fv_graph_topk(fv_graph *g, fv_loc loc, fv_value *src, const fv_str *over, int n_over, int64_t k, fv_str name,
                       bool ascending) {
    if (!src) return NULL;
    if (n_over < 1 || n_over > FV_MAX_AXES) {
        fv_error(g->ctx, FV_E_AXIS, loc, "top over %d axes; it takes 1 to %d", n_over, FV_MAX_AXES);
        return NULL;
    }
    fv_node *node = node_new(g, FV_NODE_TOPK, loc);
    node->u.topk = (fv_topk_node){.src = src, .n_over = n_over, .k = k, .name = name, .ascending = ascending};
    memcpy(node->u.topk.over, over, sizeof(fv_str) * (size_t)n_over);
    return node_add(g, node, NULL);
}

fv_node *fv_graph_scan(fv_graph *g, fv_loc loc, const fv_scan_node *spec) {
    int n = spec->n_states, e = spec->n_elements;
    if (any_null((const void *const *)spec->init, n) || any_null((const void *const *)spec->state, n) ||
        any_null((const void *const *)spec->next, n) || any_null((const void *const *)spec->element_src, e) ||
        any_null((const void *const *)spec->element, e)) return NULL;
    fv_node *node = node_new(g, FV_NODE_SCAN, loc);
    fv_scan_node *s = &node->u.scan;
    *s = *spec;
    s->init = copy_values(g, spec->init, n);
    s->state = copy_values(g, spec->state, n);
    s->next = copy_values(g, spec->next, n);
    s->element_src = copy_values(g, spec->element_src, e);
    s->element = copy_values(g, spec->element, e);
    return node_add(g, node, NULL);
}

/* A step over exactly the key axes of every set is one over the keys. */
static void normalise_step(const fv_attend_node *a, fv_attend_step *st) {
    for (int i = 0; i < a->n_sets; i++) {
        const fv_attend_set *s = &a->set[i];
        if (st->n_axes != s->n_over) return;
        for (int j = 0; j < st->n_axes; j++) if (fv_axis_find(s->over, s->n_over, st->axis[j]) < 0) return;
    }
    st->n_axes = 0;
}

fv_value *fv_graph_attend(fv_graph *g, fv_loc loc, const fv_attend_node *spec, fv_value **out_lse) {
    if (out_lse) *out_lse = NULL;
    fv_node *node = node_new(g, FV_NODE_ATTEND, loc);
    fv_attend_node *a = &node->u.attend;
    *a = *spec;
    a->set = FV_NEWN(g->ctx, fv_attend_set, spec->n_sets + 1);
    a->step = FV_NEWN(g->ctx, fv_attend_step, spec->n_steps + 1);
    for (int i = 0; i < spec->n_sets; i++) {
        fv_attend_set *s = &a->set[i];
        *s = spec->set[i];
        if (any_null((const void *const *)s->score, s->n_scores) ||
            (s->p && any_null((const void *const *)s->p, s->n_scores)))
            return NULL;
        s->score = copy_values(g, s->score, s->n_scores);
        if (s->p) s->p = copy_values(g, s->p, s->n_scores);
    }
    for (int i = 0; i < spec->n_steps; i++) {
        a->step[i] = spec->step[i];
        normalise_step(a, &a->step[i]);
    }
    if (!node_add(g, node, NULL)) return NULL;
    if (out_lse && a->lse) *out_lse = node->result[1];
    return node->result[0];
}

/* -- Outputs ------------------------------------------------------------------------------------------------------ */
bool fv_graph_output(fv_graph *g, fv_loc loc, fv_str entry, fv_str name, fv_value *v, const fv_stored *stored) {
    if (!v) return false;
    const char *what = fv_printf(g->ctx, "output \"%s\"", fv_cstr(g->ctx, name));
    if (!fv_check_name(g, loc, "output", name) || (entry.i && !fv_check_name(g, loc, "entry", entry))) return false;
    if (v->partial) {
        fv_error(g->ctx, FV_E_ABSENT, loc, "%s: elements of %s may be absent", what, fv_value_text(g, v));
        return false;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const fv_output *o = &g->output[i];
        if (!fv_str_eq(o->entry, entry) || !fv_str_eq(o->name, name)) continue;
        fv_error(g->ctx, FV_E_ARGUMENT, loc, "%s is declared twice", what);
        return false;
    }
    fv_stored order = stored ? *stored : fv_stored_plain(v->obj.rank);
    if (!fv_check_stored(g, loc, what, v->axis, v->obj.rank, &order)) return false;
    fv_output o = {.entry = entry, .name = name, .value = v, .stored = order, .loc = loc};
    fv_push(g->ctx, g->output, g->n_outputs, g->cap_outputs, o);
    return true;
}
