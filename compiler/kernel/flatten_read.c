/* Loads. The operand class of a read follows from its element offset in scalar form: free of the lane: one element in
 * every lane; lane + rest: consecutive elements; a map whose values lie within one vector: consecutive elements from
 * the least, permuted; else gathered. Invariant: nothing outside its memory is touched: by lanes that are not valid, by
 * points that a guard excludes, or where a fill stands in. */
#include "kernel/flatten.h"

static const int64_t *extents(const fv_obj *o) {
    return o->kind == FV_OBJ_BUFFER ? ((const fv_buffer *)o)->extent : ((const fv_tensor *)o)->extent;
}
const fv_expr *fl_offset(fl *f, const fv_obj *ref, const fv_expr *const *index, const fv_expr **each) {
    const fl_buffer *b = ref->kind == FV_OBJ_BUFFER ? fl_buffer_find(f, ref) : NULL;
    const int64_t *stride = b ? b->stride : ((const fv_tensor *)ref)->stride;
    const fv_expr *off = fv_int(f->ctx, 0);
    for (int j = 0; j < ref->rank; j++) {
        each[j] = fl_simple(f, fl_index(f, index[j], b != NULL));
        off = fv_add(f->ctx, off, fv_muli(f->ctx, each[j], stride[j]));
    }
    return fl_simple(f, off);
}

/* -- Spans of lane maps: by trial over all values of the scalars in it ------------------------------------------- */
enum { MAX_VARS = 4, MAX_TRIALS = 2048 };
typedef struct {
    int n;
    const fv_expr *var[MAX_VARS];
    int64_t lo[MAX_VARS], hi[MAX_VARS], at[MAX_VARS];
    const fv_expr *lane;
    int64_t l;
    fl *f;
    bool failed;
} trial;
static const fv_expr *inline_pure(fv_ctx *ctx, const fv_expr *e, void *user) {
    trial *t = user;
    (void)ctx;
    if (e->op != FV_X_VAR) return e;
    for (int j = 0; j < t->f->n_holds; j++)
        if (t->f->hold[j].leaf == e) {
            if (t->f->hold[j].pure) return t->f->hold[j].pure;
            t->failed = true;
        }
    return e;
}
static bool collect(const fv_expr *e, void *user) {
    trial *t = user;
    if (e->op != FV_X_VAR && e->op != FV_X_INT && e->op < FV_X_ADD) {
        t->failed = true;
        return true;
    }
    if (e->op != FV_X_VAR || e == t->lane) return false;
    for (int j = 0; j < t->n; j++)
        if (t->var[j] == e) return false;
    fv_range r = fl_range(t->f, e);
    if (t->n == MAX_VARS || r.lo <= FV_RANGE_MIN || r.hi >= FV_RANGE_MAX || r.hi - r.lo >= MAX_TRIALS) {
        t->failed = true;
        return true;
    }
    t->var[t->n] = e;
    t->lo[t->n] = t->at[t->n] = r.lo;
    t->hi[t->n++] = r.hi;
    return false;
}
static double leaf(const fv_expr *e, void *user) {
    const trial *t = user;
    if (e == t->lane) return (double)t->l;
    for (int j = 0; j < t->n; j++)
        if (t->var[j] == e) return (double)t->at[j];
    return 0;
}
/* Vectors that hold all values of one vector of lanes: 1 or 2; 0: more. */
static int width(trial *t, const fv_expr *e, const fv_expr *valid) {
    double lo = 1, hi = 0;
    for (t->l = 0; t->l < t->f->vl; t->l++) {
        if (valid && fv_eval(valid, leaf, t) == 0) continue;
        double v = fv_eval(e, leaf, t);
        if (lo > hi) lo = hi = v;
        if (v < lo) lo = v;
        if (v > hi) hi = v;
    }
    return hi - lo < t->f->vl ? 1 : hi - lo < 2 * t->f->vl ? 2 : 0;
}
static bool advance(trial *t) {
    for (int j = 0; j < t->n; j++) {
        if (++t->at[j] <= t->hi[j]) return true;
        t->at[j] = t->lo[j];
    }
    return false;
}
static int try_span(fl *f, const fv_expr *e, const fv_expr *valid) {
    trial t = {.lane = f->lane_leaf, .f = f};
    for (int j = 0; j < 4; j++) e = fv_rewrite(f->ctx, e, inline_pure, &t); /* a hold's pure form may hold others */
    if (valid) valid = fv_rewrite(f->ctx, valid, inline_pure, &t);
    if (t.failed || fv_visit(e, collect, &t) || (valid && fv_visit(valid, collect, &t)) || t.failed) return 0;
    int64_t n = 1;
    for (int j = 0; j < t.n; j++) {
        n *= t.hi[j] - t.lo[j] + 1;
        if (n > MAX_TRIALS) return 0;
    }
    int most = 1;
    do {
        int w = width(&t, e, valid);
        if (!w) return 0;
        if (w > most) most = w;
    } while (advance(&t));
    return most;
}
static int vectors_of(fl *f, const fv_expr *e) {
    for (int j = 0; j < f->n_spans; j++)
        if (f->span[j].e == e && f->span[j].valid == f->valid) return f->span[j].vectors;
    fl_span s = {e, f->valid, try_span(f, e, f->valid)};
    fv_push(f->ctx, f->span, f->n_spans, f->cap_spans, s);
    return s.vectors;
}
fl_class fl_classify(fl *f, const fv_expr *offset, const fv_expr **by_lane, const fv_expr **rest, int64_t *coef) {
    fv_affine a, lane = {0}, other = {0};
    *coef = 0;
    *by_lane = offset;
    *rest = fv_int(f->ctx, 0);
    if (!fl_by_lane(f, offset)) {
        *rest = offset;
        return FL_SCALAR;
    }
    if (!fv_affine_of(offset, &a)) return FL_GATHERED;
    other.constant = a.constant;
    for (int j = 0; j < a.n; j++) {
        fv_affine *to = fl_by_lane(f, a.term[j].atom) ? &lane : &other;
        to->term[to->n].atom = a.term[j].atom;
        to->term[to->n++].coef = a.term[j].coef;
    }
    *by_lane = fv_affine_expr(f->ctx, &lane);
    *rest = fv_affine_expr(f->ctx, &other);
    bool plain = lane.n == 1 && lane.term[0].atom == f->lane_leaf;
    if (plain) *coef = lane.term[0].coef;
    if (*coef == 1) return FL_CONTIGUOUS;
    int n = f->t->permute ? vectors_of(f, *by_lane) : 0;
    if (n) return n == 1 ? FL_PERMUTED : FL_PERMUTED2;
    return plain ? FL_STRIDED : FL_GATHERED;
}

/* -- One access -------------------------------------------------------------------------------------------------- */
typedef struct {
    const fv_obj *mem; /* memory or tensor */
    fv_type type;
    bool slack, ended; /* a vector may run past the end; a permuted one may */
    const fv_expr *offset;
    const fv_expr *guard, *mask; /* read only where these hold (scalar bool; scalar form by lane) */
    int64_t end;                 /* > 0: permuted loads end before this element */
    const fv_expr *fill;         /* value elsewhere, or NULL: anything */
} access;
static const fv_expr *zero(fl *f, fv_type t) {
    return t == FV_BOOL ? fv_bool(f->ctx, false) : t == FV_I32 ? fv_int(f->ctx, 0) : fv_float(f->ctx, 0);
}
static const fv_expr *splat(fl *f, const fv_expr *e) {
    return e->lanes > 1 ? e : fv_make(f->ctx, FV_X_SPLAT, e->type, f->vl, 0, NULL, &e, 1);
}
static const fv_expr *node(fl *f, fv_op op, const access *a, int lanes, int64_t i, const fv_expr *x, const fv_expr *y,
                           const fv_expr *z) {
    const fv_expr *arg[3] = {x, y, z};
    return fl_once(f, "x", fv_make(f->ctx, op, a->type, lanes, i, a->mem, arg, z ? 3 : y ? 2 : 1), a->mem);
}
/* The element type of a fill in memory's own type. */
static const fv_expr *fill_of(fl *f, const access *a) {
    const fv_expr *v = a->fill && a->fill->op != FV_X_READ ? a->fill : zero(f, a->type);
    if (v->type == a->type) return splat(f, v);
    return fv_make(f->ctx, FV_X_CONVERT, a->type, f->vl, 0, NULL, (const fv_expr *[]){splat(f, v)}, 1);
}
static const fv_expr *vector_mask(fl *f, const access *a, bool always_valid) {
    const fv_expr *m = a->mask ? splat(f, fl_vector(f, fl_simple(f, a->mask))) : NULL;
    const fv_expr *valid = always_valid || !a->slack ? fl_valid(f) : NULL;
    if (valid) m = m ? fv_op2(f->ctx, FV_X_AND, m, valid) : valid;
    if (m && a->guard) m = fv_op2(f->ctx, FV_X_AND, m, splat(f, a->guard));
    return m ? fl_once(f, "m", m, NULL) : NULL;
}
/* Arithmetic is f32: what was loaded, widened. */
static const fv_expr *widened(fl *f, const fv_expr *v, const fv_obj *mem) {
    if (v->type != FV_F16 && v->type != FV_BF16) return v;
    return fl_once(f, "c", fv_make(f->ctx, FV_X_CONVERT, FV_F32, v->lanes, 0, NULL, &v, 1), mem);
}
static const fv_expr *load_scalar(fl *f, const access *a) {
    const fv_expr *g = a->guard;
    if (a->mask) {
        const fv_expr *m = vector_mask(f, &(access){.mask = a->mask, .slack = false}, true);
        g = fv_and(f->ctx, g, fl_let(f, "some", fv_op1(f->ctx, FV_X_HANY, m)));
    }
    if (g && !fv_is_true(g)) return node(f, FV_X_LOAD, a, 1, 1, a->offset, fv_int(f->ctx, 0), g);
    return node(f, FV_X_LOAD, a, 1, 0, a->offset, NULL, NULL);
}
static const fv_expr *load_contiguous(fl *f, const access *a, const fv_expr *at) {
    const fv_expr *m = vector_mask(f, a, false);
    if (m) return node(f, FV_X_LOAD, a, f->vl, 0, at, m, fill_of(f, a));
    if (a->guard && !fv_is_true(a->guard)) return node(f, FV_X_LOAD, a, f->vl, 1, at, fv_int(f->ctx, 0), a->guard);
    return node(f, FV_X_LOAD, a, f->vl, 0, at, NULL, NULL);
}
/* `lanes` elements from `at`, permuted; where the guard does not hold, from the start of memory, and 0. */
static const fv_expr *permuted(fl *f, const access *a, const fv_expr *at, const fv_expr *perm) {
    if (a->end > 0) { /* drawn back to end with the tensor, the permutation moved on */
        const fv_expr *back = fl_once(f, "at", fv_op2(f->ctx, FV_X_MIN, at, fv_int(f->ctx, a->end - f->vl)), NULL);
        perm = fv_add(f->ctx, perm, fv_sub(f->ctx, at, back));
        perm = fv_op2(f->ctx, FV_X_MIN, perm, fv_int(f->ctx, f->vl - 1)); /* of lanes that do not count */
        at = back;
    }
    if (!a->guard || fv_is_true(a->guard))
        return widened(f, node(f, FV_X_PERMLOAD, a, f->vl, 0, at, perm, NULL), a->mem);
    at = fl_once(f, "at", fv_op3(f->ctx, FV_X_WHERE, a->guard, at, fv_int(f->ctx, 0)), NULL);
    const fv_expr *x = widened(f, node(f, FV_X_PERMLOAD, a, f->vl, 0, at, perm, NULL), a->mem);
    return fl_once(f, "x", fv_op3(f->ctx, FV_X_WHERE, a->guard, x, zero(f, x->type)), a->mem);
}
/* The lane map's values lie within one vector from the least of them, or within two: then the second ends at the
 * greatest. */
static const fv_expr *load_permuted(fl *f, const access *a, const fv_expr *by_lane, const fv_expr *rest, bool two) {
    fv_ctx *c = f->ctx;
    const fv_expr *v = fl_vector(f, by_lane), *valid = fl_valid(f), *none = fv_int(c, INT32_MAX), *nil = fv_int(c, 0);
    if (f->mask) { /* lanes that a condition excludes may hold any index */
        const fv_expr *m = splat(f, fl_vector(f, fl_simple(f, f->mask)));
        valid = valid ? fv_op2(c, FV_X_AND, m, valid) : m;
    }
    const fv_expr *least =
        fl_once(f, "least", fv_op1(c, FV_X_HMIN, valid ? fv_op3(c, FV_X_WHERE, valid, v, none) : v), NULL);
    if (f->mask)
        least = fl_once(f, "least",
                        fv_op3(c, FV_X_WHERE, fv_op2(c, FV_X_LT, least, none), least, fv_op1(c, FV_X_NEG, rest)), NULL);
    const fv_expr *perm = fv_sub(c, v, least), *first = fv_add(c, rest, least);
    if (valid) perm = fv_op3(c, FV_X_WHERE, valid, perm, nil);
    perm = fl_once(f, "perm", perm, NULL);
    if (!two) return permuted(f, a, first, perm);
    const fv_expr *over = fv_addi(c, fv_op1(c, FV_X_HMAX, perm), 1 - f->vl);
    over = fl_once(f, "over", fv_op2(c, FV_X_MAX, over, nil), NULL);
    const fv_expr *low = fl_once(f, "low", fv_op2(c, FV_X_LT, perm, fv_int(c, f->vl)), NULL);
    const fv_expr *p0 = fl_once(f, "perm", fv_op3(c, FV_X_WHERE, low, perm, nil), NULL);
    const fv_expr *p1 = fl_once(f, "perm", fv_op3(c, FV_X_WHERE, low, nil, fv_sub(c, perm, over)), NULL);
    const fv_expr *x0 = permuted(f, a, first, p0), *x1 = permuted(f, a, fv_add(c, first, over), p1);
    return fl_once(f, "x", fv_op3(c, FV_X_WHERE, low, x0, x1), a->mem);
}
static const fv_expr *load_gathered(fl *f, const access *a) {
    const fv_expr *v = fl_once(f, "at", splat(f, fl_vector(f, a->offset)), NULL), *m = vector_mask(f, a, true);
    if (!m && a->guard && !fv_is_true(a->guard)) m = splat(f, a->guard);
    if (m) return node(f, FV_X_GATHER, a, f->vl, 0, v, m, fill_of(f, a));
    return node(f, FV_X_GATHER, a, f->vl, 0, v, NULL, NULL);
}
static const fv_expr *load(fl *f, const access *a) {
    const fv_expr *by_lane, *rest;
    int64_t coef;
    if (a->guard && fv_is_false(a->guard)) return zero(f, a->type == FV_F16 || a->type == FV_BF16 ? FV_F32 : a->type);
    fl_class c = fl_classify(f, a->offset, &by_lane, &rest, &coef);
    const fv_expr *v;
    if (c == FL_SCALAR) v = load_scalar(f, a);
    else if (c == FL_CONTIGUOUS) v = load_contiguous(f, a, rest);
    else if ((c == FL_PERMUTED || c == FL_PERMUTED2) && (a->slack || a->ended) && !a->mask && !a->fill)
        v = load_permuted(f, a, by_lane, rest, c == FL_PERMUTED2);
    else v = load_gathered(f, a);
    return widened(f, v, a->mem);
}

/* -- Reads of the tile text -------------------------------------------------------------------------------------- */
/* Where every index lies in its extent: a scalar condition and one by lane; false if it is not proved everywhere. */
static bool inside(fl *f, const fv_obj *ref, const fv_expr *const *each, const fv_expr **guard, const fv_expr **mask) {
    bool proved = true;
    for (int j = 0; j < ref->rank; j++) {
        int64_t n = extents(ref)[j];
        fv_range r = fl_range(f, each[j]);
        if (r.lo >= 0 && r.hi < n) continue;
        proved = false;
        const fv_expr *low = r.lo < 0 ? fv_op2(f->ctx, FV_X_LE, fv_int(f->ctx, 0), each[j]) : NULL;
        const fv_expr *high = r.hi >= n ? fv_op2(f->ctx, FV_X_LT, each[j], fv_int(f->ctx, n)) : NULL;
        const fv_expr *c = fl_simple(f, fv_and(f->ctx, low, high ? high : fv_bool(f->ctx, true)));
        const fv_expr **to = fl_by_lane(f, c) ? mask : guard;
        *to = fv_and(f->ctx, *to, c);
    }
    return proved;
}
const fv_expr *fl_read_pairs(fl *f, const fv_expr *e) {
    const fv_expr *each[FV_MAX_AXES], *guard = NULL, *mask = NULL, *by_lane, *at;
    int64_t coef;
    const fl_buffer *b = e->ref->kind == FV_OBJ_BUFFER ? fl_buffer_find(f, e->ref) : NULL;
    access a = {.mem = b ? &b->mem->obj : e->ref, .type = e->ref->type, .slack = true};
    a.offset = fl_offset(f, e->ref, e->arg, each);
    if (!inside(f, e->ref, each, &guard, &mask)) a.guard = f->guard;
    int lanes = fl_classify(f, a.offset, &by_lane, &at, &coef) == FL_SCALAR ? 2 : 2 * f->vl;
    if (a.guard && !fv_is_true(a.guard)) return node(f, FV_X_LOAD, &a, lanes, 1, at, fv_int(f->ctx, 0), a.guard);
    return node(f, FV_X_LOAD, &a, lanes, 0, at, NULL, NULL);
}
/* In the block of a transposing map, a read that is far apart by lane and consecutive along the block; NULL: it is not
 * so. */
static const fv_expr *turned(fl *f, const fv_expr *e, const access *a) {
    const fv_expr *each[FV_MAX_AXES], *by_lane, *rest;
    int64_t coef, i;
    fl_axis *x = f->turn.axis;
    bool guarded = a->guard && !fv_is_true(a->guard);
    if (!x || !f->lane || guarded || !fl_turns(a->type) || !fv_uses_axis(e, x->name)) return NULL;
    if (fl_classify(f, a->offset, &by_lane, &rest, &coef) < FL_STRIDED) return NULL;
    const fv_expr *off = x->off;
    x->off = f->turn.at;
    const fv_expr *start = fl_offset(f, e->ref, e->arg, each);
    x->off = off;
    if (!fv_is_int(fv_sub(f->ctx, a->offset, start), &i) || i != f->turn.i) return NULL;
    return fl_turned(f, a->mem, start, a->mask, i);
}
const fv_expr *fl_read(fl *f, const fv_expr *e) {
    const fv_obj *ref = e->ref;
    const fl_buffer *b = ref->kind == FV_OBJ_BUFFER ? fl_buffer_find(f, ref) : NULL;
    const fv_expr *each[FV_MAX_AXES], *guard = NULL, *mask = NULL;
    access a = {.mem = b ? &b->mem->obj : ref, .type = ref->type, .slack = b || ((const fv_tensor *)ref)->padded};
    a.ended = fl_has_end(f, e);
    a.end = a.ended && f->draw_back ? fv_tensor_elements((const fv_tensor *)ref) : 0;
    a.offset = fl_offset(f, ref, e->arg, each);
    bool proved = inside(f, ref, each, &guard, &mask);
    if (b && !proved) { /* scratch may be read anywhere: what is read at excluded points is dropped */
        fv_range r = fl_range(f, a.offset);
        proved = r.lo >= 0 && r.hi < b->mem->count;
    }
    const fv_expr *cond_guard = e->i ? guard : NULL, *cond_mask = e->i ? mask : NULL;
    a.guard = cond_guard;
    a.mask = cond_mask;
    if (!proved && f->guard) a.guard = fv_and(f->ctx, a.guard, f->guard);
    if (!proved && f->mask) a.mask = fv_and(f->ctx, a.mask, f->mask);
    const fv_expr *fill = e->i ? fl_value(f, e->arg[ref->rank]) : NULL;
    if (fill && fill->lanes == 1) a.fill = fill;
    const fv_expr *v = turned(f, e, &a);
    if (!v) v = load(f, &a);
    if (!fill || (!cond_guard && !cond_mask)) return v;
    bool is_zero = (fill->op == FV_X_INT && !fill->i) ||
                   (fill->op == FV_X_FLOAT && !(fill->f < 0) && !(fill->f > 0) && !(fill->f != fill->f));
    if (is_zero && !cond_mask && v->op == FV_X_VAR) return v; /* a guarded or masked load gives 0 elsewhere */
    if (v->lanes > 1 && cond_mask && a.fill) return v;        /* masked: filled already */
    const fv_expr *c = cond_guard;
    if (cond_mask) {
        const fv_expr *m = fl_vector(f, cond_mask);
        c = c ? fv_op2(f->ctx, FV_X_AND, m, c) : m;
    }
    return fl_once(f, "x", fv_op3(f->ctx, FV_X_WHERE, c, v, fill), a.mem);
}
