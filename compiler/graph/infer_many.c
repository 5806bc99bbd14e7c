/* topk and scan: results and rules (docs/language.md A5, A6). */
#include "graph/private.h"

#include <string.h>

#define FAIL(g, n, code, ...) (fv_error((g)->ctx, (code), (n)->loc, __VA_ARGS__), (fv_shape *)NULL)

/* -- topk --------------------------------------------------------------------------------------------------------- */
fv_shape *fv_topk_infer(fv_graph *g, const fv_node *n, int *count) {
    const fv_topk_node *t = &n->u.topk;
    const fv_value *src = t->src;
    const char *text = fv_value_text(g, src);
    if (src->partial) return FAIL(g, n, FV_E_ABSENT, "top: elements may be absent: %s", text);
    fv_axis rest[FV_MAX_AXES];
    int64_t points = 1;
    int n_rest = 0;
    for (int i = 0; i < t->n_over; i++) {
        int a = fv_value_axis(src, t->over[i]);
        if (a < 0) return FAIL(g, n, FV_E_AXIS, "top: no axis '%s' in %s", fv_cstr(g->ctx, t->over[i]), text);
        for (int j = 0; j < i; j++)
            if (fv_str_eq(t->over[i], t->over[j]))
                return FAIL(g, n, FV_E_AXIS, "top: axis '%s' twice", fv_cstr(g->ctx, t->over[i]));
        points *= src->axis[a].extent;
    }
    for (int i = 0; i < src->obj.rank; i++) {
        bool gone = false;
        for (int j = 0; j < t->n_over; j++) gone = gone || fv_str_eq(t->over[j], src->axis[i].name);
        if (!gone) rest[n_rest++] = src->axis[i];
    }
    if (t->k < 1 || t->k > points)
        return FAIL(g, n, FV_E_ARGUMENT, "top: %lld of %lld elements of %s", (long long)t->k, (long long)points, text);
    rest[n_rest++] = (fv_axis){.name = t->name, .extent = t->k};
    if (!fv_check_axes(g, n->loc, "top", rest, n_rest)) return NULL;
    *count = t->n_over + 1;
    fv_shape *s = FV_NEWN(g->ctx, fv_shape, *count);
    for (int i = 0; i < *count; i++) {
        bool index = i < t->n_over;
        s[i].type = index ? FV_I32 : src->obj.type;
        s[i].rank = n_rest;
        memcpy(s[i].axis, rest, sizeof(fv_axis) * (size_t)n_rest);
        s[i].ranged = index || src->obj.ranged;
        s[i].lo = index ? 0 : src->obj.lo;
        s[i].hi = index ? src->axis[fv_value_axis(src, t->over[i])].extent - 1 : src->obj.hi;
    }
    return s;
}

/* -- scan --------------------------------------------------------------------------------------------------------- */
static bool owned_placeholder(fv_graph *g, const fv_node *n, const fv_value *v, const char *what) {
    if (v->node->op != FV_NODE_PLACEHOLDER)
        return FAIL(g, n, FV_E_GRAPH, "scan: %s is not a placeholder: %s", what, fv_value_text(g, v));
    const fv_node *o = fv_placeholder_owner(g, v);
    if (o && o != n) return FAIL(g, n, FV_E_GRAPH, "scan: %s belongs to another node (line %d)", what, o->loc.line);
    if (fv_node_owns(n, v) != 1)
        return FAIL(g, n, FV_E_GRAPH, "scan: %s is bound twice: %s", what, fv_value_text(g, v));
    return true;
}
static bool converts(fv_type from, fv_type to) {
    return from == to || fv_type_is_float(to) || (to == FV_I32 && from == FV_BOOL);
}
static bool check_state(fv_graph *g, const fv_node *n, int i) {
    const fv_scan_node *s = &n->u.scan;
    const fv_value *init = s->init[i], *state = s->state[i], *next = s->next[i];
    if (!owned_placeholder(g, n, state, "a state")) return false;
    if (init->partial || next->partial || state->partial)
        return FAIL(g, n, FV_E_ABSENT, "scan: elements of a state may be absent: %s",
                    fv_value_text(g, init->partial ? init : next));
    if (fv_value_axis(state, s->over.name) >= 0)
        return FAIL(g, n, FV_E_AXIS, "scan: the state has the axis scanned over: %s", fv_value_text(g, state));
    if (!fv_axes_same(init->axis, init->obj.rank, state->axis, state->obj.rank) ||
        !fv_axes_same(next->axis, next->obj.rank, state->axis, state->obj.rank))
        return FAIL(g, n, FV_E_AXIS, "scan: a state's axes differ: first %s; in the step %s; next %s",
                    fv_value_text(g, init),
                    fv_value_text(g, state), fv_value_text(g, next));
    if (!converts(init->obj.type, state->obj.type) || !converts(next->obj.type, state->obj.type))
        return FAIL(g, n, FV_E_ARGUMENT, "scan: a state is %s, its first value %s, the next %s",
                    fv_type_name(state->obj.type),
                    fv_type_name(init->obj.type), fv_type_name(next->obj.type));
    return true;
}
static bool check_element(fv_graph *g, const fv_node *n, int i) {
    const fv_scan_node *s = &n->u.scan;
    const fv_value *src = s->element_src[i], *e = s->element[i];
    if (!owned_placeholder(g, n, e, "an element")) return false;
    fv_axis want[FV_MAX_AXES];
    int m = 0, at = fv_value_axis(src, s->over.name);
    for (int j = 0; j < src->obj.rank; j++) if (j != at) want[m++] = src->axis[j];
    if (at < 0 || src->axis[at].extent != s->over.extent)
        return FAIL(g, n, FV_E_AXIS, "scan over %s=%lld: an element's source is %s", fv_cstr(g->ctx, s->over.name),
                    (long long)s->over.extent, fv_value_text(g, src));
    bool ranged = !e->obj.ranged || (src->obj.ranged && src->obj.lo >= e->obj.lo && src->obj.hi <= e->obj.hi);
    if (!fv_axes_same(want, m, e->axis, e->obj.rank) || e->obj.type != src->obj.type || e->partial != src->partial ||
        !ranged)
        return FAIL(g, n, FV_E_GRAPH, "scan: an element differs from its source: %s; %s", fv_value_text(g, e),
                    fv_value_text(g, src));
    return true;
}
fv_shape *fv_scan_infer(fv_graph *g, const fv_node *n, int *count) {
    const fv_scan_node *s = &n->u.scan;
    if (!fv_check_axes(g, n->loc, "scan", &s->over, 1)) return NULL;
    int outs = s->output ? 1 : 0;
    if (s->n_states < 0 || s->n_elements < 0 || s->n_states + outs < 1 || s->n_states > FV_MAX_RESULTS - 1)
        return FAIL(g, n, FV_E_ARGUMENT, "scan: %d states; 1 to %d, or an output", s->n_states, FV_MAX_RESULTS - 1);
    for (int i = 0; i < s->n_states; i++) if (!check_state(g, n, i)) return NULL;
    for (int i = 0; i < s->n_elements; i++) if (!check_element(g, n, i)) return NULL;
    *count = s->n_states + outs;
    fv_shape *r = FV_NEWN(g->ctx, fv_shape, *count);
    if (s->output) {
        const fv_value *y = s->output;
        if (fv_value_axis(y, s->over.name) >= 0 || y->obj.rank == FV_MAX_AXES)
            return FAIL(g, n, FV_E_AXIS, "scan: the step's output must lack '%s': %s", fv_cstr(g->ctx, s->over.name),
                        fv_value_text(g, y));
        r[0] = (fv_shape){.type = y->obj.type, .rank = y->obj.rank + 1, .partial = y->partial, .ranged = y->obj.ranged,
                          .lo = y->obj.lo,
                          .hi = y->obj.hi};
        r[0].axis[0] = s->over;
        memcpy(r[0].axis + 1, y->axis, sizeof(fv_axis) * (size_t)y->obj.rank);
        if (!fv_check_axes(g, n->loc, "scan", r[0].axis, r[0].rank)) return NULL;
    }
    for (int i = 0; i < s->n_states; i++) {
        const fv_value *x = s->state[i];
        r[outs + i] = (fv_shape){.type = x->obj.type, .rank = x->obj.rank};
        memcpy(r[outs + i].axis, x->axis, sizeof(fv_axis) * (size_t)x->obj.rank);
    }
    return r;
}
