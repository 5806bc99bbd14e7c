/* Laws of statements: kinds and operators, targets, axes, atomicity, types, contractions, ranges.
 * Invariant: a buffer becomes known after the statement that first writes it, so that a read before that is a fault. */
#include "kernel/tile_verify.h"

static bool is_accumulating(fv_write w) {
    return w == FV_W_ADD || w == FV_W_MAXIN || w == FV_W_MININ || w == FV_W_TOPK;
}

static bool among(fv_str a, const fv_str *list, int n) {
    for (int j = 0; j < n; j++)
        if (fv_str_eq(list[j], a)) return true;
    return false;
}

/* -- Form ---------------------------------------------------------------------------------------------------------- */
static bool form(fv_verifier *v, const fv_stmt *s, const fv_str *free_axes, int n_free) {
    static const unsigned ALLOWED[] = {
        [FV_S_MAP] = 1u << FV_W_SET, [FV_S_STORE] = 1u << FV_W_SET, [FV_S_CONTRACT] = 1u << FV_W_SUM | 1u << FV_W_ADD,
        [FV_S_REDUCE] = 1u << FV_W_SUM | 1u << FV_W_MAX | 1u << FV_W_MIN | 1u << FV_W_ARGMAX |
                        1u << FV_W_ADD | 1u << FV_W_MAXIN | 1u << FV_W_MININ,
        [FV_S_SCAN] = 1u << FV_W_SCANSUM | 1u << FV_W_SCANMAX, [FV_S_TOPK] = 1u << FV_W_TOPK,
    };
    bool pointwise = s->kind == FV_S_MAP || s->kind == FV_S_STORE, scan = s->kind == FV_S_SCAN;
    if (!(ALLOWED[s->kind] >> s->write & 1u)) return fv_tv_fault(v, "this kind of statement has another operator");
    if (pointwise && s->n_over) return fv_tv_fault(v, "a pointwise statement reduces no axis");
    if (!pointwise && !s->n_over && s->write != FV_W_ADD && s->write != FV_W_MAXIN && s->write != FV_W_MININ)
        return fv_tv_fault(v, "no axis to reduce is named");
    if ((s->write == FV_W_ARGMAX || scan) && s->n_over != 1) return fv_tv_fault(v, "argmax and scans take one axis");
    if ((s->exclusive || s->reverse) && !scan) return fv_tv_fault(v, "exclusive and reverse belong to scans");
    for (int j = 0; j < s->n_over; j++) {
        const fv_name *a = fv_names_find(&v->names, s->over[j]);
        const char *name = fv_cstr(v->ctx, s->over[j]);
        if (!a || a->kind != FV_NAME_AXIS)
            return fv_tv_fault(v, "no axis '%s' is in scope%s", name, fv_names_nearest(&v->names, s->over[j]));
        if (among(s->over[j], s->over, j)) return fv_tv_fault(v, "axis '%s' is reduced twice", name);
        if (among(s->over[j], free_axes, n_free) != scan)
            return fv_tv_fault(v, scan ? "the scanned axis '%s' is no axis of the target"
                                       : "axis '%s' is both reduced and an axis of the target", name);
    }
    return true;
}

/* `else` says what excluded points get: maps and stores, and reductions whose predicate excludes whole points of the
 * target. */
static bool other_value(fv_verifier *v, const fv_stmt *s) {
    if (!s->otherwise) return true;
    if (!s->where) return fv_tv_fault(v, "else without where");
    if (s->kind == FV_S_MAP || s->kind == FV_S_STORE) return true;
    if (s->kind == FV_S_SCAN || s->kind == FV_S_TOPK || is_accumulating(s->write))
        return fv_tv_fault(v, "this kind of statement has no else");
    for (int j = 0; j < s->n_over; j++)
        if (fv_uses_axis(s->where, s->over[j]))
            return fv_tv_fault(v, "else needs a predicate without the reduced axis '%s'", fv_cstr(v->ctx, s->over[j]));
    return true;
}

/* -- Targets ------------------------------------------------------------------------------------------------------- */
static bool buffer_target(fv_verifier *v, const fv_stmt *s, const fv_buffer *b) {
    const fv_name *known = fv_names_find(&v->names, b->obj.name);
    const char *name = fv_cstr(v->ctx, b->obj.name);
    if (b->obj.kind != FV_OBJ_BUFFER) return fv_tv_fault(v, "'%s' is no buffer", name);
    if (known && known->obj != &b->obj) return fv_tv_fault(v, "the name '%s' is used twice", name);
    if (!known && is_accumulating(s->write))
        return fv_tv_fault(v, "accumulates into '%s', which nothing has started", name);
    if (!known && fv_names_taken(&v->names, b->obj.name)) return fv_tv_fault(v, "the name '%s' is used twice", name);
    for (int j = 0; j < b->obj.rank; j++) {
        const fv_name *a = fv_names_find(&v->names, b->axis[j]);
        if (!a || a->kind != FV_NAME_AXIS || a->tile != b->extent[j])
            return fv_tv_fault(v, "buffer '%s': axis '%s' is not in scope with extent %lld", name,
                               fv_cstr(v->ctx, b->axis[j]), (long long)b->extent[j]);
        if (among(b->axis[j], b->axis, j))
            return fv_tv_fault(v, "buffer '%s' has axis '%s' twice", name, fv_cstr(v->ctx, b->axis[j]));
    }
    return true;
}

static void make_known(fv_verifier *v, const fv_stmt *s, const fv_buffer *b) {
    if (b->obj.type == FV_I32) fv_prover_define(&v->p, b, s->kind == FV_S_MAP && !s->where ? s->expr : NULL);
    if (!fv_names_find(&v->names, b->obj.name))
        fv_names_add(&v->names, (fv_name){.name = b->obj.name, .kind = FV_NAME_BUFFER, .type = b->obj.type,
                                          .obj = &b->obj});
}

static bool topk_target(fv_verifier *v, const fv_stmt *s) {
    const fv_buffer *a = (const fv_buffer *)s->target, *b = s->target2;
    if (!b || !s->expr2) return fv_tv_fault(v, "topk has a list of values and a list of indices");
    if (!buffer_target(v, s, b)) return false;
    bool same = a->obj.rank == b->obj.rank && a->obj.rank > 0;
    for (int j = 0; same && j < a->obj.rank; j++) same = fv_str_eq(a->axis[j], b->axis[j]);
    if (!same) return fv_tv_fault(v, "the two lists of topk have the same axes, the list axis first");
    if (b->obj.type != FV_I32 || s->expr2->type != FV_I32) return fv_tv_fault(v, "the indices of topk are i32");
    return true;
}

static bool store_target(fv_verifier *v, const fv_stmt *s, const fv_str *free_axes, int n_free) {
    const fv_tensor *t = (const fv_tensor *)s->target;
    const fv_name *n = fv_names_find(&v->names, t->obj.name);
    const char *name = fv_cstr(v->ctx, t->obj.name);
    if (!n || n->obj != &t->obj || t->obj.kind != FV_OBJ_TENSOR)
        return fv_tv_fault(v, "'%s' is no tensor of this kernel", name);
    if (t->role == FV_ROLE_IN) return fv_tv_fault(v, "the input '%s' is stored to", name);
    for (int j = 0; j < t->obj.rank; j++) {
        if (!s->index[j]) return fv_tv_fault(v, "a store to '%s' lacks index %d", name, j);
        if (s->index[j]->type != FV_I32)
            return fv_tv_fault(v, "index %d of '%s' is %s, not i32", j, name, fv_type_name(s->index[j]->type));
        if (!fv_tv_expr(v, s->index[j], free_axes, n_free, false)) return false;
        const char *why = fv_prove_index(&v->p, s->index[j], t->extent[j], false, s->where);
        if (why) return fv_tv_fault(v, "a store to %s: index %d, %s, %s", name, j, fv_tv_text(v, s->index[j]), why);
    }
    return fv_tv_injective(v, s);
}

/* -- Values -------------------------------------------------------------------------------------------------------- */
/* Atomicity: a map reads its target at the same point, a store its tensor at the same element, others not at all. */
typedef struct { fv_verifier *v; const fv_stmt *s; } atomic;
static bool breaks_atomicity(const fv_expr *e, void *user) {
    atomic *a = user;
    const fv_stmt *s = a->s;
    if (e->op != FV_X_READ || (e->ref != s->target && (!s->target2 || e->ref != &s->target2->obj))) return false;
    bool same = s->kind == FV_S_MAP || s->kind == FV_S_STORE;
    for (int j = 0; same && j < e->ref->rank; j++)
        same = s->kind == FV_S_STORE ? e->arg[j] == s->index[j]
                                     : e->arg[j] == fv_axis_ref(a->v->ctx, ((const fv_buffer *)s->target)->axis[j]);
    return !same && !fv_tv_fault(a->v,
                                 "%s: a statement reads what it writes at the same point only, and a reduction not at "
                                 "all",
                                 fv_tv_text(a->v, e));
}

static bool type_fits(fv_verifier *v, const fv_obj *target, const fv_expr *e) {
    bool integer = e->type == FV_I32 || e->type == FV_BOOL;
    if (target->type == FV_BOOL ? e->type == FV_BOOL : target->type != FV_I32 || integer) return true;
    return fv_tv_fault(v, "'%s' is %s and is given %s", fv_cstr(v->ctx, target->name), fv_type_name(target->type),
                       fv_type_name(e->type));
}

static bool value(fv_verifier *v, const fv_stmt *s, const fv_expr *e, const fv_str *axis, int n, const fv_expr *where) {
    atomic a = {v, s};
    if (!e) return true;
    return fv_tv_expr(v, e, axis, n, false) && !fv_visit(e, breaks_atomicity, &a) && fv_tv_ranges(v, e, where);
}

static bool types(fv_verifier *v, const fv_stmt *s) {
    if (s->where && s->where->type != FV_BOOL)
        return fv_tv_fault(v, "where is %s, not bool", fv_type_name(s->where->type));
    if (s->otherwise && !type_fits(v, s->target, s->otherwise)) return false;
    if (s->write != FV_W_ARGMAX) return type_fits(v, s->target, s->expr);
    return s->target->type == FV_I32 || fv_tv_fault(v, "the target of argmax is i32");
}

/* -- Contractions -------------------------------------------------------------------------------------------------- */
static bool contraction(fv_verifier *v, const fv_stmt *s) {
    const fv_expr *e = NULL;
    if (s->kind != FV_S_CONTRACT) return true;
    switch (fv_contract_law(v->ctx, s->expr, s->over, s->n_over, &e)) {
    case FV_CONTRACT_OK: return true;
    case FV_CONTRACT_FORM:
        return fv_tv_fault(v, "a contraction is a product of two elements that depend on reduced axes");
    case FV_CONTRACT_GATHERS: return fv_tv_fault(v, "%s gathers: copy it to a buffer first", fv_tv_text(v, e));
    case FV_CONTRACT_FACTOR: break;
    }
    return fv_tv_fault(v, "the factor %s has a reduced axis and fits neither of the two operands", fv_tv_text(v, e));
}

/* -- Whole statements ---------------------------------------------------------------------------------------------- */
static bool label(fv_verifier *v, const fv_stmt *s) {
    if (!s->label.i) return fv_tv_fault(v, "a statement has no label");
    if (among(s->label, v->label, v->n_labels))
        return fv_tv_fault(v, "the label '%s' is used twice", fv_cstr(v->ctx, s->label));
    fv_push(v->ctx, v->label, v->n_labels, v->cap_labels, s->label);
    return true;
}

static bool laws(fv_verifier *v, const fv_stmt *s) {
    fv_str axis[2 * FV_MAX_AXES];
    if (!s->target) return fv_tv_fault(v, "a statement has no target");
    if (!label(v, s)) return false;
    bool store = s->kind == FV_S_STORE;
    for (int j = 0; store && j < s->target->rank; j++)
        if (!s->index[j]) return fv_tv_fault(v, "a store lacks index %d", j);
    if (!store && !buffer_target(v, s, (const fv_buffer *)s->target)) return false;
    int n = fv_stmt_free(s, axis), n_free = n;
    if (!form(v, s, axis, n_free) || !other_value(v, s) || (s->kind == FV_S_TOPK && !topk_target(v, s)) || !types(v, s))
        return false;
    for (int j = 0; j < s->n_over; j++)
        if (!among(s->over[j], axis, n)) axis[n++] = s->over[j];
    const fv_str *seen = s->kind == FV_S_TOPK ? axis + 1 : axis;   /* the list axis is no axis of the value */
    int n_seen = s->kind == FV_S_TOPK ? n - 1 : n;
    if (!value(v, s, s->where, seen, n_seen, NULL) || !value(v, s, s->expr, seen, n_seen, s->where) ||
        !value(v, s, s->expr2, seen, n_seen, s->where) || !value(v, s, s->otherwise, axis, n_free, NULL) ||
            !contraction(v, s))
        return false;
    return !store || store_target(v, s, axis, n_free);
}

/* A buffer is known afterwards even if its writer is at fault: one mistake gives one error. */
bool fv_tv_op(fv_verifier *v, const fv_stmt *s) {
    bool ok = laws(v, s);
    if (s->kind == FV_S_STORE || !s->target) return ok;
    make_known(v, s, (const fv_buffer *)s->target);
    if (s->target2) make_known(v, s, s->target2);
    return ok;
}
