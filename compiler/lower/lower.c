/* The order of work: decide, lay out, place, emit group by group, share, arena. */
#include "lower/internal.h"

#include <string.h>

struct fv_lowering {
    lower l; /* after the last group */
    fv_lower_options options;
};


/* Outputs that are stored straight from the kernel that makes them: the first output of each stored run-time value. */
static void choose_outputs(lower *l, fv_str entry) {
    for (int i = 0; i < l->g->n_values; i++) l->output[i] = -1;
    for (int o = 0; o < l->g->n_outputs; o++) {
        const fv_output *out = &l->g->output[o];
        if (entry.i && !fv_str_eq(out->entry, entry)) continue;
        const lower_node *d = &l->node[out->value->node->id];
        if (d->role == LOWER_STORED && !d->prepare && l->output[out->value->id] < 0) l->output[out->value->id] = o;
    }
}
/* Outputs that are leaves, prepared values or stored a second time: a copy. */
static void copy_outputs(lower *l, fv_str entry) {
    for (int o = 0; o < l->g->n_outputs && !l->failed; o++) {
        const fv_output *out = &l->g->output[o];
        if ((entry.i && !fv_str_eq(out->entry, entry)) || l->output[out->value->id] == o) continue;
        fv_loc loc = out->loc;
        lower_kernel k;
        lower_kernel_begin(l, &k, "copy", "map", loc, false);
        const fv_value *v = out->value;
        fv_plan_tensor t = {
            .type = v->obj.type, .kind = FV_MEM_OUTPUT, .name = out->name, .loc = loc, .rank = out->stored.rank};
        int64_t stride[FV_MAX_AXES], step = 1;
        for (int d = out->stored.rank - 1; d >= 0; d--) {
            t.extent[d] = 1;
            t.dim[d] = fv_internf(l->ctx, "d%d", d);
            for (int j = out->stored.dim[d].n - 1; j >= 0; j--) {
                int a = out->stored.dim[d].axis[j];
                stride[a] = step;
                step *= v->axis[a].extent;
                t.extent[d] *= v->axis[a].extent;
            }
        }
        fv_plan_tensor_dense(&t);
        int tensor = fv_plan_add_tensor(l->plan, &t);
        const fv_expr *at[FV_MAX_AXES];
        int inner = 0;
        for (int i = 0; i < v->obj.rank; i++)
            if (stride[i] < stride[inner]) inner = i;
        for (int i = 0; i < v->obj.rank; i++) {
            lower_grid(&k, v->axis[i].name, i == inner ? (v->axis[i].extent < 256 ? v->axis[i].extent : 256) : 0,
                       v->axis[i].extent);
        }
        const fv_tensor *kt = lower_tensor(&k, tensor, v->axis, stride, v->obj.rank, FV_ROLE_OUT);
        fv_stmt *s = lower_stmt(&k, &k.body, FV_S_STORE, "st");
        s->target = &kt->obj;
        s->write = FV_W_SET;
        for (int i = 0; i < v->obj.rank; i++) {
            at[i] = fv_axis_ref(l->ctx, v->axis[i].name);
            s->index[i] = lower_bind(&k, at[i]);
        }
        s->expr = lower_bind(&k, fv_value_at_self(l->ctx, v));
        lower_kernel_end(&k);
    }
}

static void emit(lower *l, const fv_node *n) {
    const lower_node *d = &l->node[n->id];
    if (d->role != LOWER_STORED) return;
    const fv_node *anchor = n, *member[16];
    int n_members = 0;
    for (int i = 0; i < n->id; i++)
        if (l->node[i].role == LOWER_ABSORBED && l->node[i].final == n->id) {
            anchor = l->g->node[i];
            if (n_members < 16) member[n_members++] = anchor;
        }
    bool map = n->op == FV_NODE_READ || (n->op == FV_NODE_COMPUTE && !lower_is_reduce(n));
    if (n->op == FV_NODE_CONCAT) lower_emit_concat(l, n);
    else if (n->op == FV_NODE_TOPK) lower_emit_topk(l, n);
    else if (n->op == FV_NODE_SCAN) lower_emit_scan(l, n);
    else if (anchor->op == FV_NODE_ATTEND) lower_emit_attend(l, anchor, n);
    else if (!n_members && map) lower_emit_map(l, n);
    else if (n_members == 1 && l->coords[n->id]) lower_emit_reduce(l, anchor, n);
    else if (n_members) lower_emit_rows(l, n, member, n_members);
    else lower_emit_reduce(l, n, n);
}

fv_plan *fv_lower(fv_graph *g, fv_str entry, fv_lower_options *o) {
    fv_ctx *c = g->ctx;
    int errors = fv_error_count(c);
    g = lower_unroll_scans(g, o);
    if (!g) {
        if (fv_error_count(c) == errors) fv_error(c, FV_E_INTERNAL, (fv_loc){0}, "a scan cannot be unrolled");
        return NULL;
    }
    fv_graph *expanded = lower_expand_attends(g, o->attend_strategy && !strcmp(o->attend_strategy, "expand"));
    if (expanded) g = expanded;
    lower l = {.ctx = c, .g = g, .o = o, .t = o->target, .plan = fv_plan_new(c), .group = -1};
    l.node = FV_NEWN(c, lower_node, g->n_nodes + 1);
    l.n_values = g->n_values;
    l.cap_values = g->n_values + 64;
    l.placed = FV_NEWN(c, bool, l.cap_values);
    l.place = FV_NEWN(c, lower_place, l.cap_values);
    l.order = FV_NEWN(c, const int *, g->n_values + 1);
    l.coords = FV_NEWN(c, const fv_expr **, g->n_nodes + 1);
    l.output = FV_NEWN(c, int, g->n_values + 1);
    l.first_kernel = FV_NEWN(c, int, g->n_nodes + 1);
    lower_decide(&l);
    lower_choose_storage(&l);
    choose_outputs(&l, entry);
    lower_orders(&l);
    lower_place_leaves(&l);
    for (int i = 0; i < g->n_nodes && !l.failed; i++) {
        l.group = i;
        l.first_kernel[i] = l.n_kernels;
        emit(&l, g->node[i]);
    }
    l.group = -1;
    if (!l.failed) copy_outputs(&l, entry);
    if (l.failed || fv_error_count(c) > errors) return NULL;
    fv_plan_share(l.plan);
    fv_plan_arena(l.plan);
    o->kept = FV_NEW(c, fv_lowering);
    o->kept->l = l;
    o->kept->options = *o;
    return l.plan;
}

/* -- One group again ---- */
int fv_lowering_groups(const fv_lowering *kept) { return kept->l.g->n_nodes; }

/* Tensors under their numbers, and what prepares them. */
static fv_plan *continue_plan(fv_ctx *c, const fv_plan *p) {
    fv_plan *n = fv_plan_new(c);
    for (int i = 0; i < p->n_tensors; i++) fv_plan_add_tensor(n, p->tensor[i]);
    for (int i = 0; i < p->n_launches[0]; i++) fv_plan_add_launch(n, 0, p->launch[0][i]);
    return n;
}
fv_plan *fv_lower_group(fv_lowering *kept, int group, const fv_schedule *wish) {
    lower l = kept->l;
    fv_ctx *c = l.ctx;
    int nodes = l.g->n_nodes, errors = fv_error_count(c);
    if (group < 0 || group >= nodes) return NULL;
    fv_lower_options o = kept->options;
    const fv_schedule **list = FV_NEWN(c, const fv_schedule *, nodes);
    list[group] = wish;
    o.wish = list;
    o.n_wish = nodes;
    o.considered = NULL;
    o.n_considered = o.cap_considered = 0;
    l.o = &o;
    l.group = group;
    l.n_kernels = l.first_kernel[group];
    l.plan = continue_plan(c, kept->l.plan);
    l.n_values = l.g->n_values; /* what was made beside the graph's values belongs to the groups emitted then */
    l.node = FV_NEWN(c, lower_node, nodes + 1);
    l.placed = FV_NEWN(c, bool, l.cap_values);
    l.place = FV_NEWN(c, lower_place, l.cap_values);
    memcpy(l.node, kept->l.node, sizeof *l.node * (size_t)(nodes + 1));
    memcpy(l.placed, kept->l.placed, sizeof *l.placed * (size_t)l.g->n_values);
    memcpy(l.place, kept->l.place, sizeof *l.place * (size_t)l.g->n_values);
    emit(&l, l.g->node[group]);
    if (l.failed || fv_error_count(c) > errors) return NULL;
    fv_plan_share(l.plan);
    return l.plan;
}
