/* The tile interpreter: walks the structures of a compiled kernel, program by program, in the order of the grid.
 * Meaning: docs/ir.md, "tile". Invariant: no address is formed from an index that was not checked. */
#include "kernel/tile_interp.h"

static bool run_block(fv_ti *m, fv_ti_stmt *t);

static bool scalar(fv_ti *m, fv_ti_code *c, int64_t otherwise, int64_t *out) {
    double v;
    if (!c) {
        *out = otherwise;
        return true;
    }
    if (!fv_ti_value(m, c, &v)) return false;
    if (!(v > (double)FV_RANGE_MIN && v < (double)FV_RANGE_MAX)) return fv_ti_trap(m, "a bound is no usable number");
    *out = (int64_t)v;
    return true;
}

static void place(fv_ti *m, fv_ti_axis *a, int64_t base, int64_t limit) {
    a->base = base;
    a->valid = limit - base < a->tile ? limit - base : a->tile;
    if (a->valid < 0) a->valid = 0;
    m->reg[a->base_reg] = (double)base;
}

/* -- Structures ---------------------------------------------------------------------------------------------------- */
static bool run_axes(fv_ti *m, fv_ti_stmt *t) {
    for (int j = 0; j < t->s->n_axes; j++) {
        int64_t base = 0, limit = 0;
        if (!scalar(m, t->base[j], 0, &base) || !scalar(m, t->limit[j], base + t->s->axis[j].tile, &limit))
            return false;
        place(m, t->axis[j], base, limit);
    }
    return true;
}

static void forget_buffers(fv_ti *m) {
    for (int j = 0; j < m->n_mem; j++)
        if (m->mem[j].obj->kind == FV_OBJ_BUFFER)
            for (int64_t i = 0; i < m->mem[j].elements; i++) m->mem[j].data[i] = fv_poison();
}

static bool run_grid(fv_ti *m, fv_ti_stmt *t, int j) {
    if (j == t->s->n_axes) {
        m->program++;
        forget_buffers(m);
        return run_block(m, t->body);
    }
    int64_t limit = 0, step = t->s->axis[j].tile ? t->s->axis[j].tile : 1;
    m->at = t->s;
    if (!scalar(m, t->limit[j], 0, &limit)) return false;
    for (int64_t i = 0; i < limit; i += step) {
        if (t->axis[j]) place(m, t->axis[j], i, limit);
        else m->reg[t->reg[j]] = (double)i;
        if (!run_grid(m, t, j + 1)) return false;
    }
    return true;
}

static bool run_for(fv_ti *m, fv_ti_stmt *t) {
    int64_t lo = 0, hi = 0, step = t->s->axis[0].tile ? t->s->axis[0].tile : 1;
    if (!scalar(m, t->base[0], 0, &lo) || !scalar(m, t->limit[0], 0, &hi)) return false;
    for (int64_t i = lo; i < hi; i += step) {
        if (t->axis[0]) place(m, t->axis[0], i, hi);
        else m->reg[t->reg[0]] = (double)i;
        if (!run_block(m, t->body)) return false;
    }
    return true;
}

static bool value(fv_ti *m, fv_ti_stmt *t, double *v) {
    for (int j = 0; j < t->n_any; j++)
        if (!fv_ti_run_any(m, &t->any[j])) return false;
    if (!fv_ti_value(m, t->expr, v)) return false;
    if (fv_is_poison(*v) && m->options->check_poison) return fv_ti_trap(m, "a value that was never written decides");
    return true;
}

static bool run_let(fv_ti *m, fv_ti_stmt *t) {
    double v;
    if (!value(m, t, &v)) return false;
    if (t->s->ranged && !(v >= (double)t->s->lo && v <= (double)t->s->hi))
        return fv_ti_trap(m, fv_printf(m->ctx, "%s is %g, outside %lld..%lld", fv_cstr(m->ctx, t->s->name), v,
                                       (long long)t->s->lo,
                                       (long long)t->s->hi + 1));
    m->reg[t->reg[0]] = v;
    return true;
}

static bool run_alloc(fv_ti *m, fv_ti_stmt *t) {
    double v;
    if (!fv_ti_value(m, t->expr, &v)) return false;
    v = fv_ti_round(m, t->target->obj->type, v);
    for (int64_t i = 0; i < t->target->elements; i++) t->target->data[i] = v;
    return true;
}

static bool run_one(fv_ti *m, fv_ti_stmt *t) {
    double v;
    m->at = t->s;
    switch (t->s->kind) {
    case FV_S_GRID: return run_grid(m, t, 0);
    case FV_S_FOR: return run_for(m, t);
    case FV_S_AXIS: return run_axes(m, t);
    case FV_S_LET: return run_let(m, t);
    case FV_S_IF: return value(m, t, &v) && ((!(v < 0) && !(v > 0)) || run_block(m, t->body));
    case FV_S_ALLOC: return run_alloc(m, t);
    default: return fv_ti_run_op(m, t);
    }
}

static bool run_block(fv_ti *m, fv_ti_stmt *t) {
    for (; t; t = t->next)
        if (!run_one(m, t)) return false;
    return true;
}

/* -- Whole kernels ------------------------------------------------------------------------------------------------- */
static bool count_buffers(fv_stmt *s, void *user) {
    int *n = user;
    *n += s->buffer != NULL;
    *n += s->target != NULL;
    *n += s->target2 != NULL;
    return false;
}

static void add_tensor(fv_ti *m, const fv_tensor *t, double *data) {
    fv_ti_mem *mem = &m->mem[m->n_mem++];
    *mem = (fv_ti_mem){.obj = &t->obj, .data = data, .extent = t->extent, .elements = fv_tensor_elements(t)};
    memcpy(mem->stride, t->stride, sizeof mem->stride);
    size_t n = (size_t)(mem->elements ? mem->elements : 1);
    if (t->role != FV_ROLE_IN) {
        mem->writer = fv_ti_alloc(m, n * sizeof *mem->writer);
        mem->stamp = fv_ti_alloc(m, n * sizeof *mem->stamp);
    }
    if (t->role == FV_ROLE_INOUT) mem->reader = fv_ti_alloc(m, n * sizeof *mem->reader);
}

static bool interpret(fv_ti *m, double **data) {
    const fv_kernel *k = m->k;
    m->cap_mem = k->n_tensors;
    fv_stmts_visit(k->body, count_buffers, &m->cap_mem);
    m->mem = fv_ti_alloc(m, sizeof *m->mem * (size_t)(m->cap_mem ? m->cap_mem : 1));
    for (int j = 0; j < k->n_tensors; j++) add_tensor(m, k->tensor[j], data[j]);
    fv_ti_stmt *body = fv_ti_compile_block(m, k->body);
    if (m->failed) return false;
    m->reg = fv_ti_alloc(m, sizeof(double) * (size_t)(m->n_regs ? m->n_regs : 1));
    for (int j = 0; j < m->n_constants; j++) m->reg[m->constant[j].reg] = m->constant[j].v;
    for (int j = 0; j < m->n_scalars; j++) m->scalar[j].in_scope = true;   /* for messages */
    return run_block(m, body);
}

bool fv_kernel_interpret(const fv_kernel *k, double **data, const fv_interp_options *o) {
    fv_ti m = {.ctx = k->ctx, .k = k, .arena = fv_arena_new(), .options = o, .n_regs = 1};
    bool ok = interpret(&m, data) && !m.failed;
    fv_arena_dispose(m.arena);
    return ok;
}
