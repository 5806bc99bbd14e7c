/* An expression of the tile text at one point (or at the points of one vector). Integer expressions stay scalar trees
 * over the leaf `lane` and over holds until they are used; everything else is built at once, scalar or vector.
 * Invariant: a tree in scalar form means, for lane l, its value with lane = l; every load is bound by a LET, so a tree
 * may be used many times. */
#include "kernel/flatten.h"

/* -- Emitting ---------------------------------------------------------------------------------------------------- */
fv_flat *fl_emit(fl *f, fv_flat_kind kind) {
    fv_flat *s = fv_flat_new(f->ctx, kind);
    s->label = f->label;
    s->loc = f->loc;
    return fv_flats_add(f->list, s);
}
fl_mark fl_enter(fl *f, fv_flats *list, bool loop) {
    fl_mark m = {f->list, f->n_memo, f->memo_base};
    f->list = list;
    if (loop) f->memo_base = f->n_memo;
    return m;
}
void fl_leave(fl *f, fl_mark m) {
    f->list = m.list;
    if (f->n_memo > m.n_memo) f->n_memo = m.n_memo;
    f->memo_base = m.memo_base;
}
const fv_expr *fl_let(fl *f, const char *stem, const fv_expr *e) {
    if (e->op == FV_X_VAR || e->op == FV_X_INT || e->op == FV_X_FLOAT) return e;
    fv_flat *s = fl_emit(f, FV_L_LET);
    s->name = fl_fresh(f, stem);
    s->expr = e;
    return fv_var_n(f->ctx, s->name, e->type, e->lanes);
}
void fl_remember(fl *f, const fv_expr *key, const fv_expr *var, const fv_obj *ref) {
    fl_memo m = {key, var, ref};
    fv_push(f->ctx, f->memo, f->n_memo, f->cap_memo, m);
}
const fv_expr *fl_find(fl *f, const fv_expr *key) {
    for (int j = f->n_memo - 1; j >= f->memo_base; j--)
        if (f->memo[j].key == key) return f->memo[j].var;
    return NULL;
}
const fv_expr *fl_once(fl *f, const char *stem, const fv_expr *key, const fv_obj *ref) {
    const fv_expr *v = fl_find(f, key);
    if (v) return v;
    v = fl_let(f, stem, key);
    if (v != key) fl_remember(f, key, v, ref);
    return v;
}
void fl_forget(fl *f, const fv_obj *ref) {
    for (int j = 0; j < f->n_memo; j++)
        if (f->memo[j].ref == ref) f->memo[j].key = NULL;
}
fv_memory *fl_registers(fl *f, const char *stem, fv_type type, int lanes, int64_t count) {
    fv_memory *m = FV_NEW(f->ctx, fv_memory);
    m->obj = (fv_obj){.kind = FV_OBJ_BUFFER, .name = fl_fresh(f, stem), .type = type, .rank = 1};
    m->space = FV_SPACE_REG;
    m->lanes = lanes;
    m->count = count;
    fl_emit(f, FV_L_ALLOC)->memory = m;
    return m;
}
const fv_expr *fl_reg(fl *f, const fv_memory *m, int64_t i) {
    const fv_expr *at = fv_int(f->ctx, i);
    return fv_make(f->ctx, FV_X_LOAD, m->obj.type, m->lanes, 0, &m->obj, &at, 1);
}
static const fv_expr *splat(fl *f, const fv_expr *e, int lanes) {
    return e->lanes == lanes ? e : fv_make(f->ctx, FV_X_SPLAT, e->type, lanes, 0, NULL, &e, 1);
}
void fl_set_reg(fl *f, fv_memory *m, int64_t i, const fv_expr *v) {
    fv_flat *s = fl_emit(f, FV_L_STORE);
    s->memory = m;
    s->offset = fv_int(f->ctx, i);
    s->expr = splat(f, v, m->lanes);
}

/* -- Holds: vectors as scalar leaves ----------------------------------------------------------------------------- */
static fl_hold *hold_of(const fl *f, const fv_expr *leaf) {
    for (int j = f->n_holds - 1; j >= 0; j--)
        if (f->hold[j].leaf == leaf) return &f->hold[j];
    return NULL;
}
const fv_expr *fl_hold_value(fl *f, const fv_expr *v, const fv_expr *pure, const fv_obj *range_of) {
    const fv_expr *leaf;
    if (v->lanes == 1) {
        leaf = fl_let(f, "i", v);
    } else {
        for (int j = f->n_holds - 1; j >= 0; j--)
            if (f->hold[j].vector == v && f->hold[j].pure == pure) return f->hold[j].leaf;
        leaf = fv_var(f->ctx, fl_fresh(f, "by"), v->type);
        fl_hold h = {leaf, v, pure};
        fv_push(f->ctx, f->hold, f->n_holds, f->cap_holds, h);
    }
    if (leaf->op == FV_X_VAR && range_of && range_of->ranged)
        fv_facts_add(f->ctx, &f->facts, leaf, range_of->lo, range_of->hi);
    else if (leaf->op == FV_X_VAR && pure && leaf->type == FV_I32) {
        fv_range r = fl_range(f, pure);
        fv_facts_add(f->ctx, &f->facts, leaf, r.lo, r.hi);
    }
    return leaf;
}
static bool varies(const fv_expr *e, void *user) {
    const fl *f = user;
    return e->op == FV_X_VAR && (e == f->lane_leaf || hold_of(f, e));
}
bool fl_by_lane(const fl *f, const fv_expr *e) {
    if (!f->lane || e->op == FV_X_INT) return false;
    return fv_visit(e, varies, (void *)f);
}

/* -- Integers ---------------------------------------------------------------------------------------------------- */
/* The value of a buffer's only writer at the point where it is read, if it is a pure integer map read at its own axes.
 */
static const fv_expr *pure_value(fl *f, const fv_expr *read) {
    if (read->ref->kind != FV_OBJ_BUFFER || read->i) return NULL;
    const fl_buffer *b = fl_buffer_find(f, read->ref);
    const fv_stmt *w = b->writer;
    if (!w || w->kind != FV_S_MAP || w->where || w->expr->type != FV_I32) return NULL;
    for (int j = 0; j < read->n; j++)
        if (read->arg[j]->op != FV_X_AXIS || !fv_str_eq(read->arg[j]->name, b->b->axis[j])) return NULL;
    fv_str names[FV_MAX_AXES];
    int n = fv_axes_of(w->expr, names, 0, FV_MAX_AXES);
    for (int j = 0; j < n; j++)
        if (!fl_axis_find(f, names[j])->off) return NULL;
    return w->expr;
}
static bool is_memory(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ || fv_type_is_float(e->type);
}
static const fv_expr *read_index(fl *f, const fv_expr *e) {
    const fv_expr *map = pure_value(f, e), *pure = NULL;
    if (map && !fv_visit(map, is_memory, NULL)) pure = fl_simple(f, fl_index(f, map, false));
    return fl_hold_value(f, fl_read(f, e), pure, e->i ? NULL : e->ref);
}
static const fv_expr *axis_index(fl *f, const fv_expr *e, bool offsets) {
    const fl_axis *a = fl_axis_find(f, e->name);
    FV_ASSERT(a && a->off, "an axis is bound where it is read");
    const fv_expr *x = a->off;
    if (a == f->lane) x = fv_add(f->ctx, x, f->lane_leaf);
    return offsets ? x : fv_add(f->ctx, a->base, x);
}
static const fv_expr *where_index(fl *f, const fv_expr *e, bool offsets) {
    const fv_expr *c = fl_simple(f, fl_index(f, e->arg[0], offsets));
    if (c->op == FV_X_INT) return fl_index(f, e->arg[c->i ? 1 : 2], offsets);
    fl_guards g = fl_guard_add(f, c);
    const fv_expr *a = fl_index(f, e->arg[1], offsets);
    fl_guard_restore(f, g);
    g = fl_guard_add(f, fv_op1(f->ctx, FV_X_NOT, c));
    const fv_expr *b = fl_index(f, e->arg[2], offsets);
    fl_guard_restore(f, g);
    return fv_op3(f->ctx, FV_X_WHERE, c, a, b);
}
const fv_expr *fl_index(fl *f, const fv_expr *e, bool offsets) {
    const fv_expr *arg[FV_MAX_AXES + 1];
    if (fv_type_is_float(e->type)) return fl_hold_value(f, fl_value(f, e), NULL, NULL);
    switch (e->op) {
    case FV_X_INT: return e;
    case FV_X_VAR: return fl_bound_var(f, e);
    case FV_X_AXIS: return axis_index(f, e, offsets);
    case FV_X_READ: return read_index(f, e);
    case FV_X_WHERE: return where_index(f, e, offsets);
    default: break;
    }
    for (int j = 0; j < e->n; j++)
        if (fv_type_is_float(e->arg[j]->type)) return fl_hold_value(f, fl_value(f, e), NULL, NULL);
    for (int j = 0; j < e->n; j++) arg[j] = fl_index(f, e->arg[j], offsets);
    return fv_rebuild(f->ctx, e, arg);
}

/* -- Vectors of scalar forms ------------------------------------------------------------------------------------- */
static const fv_expr *vector_leaf(fl *f, const fv_expr *e) {
    if (e == f->lane_leaf) return fv_make(f->ctx, FV_X_IOTA, FV_I32, f->vl, 0, NULL, NULL, 0);
    return hold_of(f, e)->vector;
}
/* Sums: what is the same in all lanes is added once, as a scalar. */
static const fv_expr *vector_sum(fl *f, const fv_expr *e) {
    fv_affine a, same = {0};
    if (e->type != FV_I32 || !fv_affine_of(e, &a)) return NULL;
    if (a.n == 1 && a.term[0].atom == e) return NULL;
    const fv_expr *v = NULL;
    same.constant = a.constant;
    for (int j = 0; j < a.n; j++) {
        if (!fl_by_lane(f, a.term[j].atom)) {
            same.term[same.n].atom = a.term[j].atom;
            same.term[same.n++].coef = a.term[j].coef;
            continue;
        }
        const fv_expr *t = fl_vector(f, a.term[j].atom);
        if (a.term[j].coef != 1) t = fv_muli(f->ctx, t, a.term[j].coef);
        v = v ? fv_add(f->ctx, v, t) : t;
    }
    return fv_add(f->ctx, v, fv_affine_expr(f->ctx, &same));
}
/* A lane that is not valid may hold anything, a divisor of zero too. */
static const fv_expr *safe_divisor(fl *f, const fv_expr *e, const fv_expr *d) {
    if ((e->op != FV_X_FLOORDIV && e->op != FV_X_MOD) || e->arg[1]->op == FV_X_INT || d->lanes == 1) return d;
    const fv_expr *valid = fl_valid(f);
    return valid ? fv_op3(f->ctx, FV_X_WHERE, valid, d, fv_int(f->ctx, 1)) : d;
}
const fv_expr *fl_vector(fl *f, const fv_expr *e) {
    if (!fl_by_lane(f, e)) return e;
    if (e->op == FV_X_VAR) return vector_leaf(f, e);
    const fv_expr *arg[3], *sum = vector_sum(f, e);
    if (sum) return sum;
    FV_ASSERT(e->n <= 3, "an integer operator has at most three operands");
    for (int j = 0; j < e->n; j++) arg[j] = fl_vector(f, e->arg[j]);
    if (e->n == 2) arg[1] = safe_divisor(f, e, arg[1]);
    return fv_rebuild(f->ctx, e, arg);
}
const fv_expr *fl_valid(fl *f) {
    if (!f->valid || !f->lane) return NULL;
    const fv_expr *v = fl_simple(f, f->valid);
    if (fv_is_true(v)) return NULL;
    return fl_once(f, "valid", splat(f, fl_vector(f, v), f->vl), NULL);
}

/* -- Guards ------------------------------------------------------------------------------------------------------ */
fl_guards fl_guard_add(fl *f, const fv_expr *c) {
    fl_guards g = {f->guard, f->mask};
    if (fl_by_lane(f, c)) f->mask = fv_and(f->ctx, f->mask, c);
    else f->guard = fv_and(f->ctx, f->guard, c);
    return g;
}
void fl_guard_restore(fl *f, fl_guards g) {
    f->guard = g.guard;
    f->mask = g.mask;
}

/* -- Values ------------------------------------------------------------------------------------------------------ */
static const fv_expr *where_value(fl *f, const fv_expr *e) {
    const fv_expr *c = fl_simple(f, fl_index(f, e->arg[0], false));
    if (c->op == FV_X_INT) return fl_value(f, e->arg[c->i ? 1 : 2]);
    fl_guards g = fl_guard_add(f, c);
    const fv_expr *a = fl_value(f, e->arg[1]);
    fl_guard_restore(f, g);
    g = fl_guard_add(f, fv_op1(f->ctx, FV_X_NOT, c));
    const fv_expr *b = fl_value(f, e->arg[2]);
    fl_guard_restore(f, g);
    return fv_op3(f->ctx, FV_X_WHERE, fl_vector(f, c), a, b);
}
const fv_expr *fl_value(fl *f, const fv_expr *e) {
    const fv_expr *arg[3];
    if (e->op == FV_X_READ) return fl_read(f, e);
    if (!fv_type_is_float(e->type)) {
        bool floats = false;
        for (int j = 0; j < e->n; j++) floats |= fv_type_is_float(e->arg[j]->type);
        if (!floats) return fl_vector(f, fl_simple(f, fl_index(f, e, false)));
    }
    if (e->op == FV_X_WHERE) return where_value(f, e);
    if (e->op == FV_X_FLOAT || e->op == FV_X_VAR) return e;
    FV_ASSERT(e->n <= 3, "an operator has at most three operands");
    for (int j = 0; j < e->n; j++) arg[j] = fl_value(f, e->arg[j]);
    if (e->op == FV_X_EXP2 && e->type == FV_F32) {
        int64_t degree = fv_schedule_int(f->s, FV_F_EXP, f->label, 0);
        if (degree) return fv_cons(f->ctx, FV_X_EXP2, FV_F32, arg[0]->lanes, degree, NULL, arg, 1);
    }
    return fv_rebuild(f->ctx, e, arg);
}
