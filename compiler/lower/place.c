/* Memory of values: leaves in their stored order, stored values in the order wanted of them, outputs in the order that
 * the spec declares. */
#include "lower/internal.h"

#include <string.h>

/* Strides of a value's axes in a stored order: groups of axes, major to minor. */
static void stored_strides(const fv_value *v, const fv_stored *s, int64_t *stride) {
    int64_t step = 1;
    for (int d = s->rank - 1; d >= 0; d--)
        for (int j = s->dim[d].n - 1; j >= 0; j--) {
            int a = s->dim[d].axis[j];
            stride[a] = step;
            step *= v->axis[a].extent;
        }
}
static void stored_shape(lower *l, const fv_value *v, const fv_stored *s, fv_plan_tensor *t) {
    t->rank = s->rank;
    for (int d = 0; d < s->rank; d++) {
        t->extent[d] = 1;
        for (int j = 0; j < s->dim[d].n; j++) t->extent[d] *= v->axis[s->dim[d].axis[j]].extent;
        t->dim[d] = s->dim[d].n == 1 ? v->axis[s->dim[d].axis[0]].name : fv_internf(l->ctx, "d%d", d);
    }
    fv_plan_tensor_dense(t);
}
static int64_t bytes_of(const fv_plan_tensor *t) {
    int64_t n = fv_type_bytes(t->type);
    for (int i = 0; i < t->rank; i++) n *= t->extent[i];
    return n;
}
static void place_leaf(lower *l, const fv_node *n) {
    const fv_value *v = n->result[0];
    fv_plan_tensor t = {.type = v->obj.type, .loc = n->loc};
    lower_place *p = &l->place[v->id];
    if (n->op == FV_NODE_CONST) {
        t.kind = FV_MEM_CONST;
        t.name = fv_internf(l->ctx, "c%d", n->id);
        t.data = n->u.constant.data;
        t.rank = v->obj.rank;
        for (int i = 0; i < v->obj.rank; i++) {
            t.dim[i] = v->axis[i].name;
            t.extent[i] = v->axis[i].extent;
        }
        fv_plan_tensor_dense(&t);
        memcpy(p->stride, t.stride, sizeof p->stride);
    } else {
        t.kind = n->op == FV_NODE_PARAM ? FV_MEM_PARAM : FV_MEM_INPUT;
        fv_type given = n->u.leaf.stored_type; /* the caller's tensor: 16 bits where the spec says so */
        if (n->op == FV_NODE_INPUT && t.type == FV_F32 && (given == FV_BF16 || given == FV_F16)) t.type = given;
        t.name = n->u.leaf.name;
        stored_shape(l, v, &n->u.leaf.stored, &t);
        stored_strides(v, &n->u.leaf.stored, p->stride);
        if (v->obj.ranged && n->op == FV_NODE_INPUT) t.index_bound = v->obj.hi + 1;
        for (int i = 0; i < l->plan->n_tensors; i++) { /* declared twice, under whatever axes: one memory */
            const fv_plan_tensor *o = l->plan->tensor[i];
            if (o->kind != t.kind || !fv_str_eq(o->name, t.name) || o->type != t.type || o->bytes != bytes_of(&t))
                continue;
            p->tensor = i;
            l->placed[v->id] = true;
            return;
        }
    }
    p->tensor = fv_plan_add_tensor(l->plan, &t);
    l->placed[v->id] = true;
}
void lower_place_leaves(lower *l) {
    for (int i = 0; i < l->g->n_nodes; i++)
        if (l->node[i].role == LOWER_LEAF) place_leaf(l, l->g->node[i]);
}
int lower_new_tensor(lower *l, const char *name, fv_type type, bool prepared, const fv_axis *axis, int n,
                     int64_t *out_stride, fv_loc loc) {
    fv_plan_tensor t = {.type = type, .kind = prepared ? FV_MEM_PREPARED : FV_MEM_SCRATCH, .rank = n, .loc = loc};
    t.name = fv_internf(l->ctx, "%s%d", name, l->plan->n_tensors);
    for (int i = 0; i < n; i++) {
        t.dim[i] = axis[i].name;
        t.extent[i] = axis[i].extent;
    }
    fv_plan_tensor_dense(&t);
    memcpy(out_stride, t.stride, sizeof(int64_t) * (size_t)n);
    return fv_plan_add_tensor(l->plan, &t);
}
void lower_place_value(lower *l, const fv_value *v, const int *order) {
    if (l->placed[v->id]) return;
    lower_place *p = &l->place[v->id];
    int o = l->output[v->id];
    if (o >= 0) {
        const fv_output *out = &l->g->output[o];
        fv_plan_tensor t = {.type = v->obj.type, .kind = FV_MEM_OUTPUT, .name = out->name, .loc = out->loc};
        stored_shape(l, v, &out->stored, &t);
        stored_strides(v, &out->stored, p->stride);
        p->tensor = fv_plan_add_tensor(l->plan, &t);
    } else {
        if (!order) order = l->order[v->id];
        fv_axis axis[FV_MAX_AXES] = {0};
        int64_t stride[FV_MAX_AXES];
        for (int i = 0; i < v->obj.rank; i++) axis[i] = v->axis[order ? order[i] : i];
        p->tensor = lower_new_tensor(l, "t", lower_storage(l, v), l->node[v->node->id].prepare, axis, v->obj.rank,
                                     stride, v->node->loc);
        for (int i = 0; i < v->obj.rank; i++) p->stride[order ? order[i] : i] = stride[i];
    }
    l->placed[v->id] = true;
}
int lower_extra_value(lower *l, int tensor, int rank) {
    if (l->n_values == l->cap_values) {
        int cap = l->cap_values * 2;
        bool *placed = FV_NEWN(l->ctx, bool, cap);
        lower_place *place = FV_NEWN(l->ctx, lower_place, cap);
        memcpy(placed, l->placed, sizeof *placed * (size_t)l->n_values);
        memcpy(place, l->place, sizeof *place * (size_t)l->n_values);
        l->placed = placed;
        l->place = place;
        l->cap_values = cap;
    }
    int id = l->n_values++;
    l->placed[id] = true;
    l->place[id].tensor = tensor;
    memcpy(l->place[id].stride, l->plan->tensor[tensor]->stride, sizeof(int64_t) * (size_t)rank);
    return id;
}
int lower_memory_order(const lower *l, const fv_value *v, int *out) {
    for (int i = 0; i < v->obj.rank; i++) {
        int j = i;
        for (; j > 0 && l->place[v->id].stride[out[j - 1]] < l->place[v->id].stride[i]; j--) out[j] = out[j - 1];
        out[j] = i;
    }
    return v->obj.rank;
}
bool lower_unit_stride(const lower *l, const fv_value *v, fv_str axis) {
    int a = fv_value_axis(v, axis);
    return a >= 0 && l->placed[v->id] && l->place[v->id].stride[a] == 1;
}
