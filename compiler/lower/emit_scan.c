/* scan as one kernel: a recurrence whose states are buffers. The grid is over the axes along which the steps of a state
 * are independent; a program walks the scanned axis, computes what a step stores away (its members, in order), and
 * keeps its states from step to step. Linear attention with decay, running softmax, filters. What is no such recurrence
 * is unrolled (unroll.c). */
#include "lower/recurrence.h"

#include <string.h>


typedef struct {
    lower *l;
    const lower_recurrence *r;
    lower_kernel k;
    fv_facts facts;
    fv_str lane;      /* the grid axis that is a tile, or an inner axis; {0}: none */
    const fv_expr *t; /* the step's position */
    fv_buffer *state[LOWER_MOST_MEMBERS], *buffer[LOWER_MOST_MEMBERS];
    bool in_place[LOWER_MOST_MEMBERS]; /* the member that is the next value has the state's buffer */
    int done;                          /* members that have a value by now */
} emission;

/* Elements become reads of their sources at the step, states and members their buffers. */
static const fv_expr *at_buffer(emission *e, const fv_buffer *b, const fv_value *v, const fv_expr *read) {
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < b->obj.rank; i++) at[i] = read->arg[fv_value_axis(v, b->axis[i])];
    return fv_read(e->l->ctx, &b->obj, at, b->obj.rank, read->i ? read->arg[v->obj.rank] : NULL);
}
static const fv_expr *at_source(emission *e, const fv_value *src, const fv_value *element, const fv_expr *read) {
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < src->obj.rank; i++) {
        int a = fv_value_axis(element, src->axis[i].name);
        at[i] = a < 0 ? e->t : read->arg[a];
    }
    return lower_value_at(e->l, &e->facts, src, at).value;
}
static const fv_expr *replace(fv_ctx *c, const fv_expr *x, void *user) {
    emission *e = user;
    const fv_scan_node *s = &e->r->scan->u.scan;
    (void)c;
    if (x->op != FV_X_READ || x->ref->kind != FV_OBJ_VALUE) return x;
    const fv_value *v = fv_value_of(x->ref);
    for (int i = 0; i < s->n_states; i++)
        if (s->state[i] == v) return at_buffer(e, e->state[i], v, x);
    for (int i = 0; i < s->n_elements; i++)
        if (s->element[i] == v) return at_source(e, s->element_src[i], v, x);
    for (int i = 0; i < e->done; i++)
        if (e->r->member[i]->result[0] == v) return at_buffer(e, e->buffer[i], v, x);
    return x;
}
static const fv_expr *finish(emission *e, const fv_expr *x) {
    return lower_bind(&e->k, fv_rewrite(e->l->ctx, x, replace, e));
}
static fv_buffer *buffer_for(emission *e, const char *name, const fv_value *v) {
    fv_str axis[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < v->obj.rank; i++) {
        bool point = false;
        for (int j = 0; j < e->k.n_grid; j++)
            point |= e->k.grid[j].tile == 0 && fv_str_eq(e->k.grid[j].name, v->axis[i].name);
        if (!point) axis[n++] = v->axis[i].name;
    }
    return lower_buffer(&e->k, name, v->obj.type, axis, n);
}
static fv_stmt *set(emission *e, fv_stmts *list, const char *label, const fv_buffer *b, const fv_expr *x) {
    fv_stmt *s = lower_stmt(&e->k, list, FV_S_MAP, label);
    s->target = &b->obj;
    s->write = FV_W_SET;
    s->expr = x;
    return s;
}
/* The body of a member over stored values, placeholders and members. */
static const fv_expr *body_of(emission *e, const fv_node *m) {
    lower_role was = e->l->node[m->id].role;
    if (lower_is_reduce(m)) return lower_expand(e->l, &e->facts, m->u.compute.body).value;
    e->l->node[m->id].role = LOWER_INLINE;
    const fv_expr *x = lower_value_at_self(e->l, &e->facts, m->result[0]).value;
    e->l->node[m->id].role = was;
    return x;
}
static void compute(emission *e, fv_stmts *list, int i, const fv_expr *body) {
    const fv_node *m = e->r->member[i];
    const fv_expr *x = finish(e, body), *culprit;
    if (!lower_is_reduce(m)) set(e, list, "mp", e->buffer[i], x);
    else {
        const fv_compute_node *n = &m->u.compute;
        fv_str over[FV_MAX_AXES];
        for (int j = 0; j < n->n_over; j++) over[j] = n->over[j].name;
        bool product = n->monoid == FV_MONOID_SUM && n->n_over && fv_type_is_float(m->result[0]->obj.type) &&
                       fv_contract_law(e->l->ctx, x, over, n->n_over, &culprit) == FV_CONTRACT_OK;
        fv_stmt *s = lower_stmt(&e->k, list, product ? FV_S_CONTRACT : FV_S_REDUCE, product ? "mm" : "rd");
        s->target = &e->buffer[i]->obj;
        s->write = n->monoid == FV_MONOID_MAX ? FV_W_MAX : n->monoid == FV_MONOID_MIN ? FV_W_MIN : FV_W_SUM;
        s->expr = x;
        if (n->only) s->where = finish(e, lower_expand(e->l, &e->facts, n->only).value);
        for (int j = 0; j < n->n_over; j++) s->over[s->n_over++] = over[j];
    }
    e->done = i + 1;
}

/* Does an expression read a state's old value; elsewhere than at its own coordinates? */
typedef struct {
    const fv_value *v;
    bool reads, off;
} state_walk;
static bool state_read(const fv_expr *x, void *user) {
    state_walk *w = user;
    if (x->op != FV_X_READ || x->ref != &w->v->obj) return false;
    w->reads = true;
    for (int i = 0; i < w->v->obj.rank; i++)
        w->off |=
            w->v->axis[i].extent > 1 && (x->arg[i]->op != FV_X_AXIS || !fv_str_eq(x->arg[i]->name, w->v->axis[i].name));
    return false;
}
static state_walk walk_state(const fv_value *v, const fv_expr *x) {
    state_walk w = {v, false, false};
    if (x) fv_visit(x, state_read, &w);
    return w;
}
static int member_of(const lower_recurrence *r, const fv_value *v) {
    for (int i = 0; i < r->n_members; i++)
        if (r->member[i]->result[0] == v) return i;
    return -1;
}
/* A state may be overwritten where its next value is made, if nothing reads the old value after that and the making
 * reads it at its own coordinates. */
static void choose_in_place(emission *e, const fv_expr *const *body, const fv_expr *const *tail, int n_tail) {
    const fv_scan_node *s = &e->r->scan->u.scan;
    for (int i = 0; i < s->n_states; i++) {
        int m = member_of(e->r, s->next[i]);
        bool fine = m >= 0 && !lower_is_reduce(e->r->member[m]) && s->next[i]->obj.rank == s->state[i]->obj.rank;
        for (int j = 0; j < i; j++) fine = fine && s->next[j] != s->next[i];
        if (fine) fine = !walk_state(s->state[i], body[m]).off;
        for (int j = m + 1; fine && j < e->r->n_members; j++) fine = !walk_state(s->state[i], body[j]).reads;
        for (int j = 0; fine && j < n_tail; j++) fine = !walk_state(s->state[i], tail[j]).reads;
        e->in_place[i] = fine;
        if (fine) e->buffer[m] = e->state[i];
    }
}
/* The axis in the lanes: an independent one where there is one, contiguous in what the steps write if possible. */
static void choose_lane(emission *e, const fv_value *out) {
    const lower_recurrence *r = e->r;
    int best = -1;
    for (int i = 0; i < r->n_grid; i++) {
        int a = out ? fv_value_axis(out, r->grid[i].name) : -1;
        bool unit = out && a >= 0 && e->l->place[out->id].stride[a] == 1;
        if (r->grid[i].extent > 1 && (best < 0 || unit || r->grid[i].extent > r->grid[best].extent)) best = i;
        if (unit && r->grid[i].extent > 1) break;
    }
    double elements = 0;
    for (int i = 0; i < r->scan->u.scan.n_states; i++) elements += lower_inner_elements(r, r->scan->u.scan.state[i]);
    int64_t most = 4 * e->l->t->lanes, tile = most;
    while (tile > e->l->t->lanes && (double)tile * elements > LOWER_MOST_ELEMENTS / 2) tile /= 2;
    for (int i = 0; i < r->n_grid; i++) {
        int64_t extent = r->grid[i].extent;
        lower_grid(&e->k, r->grid[i].name,
                   i == best ? lower_tile(&e->k, r->grid[i].name, tile < extent ? tile : extent, extent) : 0, extent);
    }
    if (best >= 0) e->lane = r->grid[best].name;
    else if (r->n_inner) e->lane = r->inner[r->n_inner - 1].name;
}
static void know_axes(emission *e) {
    fv_ctx *c = e->l->ctx;
    const lower_recurrence *r = e->r;
    for (int i = 0; i < r->n_grid; i++)
        fv_facts_add(c, &e->facts, fv_axis_ref(c, r->grid[i].name), 0, r->grid[i].extent - 1);
    for (int i = 0; i < r->n_inner; i++) {
        fv_facts_add(c, &e->facts, fv_axis_ref(c, r->inner[i].name), 0, r->inner[i].extent - 1);
        lower_axis(&e->k, r->inner[i].name, r->inner[i].extent);
    }
    const fv_axis *over = &r->scan->u.scan.over;
    const fv_expr *step = fv_var(c, over->name, FV_I32);
    fv_facts_add(c, &e->facts, step, 0, over->extent - 1);
    fv_facts_add(c, &e->k.facts, step, 0, over->extent - 1);
    e->t = r->scan->u.scan.reverse ? fv_sub(c, fv_int(c, over->extent - 1), step) : step;
}
static void store_at(emission *e, fv_stmts *list, const fv_value *v, const fv_value *what, const fv_expr *x) {
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++)
        index[i] = fv_value_axis(what, v->axis[i].name) < 0 ? e->t : fv_axis_ref(e->l->ctx, v->axis[i].name);
    lower_store(&e->k, list, "st", v, index, x, NULL);
}
typedef struct {
    const fv_value *v;
    bool found;
} use_walk;
static void note_use(const fv_value *v, void *user) {
    use_walk *w = user;
    w->found |= v == w->v;
}
static bool wanted(const lower *l, const fv_value *v) {
    use_walk w = {v, false};
    for (int i = 0; i < l->g->n_outputs; i++) w.found |= l->g->output[i].value == v;
    for (int i = v->node->id + 1; i < l->g->n_nodes && !w.found; i++)
        if (l->node[i].role != LOWER_DEAD) fv_node_operands(l->g->node[i], note_use, &w);
    return w.found;
}

void lower_emit_scan(lower *l, const fv_node *n) {
    fv_ctx *c = l->ctx;
    const fv_scan_node *s = &n->u.scan;
    bool *in = FV_NEWN(c, bool, l->g->n_nodes + 1);
    for (int i = 0; i < n->id; i++) in[i] = l->node[i].role == LOWER_INNER && l->node[i].owner == n->id;
    emission *e = FV_NEW(c, emission);
    const lower_recurrence *r = lower_recurrence_of(l->g, n, in);
    FV_ASSERT(!r->no, "a scan that is no recurrence was unrolled");
    *e = (emission){.l = l, .r = r};
    lower_kernel_begin(l, &e->k, "scan", "scan.loop", n->loc, l->node[n->id].prepare);
    lower_kernel_own(&e->k);
    for (int i = 0; i < n->n_results; i++)
        if (wanted(l, n->result[i])) lower_place_value(l, n->result[i], NULL);
    bool stores = s->output && wanted(l, n->result[0]);
    choose_lane(e, stores ? n->result[0] : NULL);
    know_axes(e);
    for (int i = 0; i < r->n_members; i++) l->node[r->member[i]->id].role = LOWER_ABSORBED;
    /* What is computed, before states and members have buffers. */
    const fv_expr **body = FV_NEWN(c, const fv_expr *, r->n_members + 1),
                  **tail = FV_NEWN(c, const fv_expr *, s->n_states + 2);
    int n_tail = 0;
    for (int i = 0; i < r->n_members; i++) body[i] = body_of(e, r->member[i]);
    for (int i = 0; i < s->n_states; i++) {
        bool member = member_of(r, s->next[i]) >= 0;
        tail[n_tail++] = member ? NULL : lower_value_at_self(l, &e->facts, s->next[i]).value;
    }
    if (stores) tail[n_tail++] = lower_value_at_self(l, &e->facts, s->output).value;
    for (int i = 0; i < s->n_states; i++) e->state[i] = buffer_for(e, fv_printf(c, "s%d", i), s->state[i]);
    choose_in_place(e, body, tail, n_tail);
    for (int i = 0; i < r->n_members; i++)
        if (!e->buffer[i]) e->buffer[i] = buffer_for(e, fv_printf(c, "v%d", i), r->member[i]->result[0]);
    /* First values; the steps; last values. */
    for (int i = 0; i < s->n_states; i++)
        set(e, &e->k.body, "in", e->state[i], lower_bind(&e->k, lower_value_at_self(l, &e->facts, s->init[i]).value));
    fv_stmt *loop = lower_stmt(&e->k, &e->k.body, FV_S_FOR, NULL);
    loop->n_axes = 1;
    loop->axis = FV_NEW(c, fv_tile_axis);
    *loop->axis =
        (fv_tile_axis){.name = s->over.name, .tile = 0, .base = fv_int(c, 0), .limit = fv_int(c, s->over.extent)};
    fv_stmts step = {0};
    for (int i = 0; i < r->n_members; i++) compute(e, &step, i, body[i]);
    fv_buffer **next = FV_NEWN(c, fv_buffer *, s->n_states + 1);
    for (int i = 0; i < s->n_states; i++) {
        int m = member_of(r, s->next[i]);
        if (e->in_place[i]) continue;
        next[i] = m >= 0 ? e->buffer[m] : buffer_for(e, fv_printf(c, "n%d", i), s->state[i]);
        if (m < 0) set(e, &step, "nx", next[i], finish(e, tail[i]));
    }
    if (stores) store_at(e, &step, n->result[0], s->output, finish(e, tail[n_tail - 1]));
    for (int i = 0; i < s->n_states; i++)
        if (!e->in_place[i]) set(e, &step, "up", e->state[i], lower_buffer_at(&e->k, next[i]));
    loop->body = step.first;
    for (int i = 0; i < s->n_states; i++) {
        const fv_value *last = n->result[i + (s->output != NULL)];
        if (wanted(l, last)) store_at(e, &e->k.body, last, s->state[i], lower_buffer_at(&e->k, e->state[i]));
    }
    if (e->lane.i) fv_schedule_set_names(c, e->k.schedule, FV_F_LANE, "", fv_cstr(c, e->lane));
    for (int i = 0; i < r->n_members; i++) {
        double points = (double)fv_value_count(r->member[i]->result[0]) * (double)s->over.extent;
        if (lower_is_reduce(r->member[i]))
            for (int j = 0; j < r->member[i]->u.compute.n_over; j++)
                points *= 2 * (double)r->member[i]->u.compute.over[j].extent;
        e->k.flops += points;
    }
    lower_kernel_end(&e->k);
    for (int i = 0; i < r->n_members; i++) l->node[r->member[i]->id].role = LOWER_INNER;
}
