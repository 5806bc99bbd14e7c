/* Running straight-line code. Poison passes through every operator except where its value cannot matter (a branch not
 * taken, `and` with false,
 * `or` with true). A read that leaves its tensor is noted in the code and becomes a trap only if a point that takes
 * part uses the code. */
#include "kernel/tile_interp.h"

/* The NaN that an operator returns: poison if an operand was. */
static double nan_of(double a, double b, double v) { return fv_is_poison(a) || fv_is_poison(b) ? fv_poison() : v; }

static double read(fv_ti *m, fv_ti_code *c, const fv_ti_ins *i) {
    const fv_ti_read *r = i->read;
    fv_ti_mem *mem = r->mem;
    int64_t at = 0;
    for (int j = 0; j < mem->obj->rank; j++) {
        double x = m->reg[r->index[j]];
        if (x >= 0 && x < (double)mem->extent[j]) {
            at += (int64_t)x * mem->stride[j];
            continue;
        }
        if (r->fill >= 0 && !fv_is_poison(x)) return m->reg[r->fill];
        if (!c->fault) {
            c->fault = i;
            c->fault_level = i->level;
        }
        return fv_poison();
    }
    if (mem->reader) mem->reader[at] = mem->reader[at] == 0 || mem->reader[at] == m->program ? m->program : UINT32_MAX;
    if (mem->writer && mem->writer[at] && mem->writer[at] != m->program) {
        fv_ti_trap(m, fv_printf(m->ctx, "%s is read where another program wrote it", fv_cstr(m->ctx, mem->obj->name)));
    }
    return mem->data[at];
}

static double compare(fv_op op, double a, double b) {
    if (a != a || b != b) {
        if (fv_is_poison(a) || fv_is_poison(b)) return fv_poison();
        return op == FV_X_NE;
    }
    switch (op) {
    case FV_X_LT: return a < b;
    case FV_X_LE: return a <= b;
    case FV_X_EQ: return !(a < b) && !(a > b);
    default: return a < b || a > b;
    }
}

static double logic(fv_op op, double a, double b) {
    bool pa = fv_is_poison(a), pb = fv_is_poison(b), ta = a < 0 || a > 0, tb = b < 0 || b > 0;
    if (op == FV_X_AND) {
        if ((!pa && !ta) || (!pb && !tb)) return 0;
        return pa || pb ? fv_poison() : 1;
    }
    if ((!pa && ta) || (!pb && tb)) return 1;
    return pa || pb ? fv_poison() : 0;
}

static double general(const fv_ti_ins *i, double a, double b, double c) {
    int n = fv_op_arity(i->op);
    if (fv_is_poison(a) || (n > 1 && fv_is_poison(b)) || (n > 2 && fv_is_poison(c))) return fv_poison();
    double v[3] = {a, b, c};
    return fv_apply(i->op, i->arg_type, v);
}

static double operate(fv_ti *m, fv_ti_code *code, const fv_ti_ins *i) {
    const double *r = m->reg;
    double a = r[i->a], b, v;
    switch (i->op) {
    case FV_X_READ: return read(m, code, i);
    case FV_X_ADD: b = r[i->b]; v = a + b; return v != v ? nan_of(a, b, v) : v;
    case FV_X_SUB: b = r[i->b]; v = a - b; return v != v ? nan_of(a, b, v) : v;
    case FV_X_MUL: b = r[i->b]; v = i->arg_type == FV_I32 ? a * b + 0.0 : a * b; return v != v ? nan_of(a, b, v) : v;
    case FV_X_DIV: b = r[i->b]; v = a / b; return v != v ? nan_of(a, b, v) : v;
    case FV_X_LT: case FV_X_LE: case FV_X_EQ: case FV_X_NE: return compare(i->op, a, r[i->b]);
    case FV_X_AND: case FV_X_OR: return logic(i->op, a, r[i->b]);
    case FV_X_WHERE: return fv_is_poison(a) ? a : a < 0 || a > 0 ? r[i->b] : r[i->c];
    default: return general(i, a, r[i->b], r[i->c]);
    }
}

void fv_ti_run_level(fv_ti *m, fv_ti_code *c, int level) {
    if (c->fault && c->fault_level >= level) c->fault = NULL;
    for (int j = c->first[level]; j < c->first[level + 1]; j++) {
        const fv_ti_ins *i = &c->ins[j];
        double v = operate(m, c, i);
        m->reg[i->dst] = i->round ? (double)(float)v : v;
    }
}

bool fv_ti_value(fv_ti *m, fv_ti_code *c, double *out) {
    fv_ti_run_level(m, c, 0);
    *out = m->reg[c->result];
    if (c->fault) return fv_ti_report(m, c->fault);
    return !m->failed;
}

/* -- Faults -------------------------------------------------------------------------------------------------------- */
static void where_are_we(fv_ti *m, fv_buf *b) {
    const char *sep = " at ";
    for (int j = 0; j < m->n_scalars; j++)
        if (m->scalar[j].in_scope) {
            fv_buf_printf(b, "%s%s=%g", sep, fv_cstr(m->ctx, m->scalar[j].name), m->reg[m->scalar[j].reg]);
            sep = " ";
        }
}

bool fv_ti_trap(fv_ti *m, const char *text) {
    if (m->failed) return false;
    m->failed = true;
    fv_buf b = {0};
    fv_buf_printf(&b, "kernel %s", fv_cstr(m->ctx, m->k->name));
    if (m->at && m->at->label.i) fv_buf_printf(&b, ", %s", fv_cstr(m->ctx, m->at->label));
    fv_buf_printf(&b, ": %s", text);
    where_are_we(m, &b);
    fv_error(m->ctx, FV_E_TRAP, m->at ? m->at->loc : (fv_loc){{0}, 0}, "%s", b.text);
    fv_buf_dispose(&b);
    return false;
}

bool fv_ti_report(fv_ti *m, const fv_ti_ins *fault) {
    const fv_ti_read *r = fault->read;
    const fv_ti_mem *mem = r->mem;
    fv_buf b = {0};
    fv_expr_print(m->ctx, r->expr, &b);
    for (int j = 0; j < mem->obj->rank; j++) {
        double x = m->reg[r->index[j]];
        if (x >= 0 && x < (double)mem->extent[j]) continue;
        if (fv_is_poison(x)) fv_buf_printf(&b, ": index %d is poison", j);
        else fv_buf_printf(&b, ": index %d is %g, outside 0..%lld", j, x, (long long)mem->extent[j]);
        break;
    }
    fv_ti_trap(m, b.text);
    fv_buf_dispose(&b);
    return false;
}

/* -- Storage ------------------------------------------------------------------------------------------------------- */
/* Round to nearest even of f16 and bf16 by scaling to their grid; exact in double. */
static double round_to(double v, int bits, int min_exp, double max) {
    if (v != v || isinf(v)) return v;
    if (v >= -0x1p-200 && v <= 0x1p-200) return copysign(0.0, v);
    int e = ilogb(v);
    if (e < min_exp) e = min_exp;
    double r = scalbn(nearbyint(scalbn(v, bits - 1 - e)), e - bits + 1);
    return fabs(r) > max ? copysign((double)INFINITY, v) : r;
}

double fv_ti_round(const fv_ti *m, fv_type type, double v) {
    if (!m->options->f32) return v;
    switch (type) {
    case FV_F32: return (double)(float)v;
    case FV_F16: return round_to((double)(float)v, 11, -14, 65504.0);
    case FV_BF16: return round_to((double)(float)v, 8, -126, 0x1.fep127);
    default: return v;
    }
}
