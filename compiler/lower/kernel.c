/* A kernel under construction: axes, tensors, statements, and the launch it becomes. */
#include "lower/internal.h"

#include <stdarg.h>
#include <string.h>

void lower_kernel_begin(lower *l, lower_kernel *k, const char *name, const char *strategy, fv_loc loc, bool prepare) {
    *k = (lower_kernel){.l = l, .loc = loc, .prepare = prepare, .group = -1};
    k->k = fv_kernel_new(l->ctx, fv_internf(l->ctx, "%s%d", name, l->n_kernels++));
    k->schedule = fv_schedule_new(l->ctx, strategy);
}
static void know(lower_kernel *k, fv_str axis, int64_t extent) {
    fv_ctx *c = k->l->ctx;
    fv_facts_add(c, &k->facts, fv_axis_ref(c, axis), 0, extent - 1);
    fv_facts_add(c, &k->facts, fv_var(c, axis, FV_I32), 0, extent - 1);
}
void lower_grid(lower_kernel *k, fv_str axis, int64_t tile, int64_t extent) {
    FV_ASSERT(k->n_grid < FV_MAX_AXES, "grid axes");
    k->grid[k->n_grid++] = (fv_tile_axis){.name = axis, .tile = tile, .limit = fv_int(k->l->ctx, extent)};
    know(k, axis, extent);
}
void lower_axis(lower_kernel *k, fv_str axis, int64_t extent) {
    fv_stmt *s = fv_stmts_add(&k->pre, fv_stmt_new(k->l->ctx, FV_S_AXIS, k->loc));
    s->n_axes = 1;
    s->axis = FV_NEW(k->l->ctx, fv_tile_axis);
    *s->axis = (fv_tile_axis){.name = axis, .tile = extent};
    know(k, axis, extent);
}
static const fv_tile_axis *find_axis(const lower_kernel *k, fv_str axis) {
    for (int i = 0; i < k->n_grid; i++)
        if (fv_str_eq(k->grid[i].name, axis)) return &k->grid[i];
    for (const fv_stmt *s = k->pre.first; s; s = s->next)
        if (s->kind == FV_S_AXIS && fv_str_eq(s->axis->name, axis)) return s->axis;
    return NULL;
}
const fv_expr *lower_coord(lower_kernel *k, fv_str axis) {
    const fv_tile_axis *a = find_axis(k, axis);
    return a && a->tile == 0 ? fv_var(k->l->ctx, axis, FV_I32) : fv_axis_ref(k->l->ctx, axis);
}
int64_t lower_extent(const lower_kernel *k, fv_str axis) {
    const fv_tile_axis *a = find_axis(k, axis);
    int64_t n = 0;
    if (!a) return 0;
    return a->limit && fv_is_int(a->limit, &n) ? n : a->tile;
}

void lower_inner_axis(lower_kernel *k, fv_str axis, int64_t tile, int64_t extent) {
    FV_ASSERT(k->n_inner < 8, "inner axes");
    k->inner[k->n_inner].axis = axis;
    k->inner[k->n_inner].tile = tile;
    k->inner[k->n_inner++].extent = extent;
}

const fv_tensor *lower_tensor(lower_kernel *k, int plan_tensor, const fv_axis *dim, const int64_t *stride, int rank,
                              fv_role role) {
    const fv_plan_tensor *p = k->l->plan->tensor[plan_tensor];
    for (int i = 0; i < k->n_args; i++) {
        fv_tensor *t = k->k->tensor[i];
        bool same = k->arg[i] == plan_tensor && t->obj.rank == rank && t->role == role;
        for (int j = 0; same && j < rank; j++) same = t->stride[j] == stride[j] && t->extent[j] == dim[j].extent;
        if (same) return t;
    }
    FV_ASSERT(k->n_args < 64, "kernel tensors");
    fv_str names[FV_MAX_AXES];
    int64_t extent[FV_MAX_AXES];
    for (int j = 0; j < rank; j++) {
        names[j] = dim[j].name;
        extent[j] = dim[j].extent;
    }
    fv_tensor *t = fv_kernel_tensor(k->k, fv_internf(k->l->ctx, "T%d", k->n_args), p->type, role, names, extent, rank);
    for (int j = 0; j < rank; j++) t->stride[j] = stride[j];
    t->padded = p->kind == FV_MEM_PREPARED || p->kind == FV_MEM_SCRATCH;
    if (p->index_bound) {
        t->obj.ranged = true;
        t->obj.lo = 0;
        t->obj.hi = p->index_bound - 1;
    }
    k->arg[k->n_args++] = plan_tensor;
    return t;
}
const fv_tensor *lower_value_tensor(lower_kernel *k, const fv_value *v, fv_role role) {
    FV_ASSERT(k->l->placed[v->id], "a value that is read has a place");
    const lower_place *p = &k->l->place[v->id];
    const fv_tensor *t = lower_tensor(k, p->tensor, v->axis, p->stride, v->obj.rank, role);
    if (v->obj.ranged && !t->obj.ranged) {
        fv_tensor *m = k->k->tensor[0];
        for (int i = 0; i < k->n_args; i++)
            if (k->k->tensor[i] == t) m = k->k->tensor[i];
        m->obj.ranged = true;
        m->obj.lo = v->obj.lo;
        m->obj.hi = v->obj.hi;
    }
    return t;
}

static const fv_expr *bind_node(fv_ctx *c, const fv_expr *e, void *user) {
    lower_kernel *k = user;
    if (e->op == FV_X_AXIS) {
        const fv_tile_axis *a = find_axis(k, e->name);
        return a && a->tile == 0 ? fv_var(c, e->name, FV_I32) : e;
    }
    if (e->op != FV_X_READ || e->ref->kind != FV_OBJ_VALUE) return e;
    const fv_value *v = fv_value_of(e->ref);
    if (!k->l->placed[v->id]) return e;
    const fv_tensor *t = lower_value_tensor(k, v, FV_ROLE_IN);
    return fv_read(c, &t->obj, e->arg, v->obj.rank, e->i ? e->arg[v->obj.rank] : NULL);
}
const fv_expr *lower_bind(lower_kernel *k, const fv_expr *e) {
    return e ? fv_simplify(k->l->ctx, &k->facts, fv_rewrite(k->l->ctx, e, bind_node, k)) : NULL;
}

fv_stmt *lower_stmt(lower_kernel *k, fv_stmts *list, fv_stmt_kind kind, const char *label) {
    fv_stmt *s = fv_stmts_add(list, fv_stmt_new(k->l->ctx, kind, k->loc));
    if (label) s->label = fv_internf(k->l->ctx, "%s%d", label, k->n_labels++);
    return s;
}
fv_buffer *lower_buffer(lower_kernel *k, const char *name, fv_type type, const fv_str *axis, int n) {
    int64_t extent[FV_MAX_AXES] = {0};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < k->n_inner; j++)
            if (fv_str_eq(k->inner[j].axis, axis[i])) extent[i] = k->inner[j].tile;
        if (extent[i]) continue;
        const fv_tile_axis *a = find_axis(k, axis[i]);
        FV_ASSERT(a && a->tile, "a buffer's axes are tile axes");
        extent[i] = a->tile;
    }
    return fv_buffer_new(k->l->ctx, fv_internf(k->l->ctx, "%s", name), type, axis, extent, n);
}
const fv_expr *lower_buffer_at(lower_kernel *k, const fv_buffer *b) {
    const fv_expr *at[FV_MAX_AXES];
    for (int i = 0; i < b->obj.rank; i++) at[i] = fv_axis_ref(k->l->ctx, b->axis[i]);
    return fv_read(k->l->ctx, &b->obj, at, b->obj.rank, NULL);
}
void lower_store(lower_kernel *k, fv_stmts *list, const char *label, const fv_value *v, const fv_expr *const *index,
                 const fv_expr *value, const fv_expr *where) {
    const fv_tensor *t = lower_value_tensor(k, v, FV_ROLE_OUT);
    fv_stmt *s = lower_stmt(k, list, FV_S_STORE, label);
    s->target = &t->obj;
    s->write = FV_W_SET;
    for (int i = 0; i < v->obj.rank; i++) s->index[i] = lower_bind(k, index[i]);
    s->expr = lower_bind(k, value);
    s->where = lower_bind(k, where);
}
void lower_kernel_end(lower_kernel *k) {
    lower *l = k->l;
    fv_stmt *grid = fv_stmts_add(&k->pre, fv_stmt_new(l->ctx, FV_S_GRID, k->loc));
    grid->n_axes = k->n_grid;
    grid->axis = FV_NEWN(l->ctx, fv_tile_axis, k->n_grid + 1);
    memcpy(grid->axis, k->grid, sizeof *k->grid * (size_t)k->n_grid);
    grid->body = k->body.first;
    k->k->body = k->pre.first;
    lower_settle(k, k->k->body);
    lower_wish_apply(k);
    fv_launch launch = {.kernel = k->k,
                        .schedule = k->schedule,
                        .n_args = k->n_args,
                        .loc = k->loc,
                        .flops = k->flops,
                        .bytes = k->bytes,
                        .group = k->group,
                        .owner = k->prepare ? -1 : l->group,
                        .n_tiles = k->n_tiles};
    fv_tile_size *tile = FV_NEWN(l->ctx, fv_tile_size, k->n_tiles + 1);
    memcpy(tile, k->tile, sizeof *tile * (size_t)k->n_tiles);
    launch.tile = tile;
    launch.arg = FV_NEWN(l->ctx, int, k->n_args + 1);
    memcpy(launch.arg, k->arg, sizeof(int) * (size_t)k->n_args);
    for (int i = 0; i < k->n_args && !launch.bytes; i++) k->bytes += (double)l->plan->tensor[k->arg[i]]->bytes;
    launch.bytes = k->bytes;
    fv_plan_add_launch(l->plan, k->prepare ? 0 : 1, &launch);
}

const char *lower_node_text(lower *l, const fv_node *n) {
    return fv_printf(l->ctx, "%s %s", fv_node_op_name(n->op), fv_value_text(l->g, n->result[0]));
}
void lower_consider(lower *l, const fv_node *n, const char *strategy, bool chosen, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fv_consideration c = {.loc = n->loc,
                          .node = lower_node_text(l, n),
                          .strategy = strategy,
                          .reason = fv_strdup(l->ctx, text),
                          .chosen = chosen};
    fv_push(l->ctx, l->o->considered, l->o->n_considered, l->o->cap_considered, c);
}
