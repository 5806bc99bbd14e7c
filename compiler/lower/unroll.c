/* scan by its definition, where no kernel runs it (emit_scan.c): the body is built once per step. Elements become reads
 * at the step's position, states the values of the step before; the outputs of the steps are concatenated. Every
 * backend runs what comes out. A scan within a scan is unrolled within every step. */
#include "lower/expand.h"

enum { MOST_NODES = 20000, MOST_PARTS = 64 };

typedef struct {
    lower_rebuild copy;
    const fv_bound_sets *sets;
    int made; /* nodes of bodies so far */
} unroll;

/* Nodes that are evaluated anew in every step: those that read a placeholder of the scan, and all that is inside of an
 * attend or scan among them. */
static bool owned_by(const unroll *u, const fv_node *n, const bool *in) {
    for (int p = 0; p < u->sets->n; p++)
        if (u->sets->owner[p] && in[u->sets->owner[p]->id] && fv_bound_sets_has(u->sets, n, p)) return true;
    return false;
}
static bool *body_of(const unroll *u, const fv_node *scan) {
    const fv_graph *g = u->copy.from;
    bool *in = FV_NEWN(g->ctx, bool, g->n_nodes + 1);
    in[scan->id] = true;
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < scan->id; i++)
            if (!in[i] && u->copy.live[i] && owned_by(u, g->node[i], in)) more = in[i] = true;
    }
    in[scan->id] = false;
    return in;
}
static bool owns(const unroll *u, const fv_node *scan, const fv_value *v) {
    for (int p = 0; p < u->sets->n; p++)
        if (u->sets->placeholder[p] == v) return u->sets->owner[p] == scan;
    return false;
}
/* A value at one position of an axis that it has. */
static fv_value *at(unroll *u, fv_loc loc, fv_value *v, fv_str axis, int64_t position) {
    fv_ctx *c = u->copy.to->ctx;
    const fv_expr *index[FV_MAX_AXES];
    fv_axis left[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < v->obj.rank; i++) {
        bool gone = fv_str_eq(v->axis[i].name, axis);
        index[i] = gone ? fv_int(c, position) : fv_axis_ref(c, v->axis[i].name);
        if (!gone) left[n++] = v->axis[i];
    }
    return fv_graph_read(u->copy.to, loc, v, left, n, index, FV_BORDER_NONE, 0, NULL);
}
/* A step's output as a part of the whole: with the axis, of one position. */
static fv_value *as_part(unroll *u, fv_loc loc, fv_value *v, const fv_value *whole, fv_str over) {
    fv_ctx *c = u->copy.to->ctx;
    const fv_expr *index[FV_MAX_AXES];
    fv_axis axis[FV_MAX_AXES];
    for (int i = 0; i < whole->obj.rank; i++) {
        axis[i] = whole->axis[i];
        if (fv_str_eq(axis[i].name, over)) axis[i] = (fv_axis){.name = over, .extent = 1};
    }
    for (int i = 0; i < v->obj.rank; i++) index[i] = fv_axis_ref(c, v->axis[i].name);
    return fv_graph_read(u->copy.to, loc, v, axis, whole->obj.rank, index, FV_BORDER_NONE, 0, NULL);
}
static fv_value *joined(unroll *u, fv_loc loc, fv_str over, fv_value **part, int n) {
    while (n > 1) { /* groups of parts, then groups of groups */
        int m = 0;
        for (int i = 0; i < n; i += MOST_PARTS) {
            int count = n - i < MOST_PARTS ? n - i : MOST_PARTS;
            fv_value *v = count == 1 ? part[i] : fv_graph_concat(u->copy.to, loc, over, part + i, count);
            if (!v) return NULL;
            part[m++] = v;
        }
        n = m;
    }
    return n ? part[0] : NULL;
}

static void unroll_node(unroll *u, const fv_node *n);
static bool step(unroll *u, const fv_node *scan, const bool *in, int64_t t) {
    const fv_scan_node *s = &scan->u.scan;
    lower_rebuild *k = &u->copy;
    for (int e = 0; e < s->n_elements; e++)
        k->map[s->element[e]->id] = at(u, scan->loc, k->map[s->element_src[e]->id], s->over.name, t);
    for (int i = 0; i < scan->id && !k->failed; i++) {
        const fv_node *n = k->from->node[i];
        if (!in[i] || owns(u, scan, n->result[0])) continue;
        u->made++;
        if (u->made > MOST_NODES) return false;
        unroll_node(u, n);
    }
    return !k->failed;
}
static void unroll_scan(unroll *u, const fv_node *scan, const bool *in) {
    const fv_scan_node *s = &scan->u.scan;
    lower_rebuild *k = &u->copy;
    fv_ctx *c = k->to->ctx;
    int64_t steps = s->over.extent;
    fv_value **part = FV_NEWN(c, fv_value *, steps + 1);
    fv_value **now = FV_NEWN(c, fv_value *, s->n_states + 1);
    for (int i = 0; i < s->n_states; i++) now[i] = k->map[s->init[i]->id];
    for (int64_t j = 0; j < steps; j++) {
        int64_t t = s->reverse ? steps - 1 - j : j;
        for (int i = 0; i < s->n_states; i++) k->map[s->state[i]->id] = now[i];
        if (!step(u, scan, in, t)) {
            if (!k->failed)
                fv_error(c, FV_E_NOT_LOWERED, scan->loc,
                         "scan over '%s': its %lld steps of %d values are more than %d, and it is no recurrence that "
                         "one kernel can run",
                         fv_cstr(c, s->over.name), (long long)steps, u->made / (int)(j + 1), MOST_NODES);
            k->failed = true;
            return;
        }
        for (int i = 0; i < s->n_states; i++) now[i] = k->map[s->next[i]->id];
        if (s->output) part[t] = as_part(u, scan->loc, k->map[s->output->id], scan->result[0], s->over.name);
        if (s->output && !part[t]) k->failed = true;
        if (k->failed) return;
    }
    int r = 0;
    if (s->output) k->map[scan->result[r++]->id] = joined(u, scan->loc, s->over.name, part, (int)steps);
    for (int i = 0; i < s->n_states; i++) k->map[scan->result[r++]->id] = now[i];
}
static void unroll_node(unroll *u, const fv_node *n) {
    const bool *in = n->op == FV_NODE_SCAN ? body_of(u, n) : NULL;
    if (in && lower_scan_refused(u->copy.from, n, in)) unroll_scan(u, n, in);
    else lower_rebuild_node(&u->copy, n);
    for (int r = 0; r < n->n_results; r++)
        if (!u->copy.map[n->result[r]->id]) u->copy.failed = true;
}

fv_graph *lower_unroll_scans(fv_graph *g, fv_lower_options *o) {
    fv_ctx *c = g->ctx;
    bool *live = FV_NEWN(c, bool, g->n_nodes + 1), *inside = FV_NEWN(c, bool, g->n_nodes + 1), any = false;
    fv_graph_live(g, live);
    unroll u = {.copy = {.from = g, .live = live}, .sets = fv_graph_bound_sets(g)};
    for (int i = 0; i < g->n_nodes; i++)
        if (live[i] && g->node[i]->op == FV_NODE_SCAN) {
            const bool *in = body_of(&u, g->node[i]);
            const char *why = lower_scan_refused(g, g->node[i], in);
            lower l = {.ctx = c, .g = g, .o = o};
            lower_consider(&l, g->node[i], "scan.loop", !why, "%s", why ? why : "one kernel walks the axis");
            if (!why) continue;
            lower_consider(&l, g->node[i], "scan.unroll", true, "the step is built once per position");
            any = true;
            for (int j = 0; j < i; j++) inside[j] |= in[j];
        }
    if (!any) return g;
    u.copy.to = fv_graph_new(c, fv_cstr(c, g->name));
    u.copy.map = FV_NEWN(c, fv_value *, g->n_values + 1);
    for (int i = 0; i < g->n_nodes && !u.copy.failed; i++)
        if (live[i] && !inside[i]) unroll_node(&u, g->node[i]);
    lower_rebuild_outputs(&u.copy);
    return u.copy.failed ? NULL : u.copy.to;
}
