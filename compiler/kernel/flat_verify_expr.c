/* flat_verify_expr: types and lanes of expressions, what they may read, and whether items agree on them.
 * Invariant: every rule broken is recorded with the statement it stands in. */
#include "kernel/flat_verify.h"

static bool is_number(const fv_expr *e) { return e->type == FV_I32 || e->type == FV_F32 || e->type == FV_F64; }
static bool is_real(const fv_expr *e) { return e->type == FV_F32 || e->type == FV_F64; }
static bool constant_in(const fv_expr *e, int64_t n) {
    return e->op == FV_X_INT && e->type == FV_I32 && e->i >= 0 && e->i < n; }

/* -- Accesses ---------------------------------------------------------------------------------- */
static bool is_known(const fv_fv *v, const fv_obj *ref) {
    if (!ref) return false;
    if (ref->kind == FV_OBJ_TENSOR) {
        for (int i = 0; i < v->k->n_tensors; i++)
            if (&v->k->tensor[i]->obj == ref) return true;
        return false;
    }
    const fv_fv_name *n = fv_fv_find(v, ref->name, true);
    return n && n->obj == ref;
}
void fv_fv_access(fv_fv *v, const fv_obj *ref, const fv_expr *offset, int lanes, const char *what) {
    const fv_memory *m = fv_flat_memory_of(ref);
    if (!is_known(v, ref)) {
        fv_fv_fault(v, "%s %s, which is no tensor of the kernel and no memory in scope", what, ref
                    ? fv_cstr(v->ctx, ref->name) : "nothing");
        return;
    }
    const char *name = fv_cstr(v->ctx, ref->name);
    if (!m || !offset) return;
    if (m->space == FV_SPACE_REG) {
        if (offset->op != FV_X_INT) fv_fv_fault(v, "%s register of %s whose number is not constant", what, name);
        else if (offset->i < 0 || offset->i >= m->count)
            fv_fv_fault(v, "%s register %lld of %s, which has %lld", what, (long long)offset->i, name,
                        (long long)m->count);
        if (lanes != m->lanes)
            fv_fv_fault(v, "%s %d lanes of %s, whose registers have %d", what, lanes, name, m->lanes);
    } else if (offset->op == FV_X_INT && offset->lanes == 1 && (offset->i < 0 || offset->i + lanes > m->count)) {
        fv_fv_fault(v, "%s elements %lld..%lld of %s, which has %lld", what, (long long)offset->i,
                    (long long)offset->i + lanes - 1, name,
                    (long long)m->count);
    }
}
static void check_mask(fv_fv *v, const fv_expr *e, const fv_expr *mask, const fv_expr *fill) {
    const char *name = fv_cstr(v->ctx, e->ref->name);
    if (mask->type != FV_BOOL || mask->lanes != e->lanes)
        fv_fv_fault(v, "the mask of a load of %s is not bool with %d lanes", name, e->lanes);
    if (fill->type != e->type || (fill->lanes != e->lanes && fill->lanes != 1))
        fv_fv_fault(v, "the fill of a load of %s has another type", name);
}
static void check_access(fv_fv *v, const fv_expr *e) {
    const fv_memory *m = fv_flat_memory_of(e->ref);
    bool guarded = e->op == FV_X_LOAD && e->i != 0, registers = m && m->space == FV_SPACE_REG,
        gather = e->op == FV_X_GATHER;
    int want = e->op == FV_X_PERMLOAD ? 2 : guarded ? 3 : e->n == 3 ? 3 : 1;
    if (e->n != want) {
        fv_fv_fault(v, "a %s with %d arguments", fv_op_spelling(e->op), e->n);
        return;
    }
    fv_fv_access(v, e->ref, gather ? NULL : e->arg[0], e->lanes, "loads");
    if (!e->ref) return;
    const char *name = fv_cstr(v->ctx, e->ref->name);
    if (e->type != e->ref->type)
        fv_fv_fault(v, "a load of %s has type %s, its elements are %s", name, fv_type_name(e->type),
                    fv_type_name(e->ref->type));
    if (registers && (e->op != FV_X_LOAD || e->n != 1))
        fv_fv_fault(v, "registers %s are loaded whole, without mask, guard or permutation", name);
    if (e->arg[0]->type != FV_I32 || e->arg[0]->lanes != (gather ? e->lanes : 1))
        fv_fv_fault(v, "an offset into %s is not i32", name);
    if (guarded) {
        if (e->i < 0) fv_fv_fault(v, "the bound of a guarded load of %s is negative", name);
        if (e->arg[1]->type != FV_I32 || e->arg[1]->lanes != 1) fv_fv_fault(v, "an offset into %s is not i32", name);
        if (e->arg[2]->type != FV_BOOL || e->arg[2]->lanes != 1)
            fv_fv_fault(v, "the guard of a load of %s is no scalar bool", name);
        if (e->arg[1]->op == FV_X_INT && !constant_in(e->arg[1], e->i))
            fv_fv_fault(v, "the offset of a guarded load of %s is not in 0..%lld", name, (long long)e->i);
    } else if (e->op == FV_X_PERMLOAD) {
        if (e->arg[1]->type != FV_I32 || e->arg[1]->lanes != e->lanes)
            fv_fv_fault(v, "a permutation of %s is not i32 with %d lanes", name, e->lanes);
    } else if (e->n == 3) check_mask(v, e, e->arg[1], e->arg[2]);
}

/* -- Operators --------------------------------------------------------------------------------- */
static bool same_args(const fv_expr *e) {
    for (int i = 1; i < e->n; i++)
        if (e->arg[i]->type != e->arg[0]->type || e->arg[i]->lanes != e->arg[0]->lanes) return false;
    return true;
}
static bool like_first(const fv_expr *e) {
    return same_args(e) && e->type == e->arg[0]->type && e->lanes == e->arg[0]->lanes; }
static bool shuffle_fits(const fv_expr *e) {
    if (e->n < 3 || e->lanes != e->n - 2 || e->type != e->arg[0]->type) return false;
    if (e->arg[1]->type != e->type || e->arg[1]->lanes != e->arg[0]->lanes) return false;
    for (int i = 2; i < e->n; i++)
        if (!constant_in(e->arg[i], 2 * (int64_t)e->arg[0]->lanes)) return false;
    return true;
}
/* Is an operator given what it takes, and of the type that it gives? */
static bool fits(const fv_expr *e) {
    const fv_expr *const *a = e->arg;
    int arity = fv_op_arity(e->op);
    if (arity >= 0 && e->n != arity) return false;
    switch (e->op) {
    case FV_X_INT: return (e->type == FV_I32 || e->type == FV_BOOL) && e->lanes == 1;
    case FV_X_FLOAT: return fv_type_is_float(e->type) && e->lanes == 1;
    case FV_X_ADD: case FV_X_SUB: case FV_X_MUL: case FV_X_FLOORDIV: case FV_X_MOD: case FV_X_MIN: case FV_X_MAX:
    case FV_X_NEG: case FV_X_ABS:
        return like_first(e) && is_number(e);
    case FV_X_EXP2: return like_first(e) && is_real(e) && (!e->i || (e->i >= 2 && e->i <= 5));
    case FV_X_DIV: case FV_X_POW: case FV_X_EXP: case FV_X_LOG: case FV_X_LOG2: case FV_X_SIN:
    case FV_X_COS: case FV_X_SQRT:
    case FV_X_RSQRT: case FV_X_ERF: case FV_X_TANH: case FV_X_SAFE: case FV_X_FMA: case FV_X_RINT: case FV_X_SCALEF:
    case FV_X_MANTISSA:
    case FV_X_EXPONENT:
        return like_first(e) && is_real(e);
    case FV_X_DOT2:
        for (int i = 0; i < 2; i++)
            if (a[i]->type != FV_BF16 || (a[i]->lanes != 2 && a[i]->lanes != 2 * e->lanes)) return false;
        return e->type == FV_F32 && a[2]->type == FV_F32 && a[2]->lanes == e->lanes;
    case FV_X_LT: case FV_X_LE: return same_args(e) && is_number(a[0]) && e->type == FV_BOOL && e->lanes == a[0]->lanes;
    case FV_X_EQ: case FV_X_NE: return same_args(e) && (is_number(a[0]) || a[0]->type == FV_BOOL)
        && e->type == FV_BOOL && e->lanes == a[0]->lanes;
    case FV_X_AND: case FV_X_OR: case FV_X_NOT: return like_first(e) && e->type == FV_BOOL;
    case FV_X_WHERE:
        return a[0]->type == FV_BOOL && a[0]->lanes == e->lanes && a[1]->type == e->type && a[2]->type == e->type
            && a[1]->lanes == e->lanes &&
               a[2]->lanes == e->lanes;
    case FV_X_FLOOR: return is_real(a[0]) && e->type == FV_I32 && e->lanes == a[0]->lanes;
    case FV_X_TOFLOAT: return (a[0]->type == FV_I32 || a[0]->type == FV_BOOL) && is_real(e) && e->lanes == a[0]->lanes;
    case FV_X_ISNAN: return is_real(a[0]) && e->type == FV_BOOL && e->lanes == a[0]->lanes;
    case FV_X_SPLAT: return a[0]->lanes == 1 && e->type == a[0]->type;
    case FV_X_IOTA: return e->type == FV_I32;
    case FV_X_HSUM: case FV_X_HMAX: case FV_X_HMIN: return is_number(e) && e->type == a[0]->type && e->lanes == 1;
    case FV_X_HANY: return e->type == FV_BOOL && a[0]->type == FV_BOOL && e->lanes == 1;
    case FV_X_SHUFFLE: return shuffle_fits(e);
    case FV_X_EXTRACT: return e->type == a[0]->type && e->lanes == 1 && constant_in(a[1], a[0]->lanes);
    case FV_X_INSERT: return e->type == a[0]->type && e->lanes == a[0]->lanes && a[1]->type == e->type
        && a[1]->lanes == 1 && constant_in(a[2], e->lanes);
    case FV_X_CONVERT: return e->lanes == a[0]->lanes && e->type != FV_VOID && e->type != FV_BOOL
        && a[0]->type != FV_BOOL;
    default: return false;
    }
}
static void check_var(fv_fv *v, const fv_expr *e) {
    const fv_fv_name *n = fv_fv_find(v, e->name, false);
    if (!n) fv_fv_fault(v, "%s is read where nothing of that name is bound", fv_cstr(v->ctx, e->name));
    else if (n->type != e->type || n->lanes != e->lanes)
        fv_fv_fault(v, "%s is read as %s with %d lanes and bound as %s with %d", fv_cstr(v->ctx, e->name),
                    fv_type_name(e->type), e->lanes,
                    fv_type_name(n->type), n->lanes);
}
static bool check_node(const fv_expr *e, void *user) {
    fv_fv *v = user;
    if (e->lanes < 1 || e->lanes > 64) fv_fv_fault(v, "%s has %d lanes", fv_op_spelling(e->op), e->lanes);
    if (e->op == FV_X_VAR) check_var(v, e);
    else if (e->op == FV_X_LOAD || e->op == FV_X_PERMLOAD || e->op == FV_X_GATHER) check_access(v, e);
    else if (e->op == FV_X_AXIS || e->op == FV_X_READ || e->op == FV_X_ANY || e->op == FV_X_ALL || e->op == FV_X_EXACT)
        fv_fv_fault(v, "'%s' has no meaning at the flat stage", e->op == FV_X_AXIS ? fv_cstr(v->ctx, e->name)
                    : fv_op_spelling(e->op));
    else if (!fits(e)) fv_fv_fault(v, "'%s' is given operands of types or lanes that it does not take",
                                   fv_op_spelling(e->op));
    return v->faults > 100;
}
void fv_fv_expr(fv_fv *v, const fv_expr *e) {
    if (e) fv_visit(e, check_node, v);
}

/* -- Do the items of a group agree? ------------------------------------------------------------ */
static bool node_varies(const fv_expr *e, void *user) {
    const fv_fv *v = user;
    if (e->op == FV_X_VAR) {
        const fv_fv_name *n = fv_fv_find(v, e->name, false);
        return n && n->varies;
    }
    const fv_memory *m = fv_flat_memory_of(e->ref);
    /* an item's own; local and global: one element, one value */
    return m && (m->space == FV_SPACE_PRIVATE || m->space == FV_SPACE_REG || m->space == FV_SPACE_FRAG);
}
bool fv_fv_varies(const fv_fv *v, const fv_expr *e) {
    return v->in_item && e && fv_visit(e, node_varies, (void *)(uintptr_t)v); }
