/* Which scans are recurrences that one kernel runs: steps of views, maps, sums and maxima over small states. */
#include "lower/recurrence.h"

enum { MOST_WORK = 1 << 20, FEW_STEPS = 4 };

static bool in_body(const lower_recurrence *r, const fv_value *v) { return r->in[v->node->id]; }
static void no(lower_recurrence *r, const char *why) {
    if (!r->no) r->no = why;
}

/* Values that get a buffer: reductions, next states, and maps that a reduction or several values read. */
typedef struct {
    lower_recurrence *r;
    const fv_node *reader;
    int *readers;
    bool *reduced;
} reader_walk;
static void note_read(const fv_value *v, void *user) {
    reader_walk *w = user;
    if (!in_body(w->r, v)) return;
    w->readers[v->node->id]++;
    if (lower_is_reduce(w->reader) || (w->reader->op == FV_NODE_READ && w->reduced[w->reader->id]))
        w->reduced[v->node->id] = true;
}
static bool is_next(const lower_recurrence *r, const fv_node *n) {
    for (int i = 0; i < r->scan->u.scan.n_states; i++)
        if (r->scan->u.scan.next[i]->node == n) return true;
    return false;
}
static void find_members(lower_recurrence *r) {
    reader_walk w = {.r = r,
                     .readers = FV_NEWN(r->g->ctx, int, r->scan->id + 1),
                     .reduced = FV_NEWN(r->g->ctx, bool, r->scan->id + 1)};
    for (int i = r->scan->id - 1; i >= 0; i--) {
        if (!r->in[i]) continue;
        w.reader = r->g->node[i];
        fv_node_operands(w.reader, note_read, &w);
    }
    for (int i = 0; i < r->scan->id; i++) {
        const fv_node *n = r->g->node[i];
        if (!r->in[i] || n->op == FV_NODE_PLACEHOLDER || n->op == FV_NODE_READ) continue;
        bool costs = lower_map_cost(n) > 0;
        if (!lower_is_reduce(n) && !is_next(r, n) && !(costs && (w.reduced[i] || w.readers[i] > 1))) continue;
        if (r->n_members == LOWER_MOST_MEMBERS) {
            no(r, "it keeps too many values");
            return;
        }
        r->member[r->n_members++] = n;
    }
}
static bool kind_fits(const fv_node *n) {
    if (n->op == FV_NODE_PLACEHOLDER || n->op == FV_NODE_READ) return true;
    if (n->op != FV_NODE_COMPUTE) return false;
    switch (n->u.compute.monoid) {
    case FV_MONOID_NONE:
    case FV_MONOID_SUM:
    case FV_MONOID_MAX:
    case FV_MONOID_MIN: return true;
    default: return false;
    }
}
static bool type_fits(fv_type t) { return t == FV_F32 || t == FV_I32; }

/* Is a value of the body read at axis `a` elsewhere than at the reader's own coordinate? */
typedef struct {
    const lower_recurrence *r;
    fv_str axis;
    bool off;
} off_walk;
static bool reads_off(const fv_expr *e, void *user) {
    off_walk *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE || !in_body(w->r, fv_value_of(e->ref))) return false;
    int a = fv_value_axis(fv_value_of(e->ref), w->axis);
    if (a >= 0 && !(e->arg[a]->op == FV_X_AXIS && fv_str_eq(e->arg[a]->name, w->axis))) w->off = true;
    return w->off;
}
static bool node_reads_off(const lower_recurrence *r, const fv_node *n, fv_str axis) {
    off_walk w = {r, axis, false};
    if (n->op == FV_NODE_COMPUTE) {
        for (int i = 0; i < n->u.compute.n_over; i++) w.off |= fv_str_eq(n->u.compute.over[i].name, axis);
        const fv_expr *part[] = {n->u.compute.body, n->u.compute.only, n->u.compute.otherwise};
        for (int i = 0; i < 3 && !w.off; i++)
            if (part[i]) fv_visit(part[i], reads_off, &w);
    } else if (n->op == FV_NODE_READ) {
        const fv_value *src = n->u.read.src;
        int a = fv_value_axis(src, axis);
        if (in_body(r, src) && a >= 0 && n->u.read.index[a] != fv_axis_ref(r->g->ctx, axis)) w.off = true;
        for (int i = 0; i < src->obj.rank && !w.off; i++) fv_visit(n->u.read.index[i], reads_off, &w);
        if (n->u.read.only && !w.off) fv_visit(n->u.read.only, reads_off, &w);
    }
    return w.off;
}
static bool everything_has(const lower_recurrence *r, fv_str axis) {
    const fv_scan_node *s = &r->scan->u.scan;
    for (int i = 0; i < s->n_states; i++)
        if (fv_value_axis(s->state[i], axis) < 0) return false;
    for (int i = 0; i < r->n_members; i++)
        if (fv_value_axis(r->member[i]->result[0], axis) < 0) return false;
    return !s->output || fv_value_axis(s->output, axis) >= 0;
}
static void inner_axis(lower_recurrence *r, fv_axis a) {
    for (int i = 0; i < r->n_grid; i++)
        if (fv_str_eq(r->grid[i].name, a.name)) {
            if (r->grid[i].extent != a.extent) no(r, "one name stands for two axes");
            return;
        }
    for (int i = 0; i < r->n_inner; i++)
        if (fv_str_eq(r->inner[i].name, a.name)) {
            if (r->inner[i].extent != a.extent) no(r, "one name stands for two axes");
            return;
        }
    if (fv_str_eq(a.name, r->scan->u.scan.over.name)) no(r, "an axis of a step has the name of the scanned one");
    else if (r->n_inner == FV_MAX_AXES) no(r, "it has too many axes");
    else r->inner[r->n_inner++] = a;
}
static void axes_of(lower_recurrence *r, const fv_value *v) {
    for (int i = 0; i < v->obj.rank; i++) inner_axis(r, v->axis[i]);
}
double lower_inner_elements(const lower_recurrence *r, const fv_value *v) {
    double n = 1;
    for (int i = 0; i < v->obj.rank; i++) {
        bool grid = false;
        for (int j = 0; j < r->n_grid; j++) grid |= fv_str_eq(r->grid[j].name, v->axis[i].name);
        if (!grid) n *= (double)v->axis[i].extent;
    }
    return n;
}
static void find_axes(lower_recurrence *r) {
    const fv_scan_node *s = &r->scan->u.scan;
    const fv_value *first = s->n_states ? s->state[0] : s->output;
    for (int i = 0; first && i < first->obj.rank; i++) {
        fv_axis a = first->axis[i];
        bool independent = everything_has(r, a.name);
        for (int j = 0; j < r->scan->id && independent; j++)
            if (r->in[j]) independent = !node_reads_off(r, r->g->node[j], a.name);
        if (independent) r->grid[r->n_grid++] = a;
    }
    for (int i = 0; i < s->n_states; i++) axes_of(r, s->state[i]);
    for (int i = 0; i < r->n_members; i++) {
        const fv_node *m = r->member[i];
        axes_of(r, m->result[0]);
        if (lower_is_reduce(m))
            for (int j = 0; j < m->u.compute.n_over; j++) inner_axis(r, m->u.compute.over[j]);
    }
    if (s->output) axes_of(r, s->output);
}
static void find_size(lower_recurrence *r) {
    double elements = 0, work = 0;
    const fv_scan_node *s = &r->scan->u.scan;
    for (int i = 0; i < s->n_states; i++) elements += lower_inner_elements(r, s->state[i]);
    for (int i = 0; i < r->n_members; i++) {
        const fv_node *m = r->member[i];
        double n = lower_inner_elements(r, m->result[0]);
        elements += n;
        if (lower_is_reduce(m))
            for (int j = 0; j < m->u.compute.n_over; j++) n *= (double)m->u.compute.over[j].extent;
        work += n;
    }
    if (elements > LOWER_MOST_ELEMENTS) no(r, "its states are too large for one program");
    if (work > MOST_WORK) no(r, "a step is too much work for one program");
}
lower_recurrence *lower_recurrence_of(const fv_graph *g, const fv_node *scan, const bool *in) {
    lower_recurrence *r = FV_NEW(g->ctx, lower_recurrence);
    const fv_scan_node *s = &scan->u.scan;
    *r = (lower_recurrence){.g = g, .scan = scan, .in = in};
    if (!s->n_states) no(r, "it has no state");
    if (s->n_states > LOWER_MOST_MEMBERS) no(r, "it has too many states");
    for (int i = 0; i < scan->id && !r->no; i++) {
        if (!in[i]) continue;
        const fv_node *n = g->node[i];
        if (!kind_fits(n)) no(r, "a step holds more than views, maps, sums and maxima");
        else if (n->result[0]->partial) no(r, "elements of a step may be absent");
    }
    for (int i = 0; i < s->n_states; i++)
        if (!type_fits(s->state[i]->obj.type)) no(r, "a state is neither f32 nor i32");
    if (s->over.extent < FEW_STEPS) no(r, "it has few steps");
    if (!r->no) find_members(r);
    for (int i = 0; i < r->n_members; i++)
        if (!type_fits(r->member[i]->result[0]->obj.type)) no(r, "a value of a step is neither f32 nor i32");
    if (!r->no) find_axes(r);
    if (!r->no) find_size(r);
    return r;
}
const char *lower_scan_refused(const fv_graph *g, const fv_node *scan, const bool *body) {
    return lower_recurrence_of(g, scan, body)->no;
}
