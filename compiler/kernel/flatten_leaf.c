/* The innermost body of a nest: every point of the blocks, each statement of the group at each point. Reductions update
 * their accumulators; points that a scalar condition excludes stand under an `if`, or read zero through guarded loads;
 * lanes that are excluded keep the accumulator. */
#include "kernel/flatten_nest.h"

/* -- The innermost body ------------------------------------------------------------------------------------------ */
static bool is_product(const fv_expr *e) { return e->op == FV_X_MUL && e->type == FV_F32; }
/* a*b*c as two factors whose product is fused with the sum; what is free of the lanes first. */
static const fv_expr *fused(fl *f, const fv_expr *e, const fv_expr *sum) {
    if (!is_product(e)) return fv_op2(f->ctx, FV_X_ADD, sum, fl_value(f, e));
    const fv_expr *a = fl_value(f, e->arg[0]), *b = fl_value(f, e->arg[1]);
    if (!fv_type_is_float(a->type)) a = fv_op1(f->ctx, FV_X_TOFLOAT, a);
    if (!fv_type_is_float(b->type)) b = fv_op1(f->ctx, FV_X_TOFLOAT, b);
    return fv_op3(f->ctx, FV_X_FMA, a, b, sum);
}
static const fv_expr *dot2(fl *f, const fv_expr *e, const fv_expr *sum) {
    const fv_expr *arg[3] = {fl_read_pairs(f, e->arg[0]), fl_read_pairs(f, e->arg[1]), sum};
    return fv_make(f->ctx, FV_X_DOT2, FV_F32, sum->lanes, 0, NULL, arg, 3);
}
static const fv_expr *wide(fl *f, const fv_expr *v, int lanes_of) {
    return v->lanes == lanes_of ? v : fv_make(f->ctx, FV_X_SPLAT, v->type, lanes_of, 0, NULL, &v, 1);
}
/* The lanes that take part: the condition, and validity if the lanes are reduced. */
static const fv_expr *taking_part(fl_nesting *n, const fv_expr *c) {
    fl *f = n->f;
    const fv_expr *m = fv_is_true(c) ? NULL : fl_vector(f, c);
    if (m && m->lanes > 1) m = fl_once(f, "m", m, NULL);
    const fv_expr *valid = fl_lane_is_reduced(n) ? fl_valid(f) : NULL;
    if (valid) m = m ? fv_op2(f->ctx, FV_X_AND, m, valid) : valid;
    return m;
}
static void argmax_point(fl_nesting *n, fl_member *m, int64_t acc, const fv_expr *part) {
    fl *f = n->f;
    int w = m->acc->lanes;
    const fv_expr *old = fl_reg(f, m->acc, acc), *at = fl_reg(f, m->acc2, acc);
    const fv_expr *v = fl_let(f, "v", wide(f, fl_convert(f, fl_value(f, m->s->expr), m->acc->obj.type), w));
    fl_axis *r = n->g->axis[n->g->n_free];
    const fv_expr *better = fv_op2(f->ctx, FV_X_LT, old, v);
    if (fv_type_is_float(v->type)) { /* NaN is least */
        const fv_expr *nan = fv_op2(f->ctx, FV_X_AND, fv_op1(f->ctx, FV_X_ISNAN, old),
                                    fv_op1(f->ctx, FV_X_NOT, fv_op1(f->ctx, FV_X_ISNAN, v)));
        better = fv_op2(f->ctx, FV_X_OR, better, nan);
    }
    better = fv_op2(f->ctx, FV_X_OR, better, fv_op2(f->ctx, FV_X_LT, at, fv_int(f->ctx, 0)));
    if (part) better = fv_op2(f->ctx, FV_X_AND, better, part);
    better = fl_let(f, "better", better);
    fl_set_reg(f, m->acc, acc, fv_op3(f->ctx, FV_X_WHERE, better, v, old));
    const fv_expr *pos = fl_simple(f, fl_index(f, r->leaf, false));
    fl_set_reg(f, m->acc2, acc, fv_op3(f->ctx, FV_X_WHERE, better, pos, at));
}
static void reduce_point(fl_nesting *n, fl_member *m, int64_t acc, const fv_expr *c, const fv_expr *guard) {
    fl *f = n->f;
    fl_guards old = fl_guard_add(f, c);
    if (guard) fl_guard_add(f, guard);
    const fv_expr *part = taking_part(n, c);
    if (m->acc2) argmax_point(n, m, acc, part);
    else {
        const fv_expr *sum = fl_reg(f, m->acc, acc), *v;
        int64_t second;
        if (n->pairs && fv_is_int(n->g->pair->off, &second) && second == 1) { /* done with the first */
            fl_guard_restore(f, old);
            return;
        }
        if (n->pairs) v = dot2(f, m->s->expr, sum);
        else if (fl_combiner(m->s) == FV_X_ADD) v = fused(f, m->s->expr, sum);
        else v = fv_op2(f->ctx, fl_combiner(m->s), sum, fl_convert(f, fl_value(f, m->s->expr), m->acc->obj.type));
        v = fl_convert(f, v, m->acc->obj.type);
        if (part) v = fv_op3(f->ctx, FV_X_WHERE, part, v, sum);
        fl_set_reg(f, m->acc, acc, v);
    }
    fl_guard_restore(f, old);
}
/* Points whose remaining condition is one scalar share one `if`. */
typedef struct {
    const fv_expr *c;
    fv_flat *branch;
    fv_flats body;
    fl_mark mark;
} pending;
static void end_run(fl *f, pending *r) {
    if (!r->branch) return;
    fl_leave(f, r->mark);
    r->branch->body = r->body.first;
    r->branch = NULL;
}
static void start_run(fl *f, pending *r, const fv_expr *c) {
    if (r->branch && r->c == c) return;
    end_run(f, r);
    *r = (pending){.c = c, .branch = fl_emit(f, FV_L_IF)};
    r->branch->expr = c;
    r->mark = fl_enter(f, &r->body, false);
}
/* Can a scalar condition be left to the loads? Then an excluded point reads 0 as a factor. */
typedef struct {
    fl_nesting *n;
    bool unproved;
} proof;
static bool unproved_read(const fv_expr *e, void *user) {
    proof *p = user;
    if (e->op != FV_X_READ || e->i || e->ref->kind == FV_OBJ_BUFFER) return false;
    fl *f = p->n->f;
    const fv_tensor *t = (const fv_tensor *)e->ref;
    for (int j = 0; j < e->ref->rank; j++) {
        fv_range r = fl_range(f, fl_simple(f, fl_index(f, e->arg[j], false)));
        p->unproved |= r.lo < 0 || r.hi >= t->extent[j];
    }
    return false;
}
static bool loads_guard(fl_nesting *n, const fl_member *m) {
    proof p = {n, false};
    if (m->s->kind != FV_S_CONTRACT) return false;
    fv_visit(m->s->expr, unproved_read, &p);
    return p.unproved;
}
static bool is_read(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
static bool conditions_read(const fl_member *m) {
    for (int j = 0; j < m->n_where; j++)
        if (fv_visit(m->where[j], is_read, NULL)) return true;
    return false;
}
static void leaf_point(fl_nesting *n, int64_t acc, void *user) {
    pending *r = user;
    fl *f = n->f;
    for (int j = 0; j < n->g->n_body; j++) {
        fl_member *m = &n->g->body[j];
        f->label = m->s->label;
        if (!m->reduces) {
            end_run(f, r);
            fl_plain_point(f, m);
            continue;
        }
        if (r->branch && conditions_read(m)) end_run(f, r); /* what a condition loads is bound outside of the branch */
        const fv_expr *c = fl_conjunction(f, m);
        if (fv_is_false(c)) continue;
        bool scalar = !fl_by_lane(f, c) && !fv_is_true(c);
        if (scalar && loads_guard(n, m)) {
            end_run(f, r);
            reduce_point(n, m, acc, fv_bool(f->ctx, true), c);
        } else if (scalar) {
            start_run(f, r, c);
            reduce_point(n, m, acc, fv_bool(f->ctx, true), NULL);
        } else {
            end_run(f, r);
            reduce_point(n, m, acc, c, NULL);
        }
    }
}
void fl_leaf(fl_nesting *n) {
    pending r = {0};
    if (n->stream) fl_open_all(n);
    fl_each_point(n, true, leaf_point, &r);
    end_run(n->f, &r);
    if (n->stream) fl_close_all(n);
}
