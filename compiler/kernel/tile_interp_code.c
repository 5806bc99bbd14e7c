/* Expressions to straight-line code. Invariant: an instruction stands at the level of the innermost loop that it
 * depends on (0: none), levels
 * in order, operands before users; one node in one context (position or offset of an axis) is computed once. */
#include "kernel/tile_interp.h"

typedef struct { const fv_expr *e; bool offset; int reg, level; } memo;
typedef struct {
    fv_ti *m;
    fv_ti_axis *const *loop;
    int n_loops;
    memo *seen;
    int n_seen, cap_seen;
    fv_ti_ins *ins;
    int n, cap;
} compiler;
typedef struct { int reg, level; } operand;

static int new_reg(fv_ti *m) { return m->n_regs++; }

static operand fail(compiler *c, const char *text) {
    if (!c->m->failed) fv_error(c->m->ctx, FV_E_KERNEL, c->m->at ? c->m->at->loc : (fv_loc){{0}, 0}, "%s", text);
    c->m->failed = true;
    return (operand){0, 0};
}

static operand constant(compiler *c, double v) {
    fv_ti *m = c->m;
    int r = new_reg(m);
    fv_ti_push(m, m->constant, m->n_constants, m->cap_constants, ((fv_ti_constant){r, v}));
    return (operand){r, 0};
}

static operand axis(compiler *c, fv_str name, bool offset) {
    for (int j = c->n_loops - 1; j >= 0; j--)
        if (fv_str_eq(c->loop[j]->name, name)) return (operand){offset ? c->loop[j]->off : c->loop[j]->pos, j + 1};
    return fail(c, fv_printf(c->m->ctx, "axis %s is neither free nor reduced here", fv_cstr(c->m->ctx, name)));
}

static operand scalar(compiler *c, fv_str name) {
    fv_ti *m = c->m;
    for (int j = m->n_scalars - 1; j >= 0; j--)
        if (m->scalar[j].in_scope && fv_str_eq(m->scalar[j].name, name)) return (operand){m->scalar[j].reg, 0};
    return fail(c, fv_printf(m->ctx, "no scalar named '%s' is in scope", fv_cstr(m->ctx, name)));
}

static operand compile(compiler *c, const fv_expr *e, bool offset);

static int emit(compiler *c, fv_ti_ins ins) {
    ins.dst = new_reg(c->m);
    fv_ti_push(c->m, c->ins, c->n, c->cap, ins);
    return ins.dst;
}

static operand read(compiler *c, const fv_expr *e) {
    fv_ti_mem *mem = fv_ti_mem_of(c->m, e->ref);
    if (!mem) return fail(c, fv_printf(c->m->ctx, "%s is read before it exists", fv_cstr(c->m->ctx, e->ref->name)));
    fv_ti_read *r = fv_ti_alloc(c->m, sizeof *r);
    int level = 0, rank = e->ref->rank;
    *r = (fv_ti_read){.mem = mem, .expr = e, .fill = -1};
    for (int j = 0; j < e->n; j++) {
        operand a = compile(c, e->arg[j], e->ref->kind == FV_OBJ_BUFFER && j < rank);
        if (a.level > level) level = a.level;
        if (j < rank) r->index[j] = a.reg;
        else r->fill = a.reg;
    }
    return (operand){emit(c, (fv_ti_ins){.op = FV_X_READ, .level = level, .read = r}), level};
}

static operand operation(compiler *c, const fv_expr *e, bool offset) {
    if (e->n < 1 || e->n > 3 || e->op >= FV_X_LOAD)
        return fail(c, fv_printf(c->m->ctx, "'%s' has no meaning in a tile kernel",
                                                                             fv_op_spelling(e->op)));
    operand a[3] = {{0, 0}, {0, 0}, {0, 0}};
    int level = 0;
    for (int j = 0; j < e->n; j++) {
        a[j] = compile(c, e->arg[j], offset);
        if (a[j].level > level) level = a[j].level;
    }
    fv_ti_ins ins = {.op = e->op, .arg_type = e->type, .level = level, .a = a[0].reg, .b = a[1].reg, .c = a[2].reg};
    ins.round = c->m->options->f32 && fv_type_is_float(e->type) && e->type != FV_F64;
    return (operand){emit(c, ins), level};
}

static operand any(compiler *c, const fv_expr *e) {
    fv_ti *m = c->m;
    if (c->n_loops) return fail(c, "any and all stand in conditions only");
    int r = new_reg(m), n = m->n_any;
    fv_ti_push(m, m->any, n, m->cap_any, e);
    fv_ti_push(m, m->any_reg, m->n_any, m->cap_any_reg, r);
    return (operand){r, 0};
}

static operand fresh(compiler *c, const fv_expr *e, bool offset) {
    switch (e->op) {
    case FV_X_INT: return constant(c, (double)e->i);
    case FV_X_FLOAT: return constant(c, c->m->options->f32 && e->type != FV_F64 ? (double)(float)e->f : e->f);
    case FV_X_AXIS: return axis(c, e->name, offset);
    case FV_X_VAR: return scalar(c, e->name);
    case FV_X_READ: return read(c, e);
    case FV_X_ANY: case FV_X_ALL: return any(c, e);
    default: return operation(c, e, offset);
    }
}

static operand compile(compiler *c, const fv_expr *e, bool offset) {
    for (int j = c->n_seen - 1; j >= 0; j--)
        if (c->seen[j].e == e && c->seen[j].offset == offset) return (operand){c->seen[j].reg, c->seen[j].level};
    operand r = fresh(c, e, offset);
    fv_ti_push(c->m, c->seen, c->n_seen, c->cap_seen, ((memo){e, offset, r.reg, r.level}));
    return r;
}

fv_ti_code *fv_ti_compile(fv_ti *m, const fv_expr *e, fv_ti_axis *const *loop, int n_loops) {
    compiler c = {.m = m, .loop = loop, .n_loops = n_loops};
    operand r = compile(&c, e, false);
    if (m->failed) return NULL;
    fv_ti_code *out = fv_ti_alloc(m, sizeof *out);
    out->ins = fv_ti_alloc(m, sizeof *out->ins * (size_t)(c.n ? c.n : 1));
    for (int level = 0; level < FV_TI_LEVELS; level++) {
        out->first[level] = out->n;
        for (int j = 0; j < c.n; j++)
            if (c.ins[j].level == level) out->ins[out->n++] = c.ins[j];
    }
    out->first[FV_TI_LEVELS] = out->n;
    out->result = r.reg;
    out->level = r.level;
    return out;
}
