/* Structures and statements to the interpreter's form. Invariant: scopes are followed, so that a name that a kernel
 * reads where it does not
 * exist is an error here and never a wrong address at run time. */
#include "kernel/tile_interp.h"

void *fv_ti_alloc(fv_ti *m, size_t bytes) { return fv_arena_alloc(m->arena, bytes); }

void *fv_ti_grow(fv_ti *m, void *old, int n, int *cap, size_t size) {
    *cap = *cap ? 2 * *cap : 16;
    void *p = fv_ti_alloc(m, size * (size_t)*cap);
    if (n) memcpy(p, old, size * (size_t)n);
    return p;
}

static bool fail(fv_ti *m, const char *text) {
    if (!m->failed) fv_error(m->ctx, FV_E_KERNEL, m->at ? m->at->loc : (fv_loc){{0}, 0}, "%s", text);
    m->failed = true;
    return false;
}

/* -- Names --------------------------------------------------------------------------------------------------------- */
fv_ti_mem *fv_ti_mem_of(fv_ti *m, const fv_obj *obj) {
    for (int j = 0; j < m->n_mem; j++)
        if (m->mem[j].obj == obj) return &m->mem[j];
    return NULL;
}

static int add_scalar(fv_ti *m, fv_str name) {
    int r = m->n_regs++;
    fv_ti_push(m, m->scalar, m->n_scalars, m->cap_scalars, ((fv_ti_scalar){name, r, true}));
    return r;
}

static fv_ti_axis *find_axis(fv_ti *m, fv_str name) {
    for (int j = m->n_axes - 1; j >= 0; j--)
        if (m->axis[j]->in_scope && fv_str_eq(m->axis[j]->name, name)) return m->axis[j];
    fail(m, fv_printf(m->ctx, "no axis named '%s' is in scope", fv_cstr(m->ctx, name)));
    return NULL;
}

static bool add_axis(fv_ti *m, fv_ti_stmt *t, int j) {
    const fv_tile_axis *a = &t->s->axis[j];
    if (!a->tile) {
        t->reg[j] = add_scalar(m, a->name);
        return true;
    }
    fv_ti_axis *x = fv_ti_alloc(m, sizeof *x);
    *x = (fv_ti_axis){.name = a->name, .tile = a->tile, .in_scope = true};
    x->pos = m->n_regs++;
    x->off = m->n_regs++;
    x->base_reg = add_scalar(m, fv_base_name(m->ctx, a->name));
    fv_ti_push(m, m->axis, m->n_axes, m->cap_axes, x);
    t->axis[j] = x;
    return true;
}

/* -- Structures ---------------------------------------------------------------------------------------------------- */
static bool scalar_code(fv_ti *m, fv_ti_code **out, const fv_expr *e) {
    return !e || (*out = fv_ti_compile(m, e, NULL, 0)) != NULL;
}

static bool add_axes(fv_ti *m, fv_ti_stmt *t) {
    for (int j = 0; j < t->s->n_axes; j++) {
        if (!scalar_code(m, &t->base[j], t->s->axis[j].base) || !scalar_code(m, &t->limit[j], t->s->axis[j].limit) ||
            !add_axis(m, t, j))
            return false;
    }
    return true;
}

/* A scalar value, with the ANY and ALL in it as loops of their own that run first. */
static bool condition(fv_ti *m, fv_ti_stmt *t) {
    m->n_any = 0;
    if (!scalar_code(m, &t->expr, t->s->expr)) return false;
    int n = m->n_any;
    t->any = fv_ti_alloc(m, sizeof *t->any * (size_t)(n ? n : 1));
    for (t->n_any = 0; t->n_any < n; t->n_any++) {
        fv_ti_any *a = &t->any[t->n_any];
        const fv_expr *e = m->any[t->n_any];
        fv_str names[FV_MAX_AXES];
        *a = (fv_ti_any){.all = e->op == FV_X_ALL, .reg = m->any_reg[t->n_any]};
        int axes = fv_axes_of(e->arg[0], names, 0, FV_MAX_AXES);
        for (; a->n_loops < axes; a->n_loops++)
            if (!(a->loop[a->n_loops] = find_axis(m, names[a->n_loops]))) return false;
        if (!(a->code = fv_ti_compile(m, e->arg[0], a->loop, a->n_loops))) return false;
    }
    return true;
}

static fv_ti_mem *memory_of_buffer(fv_ti *m, const fv_buffer *b) {
    fv_ti_mem *mem = fv_ti_mem_of(m, &b->obj);
    if (mem) return mem;
    if (m->n_mem == m->cap_mem) { fail(m, "too many buffers"); return NULL; }
    mem = &m->mem[m->n_mem++];
    *mem = (fv_ti_mem){.obj = &b->obj, .extent = b->extent, .elements = 1};
    for (int j = b->obj.rank - 1; j >= 0; j--) {
        mem->stride[j] = mem->elements;
        mem->elements *= b->extent[j];
        if (b->extent[j] < 1 || mem->elements > (1 << 26)) {
            fail(m, fv_printf(m->ctx, "buffer %s is too large to interpret", fv_cstr(m->ctx, b->obj.name)));
            return NULL;
        }
    }
    mem->data = fv_ti_alloc(m, sizeof(double) * (size_t)mem->elements);
    return mem;
}

/* -- Statements ---------------------------------------------------------------------------------------------------- */
static bool add_loop(fv_ti *m, fv_ti_stmt *t, fv_str name) {
    if (t->n_loops == 2 * FV_MAX_AXES || !(t->loop[t->n_loops] = find_axis(m, name))) return false;
    t->n_loops++;
    return true;
}

/* Loop order: free axes (SCAN: without the scanned one, TOPK: without the list axis), then the axes of `over`. */
static bool loops(fv_ti *m, fv_ti_stmt *t) {
    const fv_stmt *s = t->s;
    fv_str names[FV_MAX_AXES];
    int n = fv_stmt_free(s, names);
    for (int j = s->kind == FV_S_TOPK ? 1 : 0; j < n; j++)
        if (!(s->kind == FV_S_SCAN && s->n_over && fv_str_eq(names[j], s->over[0])) && !add_loop(m, t, names[j]))
            return false;
    t->n_free = t->n_loops;
    for (int j = 0; j < s->n_over; j++)
        if (!add_loop(m, t, s->over[j])) return false;
    return true;
}

/* Addresses are formed from offsets within axes: a buffer is as wide as they are. */
static bool same_extents(fv_ti *m, const fv_ti_stmt *t) {
    const fv_buffer *b = (const fv_buffer *)t->s->target;
    for (int j = 0; j < b->obj.rank; j++) {
        const fv_ti_axis *a = find_axis(m, b->axis[j]);
        if (!a || a->tile != b->extent[j])
            return fail(m, fv_printf(m->ctx, "axis %s of buffer %s has another extent", fv_cstr(m->ctx, b->axis[j]),
                                     fv_cstr(m->ctx, b->obj.name)));
    }
    return true;
}

static bool op_code(fv_ti *m, fv_ti_stmt *t, fv_ti_code **out, const fv_expr *e) {
    return !e || (*out = fv_ti_compile(m, e, t->loop, t->n_loops)) != NULL;
}

static bool operation(fv_ti *m, fv_ti_stmt *t) {
    const fv_stmt *s = t->s;
    if (!loops(m, t)) return false;
    if (s->kind == FV_S_STORE) {
        if (!(t->target = fv_ti_mem_of(m, s->target)) || !t->target->writer)
            return fail(m, "a store to something that is no output");
        for (int j = 0; j < s->target->rank; j++)
            if (!op_code(m, t, &t->index[j], s->index[j])) return false;
    } else {
        if (!(t->target = memory_of_buffer(m, (const fv_buffer *)s->target)) || !same_extents(m, t)) return false;
        if (s->target2 && !(t->target2 = memory_of_buffer(m, s->target2))) return false;
        if (s->kind == FV_S_TOPK && (!s->target2 || !s->target->rank || s->target2->obj.rank != s->target->rank ||
                                     !s->expr2))
            return fail(m, "topk needs two lists with the same axes");
        if (s->kind == FV_S_SCAN && s->n_over != 1) return fail(m, "a scan runs along one axis");
    }
    return op_code(m, t, &t->expr, s->expr) && op_code(m, t, &t->expr2, s->expr2) &&
        op_code(m, t, &t->where, s->where) &&
           op_code(m, t, &t->otherwise, s->otherwise);
}

static bool one(fv_ti *m, fv_ti_stmt *t) {
    const fv_stmt *s = t->s;
    switch (s->kind) {
    case FV_S_GRID: case FV_S_FOR: return add_axes(m, t) && (!s->body || (t->body = fv_ti_compile_block(m, s->body)));
    case FV_S_AXIS: return add_axes(m, t);
    case FV_S_LET:
        if (!condition(m, t)) return false;
        t->reg[0] = add_scalar(m, s->name);
        return true;
    case FV_S_IF: return condition(m, t) && (!s->body || (t->body = fv_ti_compile_block(m, s->body)));
    case FV_S_ALLOC: return (t->target = memory_of_buffer(m, s->buffer)) && scalar_code(m, &t->expr, s->expr);
    default: return operation(m, t);
    }
}

static void leave(fv_ti *m, int scalars, int axes) {
    for (int j = scalars; j < m->n_scalars; j++) m->scalar[j].in_scope = false;
    for (int j = axes; j < m->n_axes; j++) m->axis[j]->in_scope = false;
}

fv_ti_stmt *fv_ti_compile_block(fv_ti *m, const fv_stmt *s) {
    fv_ti_stmt *first = NULL, **end = &first;
    int scalars = m->n_scalars, axes = m->n_axes;
    for (; s; s = s->next) {
        fv_ti_stmt *t = fv_ti_alloc(m, sizeof *t);
        int mark_scalars = m->n_scalars, mark_axes = m->n_axes;
        t->s = s;
        m->at = s;
        if (!one(m, t)) {
            fail(m, "a statement that cannot be interpreted");
            return NULL;
        }
        if (s->kind == FV_S_FOR || s->kind == FV_S_GRID) leave(m, mark_scalars, mark_axes);
        *end = t;
        end = &t->next;
    }
    leave(m, scalars, axes);
    return first;
}
