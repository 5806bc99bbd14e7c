/* flat_interp_eval: computing tapes, and access to memory with bounds, poison and conflict checks. Invariant: no
 * address is formed from an index that was not checked. */
#include "kernel/flat_interp.h"

#include <math.h>

/* -- Memory ------------------------------------------------------------------------------------ */
static bool conflict(fv_fi *m, const fv_fi_mem *x, int64_t i, const char *did, uint32_t other, const char *before) {
    return fv_fi_trap(m, "item %d %s element %lld of %s, which item %u %s with no barrier between", m->item, did,
                      (long long)i,
                      fv_cstr(m->ctx, x->obj->name), other - 1, before);
}

enum { MANY = UINT32_MAX };
static bool watch(fv_fi *m, fv_fi_mem *x, int64_t i, bool write) {
    uint32_t me = (uint32_t)m->item + 1;
    const char *did = write ? "writes" : "reads";
    if (x->epoch_w[i] == m->epoch && x->item_w[i] != me) return conflict(m, x, i, did, x->item_w[i], "wrote");
    if (write && x->epoch_r[i] == m->epoch && x->item_r[i] != me) {
        if (x->item_r[i] != MANY) return conflict(m, x, i, did, x->item_r[i], "read");
        return fv_fi_trap(m, "item %d writes element %lld of %s, which other items read with no barrier between",
                          m->item, (long long)i, fv_cstr(m->ctx, x->obj->name));
    }
    if (x->program_w && x->program_w[i] && x->program_w[i] != m->program)
        return fv_fi_trap(m, "program %u %s element %lld of %s, which program %u wrote", m->program - 1, did,
                          (long long)i, fv_cstr(m->ctx, x->obj->name), x->program_w[i] - 1);
    if (write && x->program_r && x->program_r[i] && x->program_r[i] != m->program)
        return fv_fi_trap(m, "program %u writes element %lld of %s, which another one read", m->program - 1,
                          (long long)i, fv_cstr(m->ctx, x->obj->name));
    if (write) {
        x->epoch_w[i] = m->epoch;
        x->item_w[i] = me;
        if (x->program_w) x->program_w[i] = m->program;
    } else {
        x->item_r[i] = x->epoch_r[i] != m->epoch || x->item_r[i] == me ? me : MANY;
        x->epoch_r[i] = m->epoch;
        if (x->program_r) x->program_r[i] = x->program_r[i] == 0 || x->program_r[i] == m->program ? m->program : MANY;
    }
    return true;
}

/* Memories of a group may share bytes: what another one wrote over is poison. The far block stands behind the local. */
static bool owned(fv_fi *m, const fv_fi_mem *x, int64_t i, bool write) {
    int64_t size = fv_type_bytes(x->obj->type), at = x->memory->offset_bytes + i * size;
    if (x->space == FV_SPACE_FAR) at += m->k->scratch_bytes;
    if (!write) return !m->owner[at] || m->owner[at] == x->number;
    for (int64_t b = 0; b < size; b++) m->owner[at + b] = (uint16_t)x->number;
    return true;
}

double *fv_fi_element(fv_fi *m, fv_fi_mem *x, int64_t i, bool write, double *poison) {
    if (i < 0 || i >= (write ? x->count : x->readable)) {
        fv_fi_trap(m, "%s element %lld of %s, which has %lld", write ? "stores" : "loads", (long long)i,
                   fv_cstr(m->ctx, x->obj->name), (long long)x->count);
        return NULL;
    }
    *poison = fv_fi_poison(x->obj->type);
    if (i >= x->count) return poison;
    if (x->epoch_w && !watch(m, x, i, write)) return NULL;
    if (fv_space_shared(x->space) && !owned(m, x, i, write)) return poison;
    return &x->data[i + x->per_item * m->item];
}

static bool load(fv_fi *m, fv_fi_mem *x, int64_t i, double *out) {
    double poison;
    const double *p = fv_fi_element(m, x, i, false, &poison);
    if (!p) return false;
    *out = *p;
    return true;
}

/* -- Loads ------------------------------------------------------------------------------------- */
static bool load_vector(fv_fi *m, const fv_fi_op *o, const int *arg, double *out) {
    const fv_expr *e = o->e;
    double *s = m->slot;
    int64_t at = (int64_t)s[arg[0]];
    if (o->mem->space == FV_SPACE_REG) at *= e->lanes;
    if (e->i) {
        int64_t inner = (int64_t)s[arg[1]];
        if (s[arg[2]] == 0) {
            for (int l = 0; l < e->lanes; l++) out[l] = 0;
            return true;
        }
        if (inner < 0 || inner >= e->i)
            return fv_fi_trap(m, "the offset %lld of a guarded load of %s is outside 0..%lld", (long long)inner,
                              fv_cstr(m->ctx, e->ref->name), (long long)e->i);
        at += inner;
    }
    for (int l = 0; l < e->lanes; l++) {
        if (!e->i && e->n == 3 && s[arg[1] + l] == 0) out[l] = s[arg[2] + (e->arg[2]->lanes > 1 ? l : 0)];
        else if (!load(m, o->mem, at + l, &out[l])) return false;
    }
    return true;
}

static bool load_permuted(fv_fi *m, const fv_fi_op *o, const int *arg, double *out) {
    double v[64];
    int64_t at = (int64_t)m->slot[arg[0]];
    for (int l = 0; l < o->e->lanes; l++)
        if (!load(m, o->mem, at + l, &v[l])) return false;
    for (int l = 0; l < o->e->lanes; l++) {
        double p = m->slot[arg[1] + l];
        if (!(p >= 0 && p < o->e->lanes))
            return fv_fi_trap(m, "a permutation of %s takes lane %g", fv_cstr(m->ctx, o->e->ref->name), p);
        out[l] = v[(int)p];
    }
    return true;
}

static bool gather(fv_fi *m, const fv_fi_op *o, const int *arg, double *out) {
    for (int l = 0; l < o->e->lanes; l++) {
        if (o->e->n == 3 && m->slot[arg[1] + l] == 0) out[l] = m->slot[arg[2] + (o->e->arg[2]->lanes > 1 ? l : 0)];
        else if (!load(m, o->mem, (int64_t)m->slot[arg[0] + l], &out[l])) return false;
    }
    return true;
}

/* -- Operators --------------------------------------------------------------------------------- */
static void horizontal(const fv_expr *e, const double *v, double *out) {
    static const fv_op ops[] = { [FV_X_HSUM - FV_X_HSUM] = FV_X_ADD, [FV_X_HMAX - FV_X_HSUM] = FV_X_MAX,
            [FV_X_HMIN - FV_X_HSUM] = FV_X_MIN, [FV_X_HANY - FV_X_HSUM] = FV_X_OR };
    double t[64];
    int n = e->arg[0]->lanes;
    fv_expr node = { .op = ops[e->op - FV_X_HSUM], .type = e->type, .lanes = 1, .n = 2 };
    for (int i = 0; i < n; i++) t[i] = v[i];
    for (; n > 1; n = (n + 1) / 2)
        for (int i = 0; i < n / 2; i++) t[i] = fv_flat_apply(&node, (double[]){ t[i], t[i + (n + 1) / 2] });
    *out = t[0];
}

static void rearrange(const fv_expr *e, const int *arg, const double *s, double *out) {
    const double *a = s + arg[0];
    if (e->op == FV_X_EXTRACT) {
        out[0] = a[e->arg[1]->i];
        return;
    }
    for (int l = 0; l < e->lanes; l++) {
        if (e->op == FV_X_INSERT) out[l] = l == e->arg[2]->i ? s[arg[1]] : a[l];
        else {
            int64_t from = e->arg[2 + l]->i, n = e->arg[0]->lanes;
            out[l] = from < n ? a[from] : s[arg[1] + (from - n)];
        }
    }
}

static void dot2(const fv_expr *e, const int *arg, const double *s, double *out) {
    for (int l = 0; l < e->lanes; l++) {
        const double *a = s + arg[0] + (e->arg[0]->lanes > 2 ? 2 * l : 0),
                     *b = s + arg[1] + (e->arg[1]->lanes > 2 ? 2 * l : 0);
        out[l] = (double)fmaf((float)a[1], (float)b[1], fmaf((float)a[0], (float)b[0], (float)s[arg[2] + l]));
    }
}
static void pointwise(const fv_expr *e, const int *arg, const double *s, double *out) {
    double v[3] = { 0, 0, 0 };
    for (int l = 0; l < e->lanes; l++) {
        for (int i = 0; i < e->n; i++) v[i] = s[arg[i] + (e->arg[i]->lanes > 1 ? l : 0)];
        out[l] = fv_flat_apply(e, v);
    }
}

/* The operators that most tapes are made of, for scalars; false: another one. */
static bool quick(const fv_expr *e, const int *arg, const double *s, double *out) {
    double a = s[arg[0]], b = e->n > 1 ? s[arg[1]] : 0;
    bool f32 = e->type == FV_F32;
    switch (e->op) {
    case FV_X_ADD: *out = f32 ? (double)((float)a + (float)b) : a + b; return true;
    case FV_X_SUB: *out = f32 ? (double)((float)a - (float)b) : a - b; return true;
    case FV_X_MUL: *out = f32 ? (double)((float)a * (float)b) : e->type == FV_I32 ? a * b + 0.0 : a * b; return true;
    case FV_X_LT: *out = a < b; return true;
    case FV_X_LE: *out = a <= b; return true;
    case FV_X_AND: *out = a != 0 && b != 0; return true;
    case FV_X_WHERE: *out = a != 0 ? b : s[arg[2]]; return true;
    default: return false;
    }
}

static bool run(fv_fi *m, const fv_fi_op *o, const int *arg) {
    const fv_expr *e = o->e;
    double *s = m->slot, *out = s + o->out;
    switch (e->op) {
    case FV_X_INT: *out = (double)e->i; return true;
    case FV_X_FLOAT: *out = fv_flat_round(e->type, e->f); return true;
    case FV_X_VAR: {
        const double *v = m->env + (int64_t)m->item * m->env_size + o->var;
        for (int l = 0; l < e->lanes; l++) out[l] = v[l];
        return true;
    }
    case FV_X_LOAD: return load_vector(m, o, arg, out);
    case FV_X_PERMLOAD: return load_permuted(m, o, arg, out);
    case FV_X_GATHER: return gather(m, o, arg, out);
    case FV_X_SPLAT: for (int l = 0; l < e->lanes; l++) out[l] = s[arg[0]]; return true;
    case FV_X_IOTA: for (int l = 0; l < e->lanes; l++) out[l] = l; return true;
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: case FV_X_HANY: horizontal(e, s + arg[0], out); return true;
    case FV_X_DOT2: dot2(e, arg, s, out); return true;
    case FV_X_SHUFFLE: case FV_X_EXTRACT: case FV_X_INSERT: rearrange(e, arg, s, out); return true;
    default:
        if (e->lanes > 1 || !quick(e, arg, s, out)) pointwise(e, arg, s, out);
        return true;
    }
}

bool fv_fi_eval(fv_fi *m, const fv_fi_tape *t) {
    for (int i = 0; i < t->n; i++)
        if (!run(m, &t->op[i], t->arg + t->op[i].first)) return false;
    return true;
}
