/* Values of parameters alone, stored in the memory order that their consumer wants: packed weights, bias tables
 * expanded over pairs. They are computed once per weights. */
#include "lower/fuse.h"

#include <string.h>

struct lower_pack {
    lower_pack *next;
    const fv_expr *e;
    int n;
    fv_axis axis[FV_MAX_AXES];
    int tensor;
};

typedef struct {
    const lower *l;
    bool run_time;
} walk;
static bool reads_run_time(const fv_expr *e, void *user) {
    walk *w = user;
    if (e->op == FV_X_READ && e->ref->kind == FV_OBJ_VALUE && !w->l->node[fv_value_of(e->ref)->node->id].prepare)
        w->run_time = true;
    if (e->op == FV_X_READ && e->ref->kind != FV_OBJ_VALUE) w->run_time = true;
    return w->run_time;
}
bool lower_expr_is_prepare(const lower *l, const fv_expr *e) {
    walk w = {l, false};
    fv_visit(e, reads_run_time, &w);
    return !w.run_time;
}

fv_node *lower_prepared_node(lower *l) {
    fv_node *n = FV_NEW(l->ctx, fv_node);
    n->op = FV_NODE_PARAM;
    n->id = l->g->n_nodes; /* the slot past the graph's own: prepared, stored */
    l->node[n->id] = (lower_node){.role = LOWER_STORED, .prepare = true, .owner = -1};
    return n;
}

fv_type lower_plain_type(const fv_expr *e) {
    return e->type == FV_BOOL ? FV_BOOL : fv_type_is_float(e->type) ? FV_F32 : FV_I32;
}
int lower_prepared(lower *l, fv_loc loc, const fv_expr *e, fv_type type, const fv_axis *axis, int n) {
    fv_ctx *c = l->ctx;
    for (lower_pack *p = l->packs; p; p = p->next) {
        bool same = p->e == e && p->n == n;
        for (int i = 0; same && i < n; i++)
            same = fv_str_eq(p->axis[i].name, axis[i].name) && p->axis[i].extent == axis[i].extent;
        if (same) return p->tensor;
    }
    lower_pack *p = FV_NEW(c, lower_pack);
    p->next = l->packs;
    p->e = e;
    p->n = n;
    memcpy(p->axis, axis, sizeof *axis * (size_t)n);
    int64_t stride[FV_MAX_AXES];
    p->tensor = lower_new_tensor(l, "p", type, true, axis, n, stride, loc);
    l->packs = p;
    lower_kernel k;
    lower_kernel_begin(l, &k, "prepare", "map", loc, true);
    for (int i = 0; i + 1 < n; i++) lower_grid(&k, axis[i].name, 0, axis[i].extent);
    if (n) lower_grid(&k, axis[n - 1].name, axis[n - 1].extent < 256 ? axis[n - 1].extent : 256, axis[n - 1].extent);
    const fv_tensor *t = lower_tensor(&k, p->tensor, axis, stride, n, FV_ROLE_OUT);
    fv_stmt *s = lower_stmt(&k, &k.body, FV_S_STORE, "st");
    s->target = &t->obj;
    s->write = FV_W_SET;
    for (int i = 0; i < n; i++) s->index[i] = lower_bind(&k, fv_axis_ref(c, axis[i].name));
    s->expr = lower_bind(&k, e);
    lower_kernel_end(&k);
    return p->tensor;
}
