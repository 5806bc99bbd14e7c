/* Maps, views and concats that are stored: one store per point, lanes along the innermost axis of memory. Axes that
 * memory lets read as one are fused. */
#include "lower/fuse.h"

#include <string.h>

/* Stores value, over the axes of `domain`, at `index` of v. own: it is the kernel of the group. */
static void emit_store(lower *l, const char *name, bool own, fv_loc loc, double cost, const fv_value *v,
                       const fv_axis *domain, const fv_expr *const *index, const fv_expr *value) {
    lower_kernel k;
    lower_kernel_begin(l, &k, name, "map", loc, l->node[v->node->id].prepare);
    if (own) lower_kernel_own(&k);
    int order[FV_MAX_AXES], rank = lower_memory_order(l, v, order);
    for (int i = 0; i < rank; i++)
        fv_facts_add(l->ctx, &k.facts, fv_axis_ref(l->ctx, domain[i].name), 0, domain[i].extent - 1);
    lower_fusion u = {.n_exprs = 0};
    lower_fusion_add(&u, value);
    const fv_expr *address = lower_address(l, v, index);
    lower_fusion_add_address(&u, address);
    /* Fuse from the innermost axis outwards as long as every address stays affine. */
    fv_axis tail[FV_MAX_AXES];
    int n_tail = 0, head = rank;
    while (head > 0) {
        for (int i = n_tail; i > 0; i--) tail[i] = tail[i - 1];
        tail[0] = domain[order[head - 1]];
        if (n_tail > 0 && !lower_fusible(l, &k.facts, &u, tail, n_tail + 1)) {
            for (int i = 0; i < n_tail; i++) tail[i] = tail[i + 1];
            break;
        }
        n_tail++;
        head--;
    }
    int64_t work = 1;
    for (int i = 0; i < head; i++) lower_grid(&k, domain[order[i]].name, 0, domain[order[i]].extent);
    lower_fused f = lower_fuse(&k, tail, n_tail);
    if (rank) lower_grid(&k, f.axis, lower_tile(&k, f.axis, f.extent < 1024 ? f.extent : 1024, f.extent), f.extent);
    for (int i = 0; i < rank; i++) work *= domain[i].extent;
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < rank; i++) at[i] = lower_apply_fused(&k, &f, index[i]);
    lower_store(&k, &k.body, "st", v, at, lower_apply_fused(&k, &f, value), NULL);
    if (rank) fv_schedule_set_names(l->ctx, k.schedule, FV_F_LANE, "", fv_cstr(l->ctx, f.axis));
    k.flops = (double)work * cost;
    lower_kernel_end(&k);
}

/* The memory order of a value that the map reads point by point: its result follows it, whatever order its own axes
 * came in. */
typedef struct {
    const lower *l;
    const fv_value *v;
    int order[FV_MAX_AXES];
    bool found;
} follow;
static bool read_at_point(const fv_expr *e, void *user) {
    follow *w = user;
    if (w->found || e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return w->found;
    const fv_value *r = fv_value_of(e->ref);
    if (r->obj.rank != w->v->obj.rank || !w->l->placed[r->id]) return false;
    int at[FV_MAX_AXES], memory[FV_MAX_AXES];
    bool used[FV_MAX_AXES] = {false};
    for (int i = 0; i < r->obj.rank; i++) {              /* an axis of one point is read at 0 */
        at[i] = -1;
        for (int j = 0; j < w->v->obj.rank && at[i] < 0; j++)
            if (!used[j] && (e->arg[i] == fv_axis_ref(w->l->ctx, w->v->axis[j].name) ||
                             (r->axis[i].extent == 1 && w->v->axis[j].extent == 1)))
                at[i] = j;
        if (at[i] < 0) return false;
        used[at[i]] = true;
    }
    lower_memory_order(w->l, r, memory);
    for (int i = 0; i < r->obj.rank; i++) w->order[i] = at[memory[i]];
    w->found = true;
    return true;
}

const int *lower_follow(lower *l, const fv_value *v, const fv_expr *value) {
    follow w = {.l = l, .v = v};
    fv_visit(value, read_at_point, &w);
    int *order = FV_NEWN(l->ctx, int, v->obj.rank + 1);
    memcpy(order, w.order, sizeof *order * (size_t)v->obj.rank);
    return w.found ? order : NULL;
}

void lower_emit_map(lower *l, const fv_node *final) {
    const fv_value *v = final->result[0];
    fv_facts f = {0};
    fv_value_facts(l->ctx, v, &f);
    /* The node itself is STORED: expand its content, not a READ of it. */
    l->node[final->id].role = LOWER_INLINE;
    lower_pair p = lower_value_at_self(l, &f, v);
    l->node[final->id].role = LOWER_STORED;
    lower_place_value(l, v, l->node[final->id].prepare || l->order[v->id] ? NULL : lower_follow(l, v, p.value));
    if (p.exists) {
        fv_error(l->ctx, FV_E_ABSENT, final->loc, "%s may have absent elements and is stored; write :otherwise(value)",
                 lower_node_text(l, final));
        l->failed = true;
        return;
    }
    const fv_expr *index[FV_MAX_AXES];
    for (int i = 0; i < v->obj.rank; i++) index[i] = fv_axis_ref(l->ctx, v->axis[i].name);
    emit_store(l, "map", true, final->loc, lower_map_cost(final), v, v->axis, index, p.value);
}

const fv_value *lower_copy(lower *l, const fv_value *v, const int *order, fv_loc loc) {
    fv_axis axis[FV_MAX_AXES];
    int64_t stride[FV_MAX_AXES];
    const fv_expr *at[FV_MAX_AXES];
    bool prepare = l->node[v->node->id].prepare;
    for (int i = 0; i < v->obj.rank; i++) axis[i] = v->axis[order[i]];
    int tensor = lower_new_tensor(l, "t", l->plan->tensor[l->place[v->id].tensor]->type, prepare, axis, v->obj.rank,
                                  stride, loc);
    fv_value *c = FV_NEW(l->ctx, fv_value);
    *c = *v;
    c->id = lower_extra_value(l, tensor, v->obj.rank);
    for (int i = 0; i < v->obj.rank; i++) {
        l->place[c->id].stride[order[i]] = stride[i];
        at[i] = fv_axis_ref(l->ctx, v->axis[i].name);
    }
    emit_store(l, "turn", false, loc, 0, c, v->axis, at, fv_read(l->ctx, &v->obj, at, v->obj.rank, NULL));
    return c;
}

void lower_emit_concat(lower *l, const fv_node *n) {
    const fv_value *v = n->result[0];
    const fv_concat_node *c = &n->u.concat;
    lower_place_value(l, v, NULL);
    int a = fv_value_axis(v, c->axis);
    int64_t start = 0;
    for (int j = 0; j < c->n; j++) {
        const fv_value *part = c->part[j];
        fv_axis domain[FV_MAX_AXES];
        const fv_expr *index[FV_MAX_AXES], *at[FV_MAX_AXES];
        fv_facts f = {0};
        for (int i = 0; i < v->obj.rank; i++) domain[i] = v->axis[i];
        domain[a].extent = part->axis[fv_value_axis(part, c->axis)].extent;
        for (int i = 0; i < v->obj.rank; i++) {
            fv_facts_add(l->ctx, &f, fv_axis_ref(l->ctx, domain[i].name), 0, domain[i].extent - 1);
            index[i] = fv_axis_ref(l->ctx, domain[i].name);
        }
        for (int i = 0; i < part->obj.rank; i++) at[i] = fv_axis_ref(l->ctx, part->axis[i].name);
        lower_pair p = lower_value_at(l, &f, part, at);
        if (p.exists) {
            fv_error(l->ctx, FV_E_ABSENT, n->loc,
                     "part %d of a concat may have absent elements; write :otherwise(value)", j + 1);
            l->failed = true;
            return;
        }
        index[a] = fv_addi(l->ctx, index[a], start);
        emit_store(l, "concat", false, n->loc, 0, v, domain, index, fv_simplify(l->ctx, &f, p.value));
        start += domain[a].extent;
    }
}
