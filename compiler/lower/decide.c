/* Decides what every node becomes: stored, inlined, or part of a group. A map is inlined as long as that costs no
 * repeated work; what repeats (read under a window, by a product, by several kernels) is stored. Reductions over one
 * row that end in one map share its kernel; maps that follow an anchor on its own axes are its epilogue. */
#include "lower/internal.h"

#include <string.h>

/* -- Sizes and costs
 * ------------------------------------------------------------------------------------------------------ */
typedef struct {
    int ops;
    bool heavy;
} cost_walk;
static bool count_op(const fv_expr *e, void *user) {
    cost_walk *w = user;
    switch (e->op) {
    case FV_X_INT:
    case FV_X_FLOAT:
    case FV_X_AXIS:
    case FV_X_VAR:
    case FV_X_READ:
    case FV_X_TOFLOAT: break;
    case FV_X_EXP:
    case FV_X_EXP2:
    case FV_X_LOG:
    case FV_X_LOG2:
    case FV_X_SIN:
    case FV_X_COS:
    case FV_X_ERF:
    case FV_X_TANH:
    case FV_X_POW: w->ops += 12; break;
    case FV_X_DIV:
    case FV_X_SQRT:
    case FV_X_RSQRT: w->ops += 4; break;
    default: w->ops += 1; break;
    }
    return false;
}
int lower_map_cost(const fv_node *n) {
    if (n->op != FV_NODE_COMPUTE) return 0;
    if (n->result[0]->free_form && !fv_type_is_float(n->result[0]->obj.type)) return 0; /* coordinates */
    cost_walk w = {0, false};
    fv_visit(n->u.compute.body, count_op, &w);
    return w.ops;
}
static bool is_view(const fv_node *n) { return n->op == FV_NODE_READ; }
static bool is_map(const fv_node *n) { return n->op == FV_NODE_COMPUTE && n->u.compute.monoid == FV_MONOID_NONE; }
static bool is_inlinable(const fv_node *n) { return is_view(n) || is_map(n); }

/* Points at which a node evaluates what it reads. */
static double domain(const fv_node *n) {
    double d = (double)fv_value_count(n->result[0]);
    if (n->op == FV_NODE_COMPUTE)
        for (int i = 0; i < n->u.compute.n_over; i++) d *= (double)n->u.compute.over[i].extent;
    return d;
}
static double attend_domain(const fv_attend_node *a, const fv_value *out, const fv_value *read) {
    for (int s = 0; s < a->n_sets; s++)
        if (a->set[s].k == read || a->set[s].v == read) return 1e30; /* read once per query and per lane: store it */
    if (a->q == read) return 1;                                      /* a prologue: once per tile */
    double pairs = 0, q = (double)fv_value_count(out);
    for (int s = 0; s < a->n_sets; s++) {
        double t = 1;
        for (int i = 0; i < a->set[s].n_over; i++) t *= (double)a->set[s].over[i].extent;
        pairs += t;
    }
    return q * pairs;
}

/* -- Liveness, prepare, ownership
 * ------------------------------------------------------------------------------------------- */
typedef struct {
    lower *l;
    bool prepare;
    int owner;
} operand_walk;
static void operand_prepare(const fv_value *v, void *user) {
    operand_walk *w = user;
    if (!w->l->node[v->node->id].prepare) w->prepare = false;
}
static void classify(lower *l) {
    fv_graph *g = l->g;
    bool *live = FV_NEWN(l->ctx, bool, g->n_nodes), *inner = FV_NEWN(l->ctx, bool, g->n_nodes);
    fv_graph_live(g, live);
    fv_graph_inner(g, inner);
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *n = g->node[i];
        lower_node *d = &l->node[i];
        d->owner = -1;
        operand_walk w = {l, true, -1};
        if (n->op == FV_NODE_INPUT || n->op == FV_NODE_STATE || n->op == FV_NODE_PLACEHOLDER) w.prepare = false;
        fv_node_operands(n, operand_prepare, &w);
        d->prepare = w.prepare;
        if (!live[i]) d->role = LOWER_DEAD;
        else if (inner[i]) d->role = LOWER_INNER;
        else if (n->op == FV_NODE_INPUT || n->op == FV_NODE_PARAM || n->op == FV_NODE_CONST || n->op == FV_NODE_STATE)
            d->role = LOWER_LEAF;
        else {
            bool partial_concat = n->op == FV_NODE_CONCAT && n->result[0]->partial;
            d->role = is_inlinable(n) || partial_concat ? LOWER_INLINE : LOWER_STORED;
        }
    }
}
/* Every inner node below an attend's scores and weights, or a scan's step, belongs to it. */
static void own(const fv_value *v, void *user) {
    operand_walk *w = user;
    lower_node *d = &w->l->node[v->node->id];
    if (d->role != LOWER_INNER || d->owner >= 0) return;
    d->owner = w->owner;
    fv_node_operands(v->node, own, w);
}
static void claim(lower *l) {
    for (int i = 0; i < l->g->n_nodes; i++) {
        const fv_node *n = l->g->node[i];
        if (n->op != FV_NODE_ATTEND && n->op != FV_NODE_SCAN) continue;
        operand_walk w = {l, true, i};
        fv_node_operands(n, own, &w);
    }
}

/* -- Sinks, in reverse order
 * -------------------------------------------------------------------------------------------------- */
typedef struct {
    lower *l;
    const fv_node *reader;
} sink_walk;
static void add_sink(lower_node *d, int id) {
    for (int i = 0; i < d->n_sinks && i < LOWER_MAX_SINKS; i++)
        if (d->sink[i] == id) return;
    if (d->n_sinks < LOWER_MAX_SINKS) d->sink[d->n_sinks] = id;
    if (d->n_sinks <= LOWER_MAX_SINKS) d->n_sinks++;
}
/* Points at which a kernel reads a value. What a step reads is stored: it is read in every lane. */
static double reads_of(const fv_node *n, const fv_value *v) {
    if (n->op == FV_NODE_ATTEND) return attend_domain(&n->u.attend, n->result[0], v);
    if (n->op != FV_NODE_SCAN) return domain(n);
    for (int i = 0; i < n->u.scan.n_states; i++)
        if (n->u.scan.init[i] == v) return (double)fv_value_count(v);
    return 1e30;
}
static void note_reader(const fv_value *v, void *user) {
    sink_walk *w = user;
    lower *l = w->l;
    lower_node *d = &l->node[v->node->id];
    const lower_node *r = &l->node[w->reader->id];
    double size = (double)fv_value_count(v), m;
    if (r->role == LOWER_DEAD) return;
    if (r->role == LOWER_INNER) {
        if (r->owner < 0) return;
        const fv_node *a = l->g->node[r->owner];
        add_sink(d, r->owner);
        m = reads_of(a, v) / size;
    } else if (r->role == LOWER_INLINE) {
        for (int i = 0; i < r->n_sinks && i < LOWER_MAX_SINKS; i++) add_sink(d, r->sink[i]);
        if (r->n_sinks > LOWER_MAX_SINKS) d->n_sinks = LOWER_MAX_SINKS + 1;
        m = r->multiplicity * (double)fv_value_count(w->reader->result[0]) / size;
    } else {
        add_sink(d, w->reader->id);
        m = reads_of(w->reader, v) / size;
    }
    if (m > d->multiplicity) d->multiplicity = m;
}
/* Operations of a value with all that is inlined into it; counts no further than it has to. */
typedef struct {
    const lower *l;
    int ops, enough;
} inlined_cost;
static void add_cost(const fv_value *v, void *user) {
    inlined_cost *w = user;
    if (w->ops > w->enough || w->l->node[v->node->id].role != LOWER_INLINE) return;
    w->ops += lower_map_cost(v->node);
    fv_node_operands(v->node, add_cost, w);
}
static bool meets_run_time(const lower *l, const lower_node *d) {
    for (int i = 0; i < d->n_sinks && i < LOWER_MAX_SINKS; i++)
        if (!l->node[d->sink[i]].prepare) return true;
    return d->n_sinks > LOWER_MAX_SINKS;
}
static void decide_map(lower *l, const fv_node *n) {
    lower_node *d = &l->node[n->id];
    int cost = lower_map_cost(n);
    /* Memory cannot say that an element is absent: it is computed where it is read. */
    if (cost == 0 || n->result[0]->partial) return;
    if (d->prepare) { /* where run-time work begins, a chain of cheap maps counts as a whole */
        inlined_cost whole = {l, cost, 1};
        if (meets_run_time(l, d)) fv_node_operands(n, add_cost, &whole);
        if (fv_value_count(n->result[0]) <= LOWER_PREPARE_ELEMENTS && whole.ops > 1) d->role = LOWER_STORED;
        return;
    }
    if (d->multiplicity > 1.5 || (d->n_sinks > 1 && cost * (d->n_sinks - 1) > 2)) d->role = LOWER_STORED;
}
static void find_sinks(lower *l) {
    for (int o = 0; o < l->g->n_outputs; o++) {
        const fv_node *n = l->g->output[o].value->node;
        if (l->node[n->id].role == LOWER_INLINE) l->node[n->id].role = LOWER_STORED;
    }
    for (int i = l->g->n_nodes - 1; i >= 0; i--) {
        const fv_node *n = l->g->node[i];
        lower_node *d = &l->node[i];
        if (d->role == LOWER_DEAD) continue;
        if (d->role == LOWER_INLINE) decide_map(l, n);
        sink_walk w = {l, n};
        if (d->role != LOWER_LEAF) fv_node_operands(n, note_reader, &w);
    }
}

/* -- Row groups: reductions, and maps of them, whose every reader is one map (or each other)
 * ---------------------------------------------------------- */
typedef struct {
    lower *l;
    const fv_node *y;
    const fv_node **out;
    int n, cap;
    bool seen_all;
} row_walk;
static void row_collect(const fv_value *v, void *user) {
    row_walk *w = user;
    const fv_node *n = v->node;
    const lower_node *d = &w->l->node[n->id];
    if (d->role == LOWER_INLINE) {
        fv_node_operands(n, row_collect, w);
        return;
    }
    if ((!lower_is_reduce(n) && !is_map(n)) || d->role != LOWER_STORED || n->result[0]->obj.rank >= w->y->result[0]->obj.rank)
        return;
    for (int i = 0; i < w->n; i++)
        if (w->out[i] == n) return;
    if (w->n == w->cap) {
        w->seen_all = false;
        return;
    }
    fv_node_operands(n, row_collect, w); /* its own reductions first: order of computation */
    for (int i = 0; i < w->n; i++)
        if (w->out[i] == n) return;
    if (w->n < w->cap) w->out[w->n++] = n;
}
static bool same_axes(const fv_value *a, const fv_value *b) {
    if (a->obj.rank != b->obj.rank) return false;
    for (int i = 0; i < a->obj.rank; i++)
        if (fv_value_axis(b, a->axis[i].name) < 0) return false;
    return true;
}
static double row_size(const fv_node *n) {
    double d = 1;
    for (int i = 0; i < n->u.compute.n_over; i++) d *= (double)n->u.compute.over[i].extent;
    return d;
}
static bool is_output(const lower *l, const fv_node *n) {
    for (int o = 0; o < l->g->n_outputs; o++)
        if (l->g->output[o].value->node == n) return true;
    return false;
}
/* May r, a reduction or a map of reductions, be computed inside the kernel of y, given the members chosen so far? */
static bool row_fits(const lower *l, const fv_node *y, const fv_node *r, const fv_node *const *member, int n) {
    const lower_node *d = &l->node[r->id];
    const fv_node *none[1];
    if (lower_row_members(l, r, none, 1)) return false;                     /* it has a kernel of statistics of its own */
    if (is_output(l, r) || d->n_sinks > LOWER_MAX_SINKS || d->prepare != l->node[y->id].prepare ||
        (lower_is_reduce(r) && (r->u.compute.n_over == 0 || row_size(r) > 32768)) ||
        fv_value_count(y->result[0]) < fv_value_count(r->result[0]) * 2)
        return false;
    for (int i = 0; i < d->n_sinks; i++) {
        bool in = d->sink[i] == y->id;
        for (int j = 0; j < n; j++) in |= member[j]->id == d->sink[i];
        if (!in) return false;
    }
    for (int i = 0; i < r->result[0]->obj.rank; i++)
        if (fv_value_axis(y->result[0], r->result[0]->axis[i].name) < 0) return false;
    for (int i = 0; i < r->u.compute.n_over; i++) { /* one name, one extent in a kernel */
        const fv_axis *o = &r->u.compute.over[i];
        int a = fv_value_axis(y->result[0], o->name);
        if (a >= 0 && y->result[0]->axis[a].extent != o->extent) return false;
        for (int j = 0; j < n; j++)
            for (int k = 0; k < member[j]->u.compute.n_over; k++)
                if (fv_str_eq(member[j]->u.compute.over[k].name, o->name) &&
                    member[j]->u.compute.over[k].extent != o->extent)
                    return false;
    }
    for (int j = 0; j < n; j++)
        if (!same_axes(r->result[0], member[j]->result[0])) return false;
    return true;
}
typedef struct {
    const fv_value *bad;
    lower *l;
    const fv_node *r;
} at_self;
static bool read_off(const fv_expr *e, void *user) { /* a READ of a member away from its own coordinates? */
    const at_self *w = user;
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE || fv_value_of(e->ref) != w->r->result[0]) return false;
    const fv_value *v = w->r->result[0];
    for (int i = 0; i < v->obj.rank; i++)
        if (v->axis[i].extent > 1 && e->arg[i] != fv_axis_ref(w->l->ctx, v->axis[i].name)) return true;
    return false;
}
static bool reads_at_self(lower *l, const fv_node *reader, const fv_node *r) {
    fv_facts f = {0};
    fv_value_facts(l->ctx, reader->result[0], &f);
    for (int i = 0; i < reader->u.compute.n_over; i++)
        fv_facts_add(l->ctx, &f, fv_axis_ref(l->ctx, reader->u.compute.over[i].name), 0,
                     reader->u.compute.over[i].extent - 1);
    at_self w = {NULL, l, r};
    lower_pair p = lower_expand(l, &f, reader->u.compute.body);
    return !fv_visit(p.value, read_off, &w) && !(p.exists && fv_visit(p.exists, read_off, &w));
}
int lower_row_members(const lower *l, const fv_node *y, const fv_node **out, int cap) {
    int n = 0;
    for (int i = 0; i < y->id && n < cap; i++)
        if (l->node[i].role == LOWER_ABSORBED && l->node[i].final == y->id) out[n++] = l->g->node[i];
    return n;
}
static void group_rows(lower *l) {
    enum { CAP = 16 };
    for (int i = 0; i < l->g->n_nodes; i++) {
        const fv_node *y = l->g->node[i];
        if (l->node[i].role != LOWER_STORED || !is_map(y)) continue;
        const fv_node *cand[CAP], *member[CAP];
        row_walk w = {l, y, cand, 0, CAP, true};
        fv_node_operands(y, row_collect, &w);
        int n = 0;
        for (int j = w.n - 1; j >= 0; j--) /* last first: a reduction may feed those after it */
            if (row_fits(l, y, cand[j], member, n)) {
                bool self = reads_at_self(l, y, cand[j]);
                for (int k = 0; k < n && self; k++) self = reads_at_self(l, member[k], cand[j]);
                if (self) member[n++] = cand[j];
            }
        while (n > 0 && !lower_is_reduce(member[n - 1])) n--; /* a map of no member reduction stays a kernel of its own */
        for (int j = 0; j < n; j++) {
            l->node[member[j]->id].role = LOWER_ABSORBED;
            l->node[member[j]->id].final = i;
        }
    }
}

/* -- Epilogues: maps on an anchor's own axes
 * ------------------------------------------------------------------------------------------ */
/* Who reads whom, by node id, dead nodes left out: operand[first_operand[i] .. first_operand[i + 1]), and the same for
 * readers. */
typedef struct {
    int *first_operand, *operand, *first_reader, *reader, *stamp, clock;
    bool *claimed;
} links; /* claimed: by the epilogue of a group */
typedef struct {
    int *list;
    int n, cap;
    fv_ctx *ctx;
    int reader;
} link_walk;
static void link_operand(const fv_value *v, void *user) {
    link_walk *w = user;
    fv_push(w->ctx, w->list, w->n, w->cap, v->node->id);
}
static links link_nodes(const lower *l) {
    int n = l->g->n_nodes;
    links k = {.first_operand = FV_NEWN(l->ctx, int, n + 1),
               .first_reader = FV_NEWN(l->ctx, int, n + 2),
               .stamp = FV_NEWN(l->ctx, int, n),
               .claimed = FV_NEWN(l->ctx, bool, n)};
    link_walk w = {.ctx = l->ctx};
    for (int i = 0; i < n; i++) {
        k.first_operand[i] = w.n;
        if (l->node[i].role != LOWER_DEAD) fv_node_operands(l->g->node[i], link_operand, &w);
    }
    k.first_operand[n] = w.n;
    k.operand = w.list;
    for (int j = 0; j < w.n; j++) k.first_reader[w.list[j] + 2]++;
    for (int i = 0; i < n; i++) k.first_reader[i + 2] += k.first_reader[i + 1];
    k.reader = FV_NEWN(l->ctx, int, w.n + 1);
    for (int i = 0; i < n; i++)
        for (int j = k.first_operand[i]; j < k.first_operand[i + 1]; j++) k.reader[k.first_reader[w.list[j] + 1]++] = i;
    return k;
}

enum { EPILOGUE_CAP = 64, EPILOGUE_REACH = 600 };
typedef struct {
    const fv_node *node;
    const fv_expr **coords;
} epilogue_member; /* coordinates of its value over the anchor's axes */
typedef struct {
    lower *l;
    links *k;
    const fv_node *anchor;
    fv_facts facts;
    epilogue_member set[EPILOGUE_CAP];
    int n;
} epilogue;
static const epilogue_member *in_set(const epilogue *e, int id) {
    for (int i = 0; i < e->n; i++)
        if (e->set[i].node->id == id) return &e->set[i];
    return NULL;
}
/* Does node `id` depend on the anchor other than through the set? */
static bool goes_round(epilogue *e, int id) {
    if (id < e->anchor->id || e->k->stamp[id] == e->k->clock) return false;
    e->k->stamp[id] = e->k->clock;
    if (in_set(e, id)) return true;
    for (int j = e->k->first_operand[id]; j < e->k->first_operand[id + 1]; j++)
        if (goes_round(e, e->k->operand[j])) return true;
    return false;
}
/* Does node `id`, through what is inlined into it, read a statistic that lives in another kernel's buffers? */
static bool reads_member(const epilogue *e, int id) {
    if (in_set(e, id)) return false;
    if (e->l->node[id].role == LOWER_ABSORBED) return true;
    if (e->l->node[id].role != LOWER_INLINE) return false;
    for (int j = e->k->first_operand[id]; j < e->k->first_operand[id + 1]; j++)
        if (reads_member(e, e->k->operand[j])) return true;
    return false;
}
static const fv_expr *coord_of(const epilogue_member *m, fv_str axis) {
    int a = fv_value_axis(m->node->result[0], axis);
    return a < 0 ? NULL : m->coords[a];
}
/* A map that reads the set at its own coordinates only, or a view that only moves the set's elements. NULL, or its
 * coordinates. */
static const fv_expr **extends(epilogue *e, const fv_node *c) {
    lower *l = e->l;
    const lower_node *d = &l->node[c->id];
    const fv_value *v = c->result[0];
    if (!is_inlinable(c) || e->k->claimed[c->id] || (d->role != LOWER_INLINE && d->role != LOWER_STORED) || v->partial)
        return NULL;
    const epilogue_member *m = NULL;
    for (int j = e->k->first_operand[c->id]; j < e->k->first_operand[c->id + 1]; j++)
        if (in_set(e, e->k->operand[j])) m = in_set(e, e->k->operand[j]);
    if (!m) return NULL;
    const fv_expr **coords = FV_NEWN(l->ctx, const fv_expr *, v->obj.rank + 1);
    if (is_view(c))
        return c->u.read.src == m->node->result[0] && lower_invert_view(l, c, m->coords, &e->facts, coords) ? coords
                                                                                                            : NULL;
    if (!same_axes(v, m->node->result[0])) return NULL;
    for (int i = 0; i < v->obj.rank; i++) coords[i] = coord_of(m, v->axis[i].name);
    e->k->clock++;
    for (int j = e->k->first_operand[c->id]; j < e->k->first_operand[c->id + 1]; j++) {
        int o = e->k->operand[j];
        const epilogue_member *other = in_set(e, o);
        if (!other) {
            if (goes_round(e, o) || reads_member(e, o)) return NULL;
            continue;
        }
        for (int i = 0; i < v->obj.rank; i++)
            if (coord_of(other, v->axis[i].name) != coords[i]) return NULL;
        at_self w = {NULL, l, other->node};
        if (fv_visit(c->u.compute.body, read_off, &w)) return NULL;
    }
    const fv_node *none[1];
    return lower_row_members(l, c, none, 1) == 0 ? coords : NULL;
}
static bool leaks(const epilogue *e, const fv_node *m) { /* does anything outside the set read m? */
    for (int j = e->k->first_reader[m->id]; j < e->k->first_reader[m->id + 1]; j++)
        if (!in_set(e, e->k->reader[j])) return true;
    return is_output(e->l, m);
}
static void absorb(lower *l, links *k, const fv_node *anchor) {
    epilogue *e = FV_NEW(l->ctx, epilogue);
    const fv_value *v = anchor->result[0];
    *e = (epilogue){.l = l, .k = k, .anchor = anchor, .n = 1};
    e->set[0] = (epilogue_member){anchor, FV_NEWN(l->ctx, const fv_expr *, v->obj.rank + 1)};
    for (int i = 0; i < v->obj.rank; i++) e->set[0].coords[i] = fv_axis_ref(l->ctx, v->axis[i].name);
    fv_value_facts(l->ctx, v, &e->facts);
    int best = 1;
    for (int i = anchor->id + 1; i < l->g->n_nodes && i < anchor->id + EPILOGUE_REACH && e->n < EPILOGUE_CAP; i++) {
        const fv_node *c = l->g->node[i];
        if (l->node[i].role == LOWER_DEAD) continue;
        const fv_expr **coords = extends(e, c);
        if (!coords) continue;
        e->set[e->n++] = (epilogue_member){c, coords};
        if (is_view(c) && !is_output(l, c)) continue; /* a group ends in a map, or in what is asked for */
        bool closed = true;
        for (int j = 0; j < e->n - 1 && closed; j++) closed = !leaks(e, e->set[j].node);
        if (closed) best = e->n;
    }
    if (best == 1) return;
    const fv_node *final = e->set[best - 1].node;
    for (int j = 0; j < best - 1; j++) {
        lower_node *d = &l->node[e->set[j].node->id];
        d->role = j == 0 ? LOWER_ABSORBED : LOWER_INLINE;
        d->final = final->id;
        k->claimed[e->set[j].node->id] = true;
    }
    k->claimed[final->id] = true;
    l->node[final->id].role = LOWER_STORED;
    l->coords[final->id] = e->set[best - 1].coords;
}
static void group_epilogues(lower *l) {
    links k = link_nodes(l);
    for (int i = 0; i < l->g->n_nodes; i++) {
        const fv_node *n = l->g->node[i];
        if (l->node[i].role != LOWER_STORED || n->n_results != 1) continue;
        if (lower_is_reduce(n) || n->op == FV_NODE_ATTEND) absorb(l, &k, n);
    }
}

void lower_decide(lower *l) {
    classify(l);
    claim(l);
    find_sinks(l);
    group_rows(l);
    group_epilogues(l);
}
