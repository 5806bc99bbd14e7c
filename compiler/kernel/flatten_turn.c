/* Transposed blocks. A read whose addresses are far apart along the lanes but consecutive along another axis of the
 * block: as many rows as there are lanes are loaded along that axis and transposed in registers, once for all points of
 * the block. Invariant: row l is loaded only if lane l is valid and
 * no condition excludes it; the block is as wide as a vector, so that a row holds
 * valid points only. */
#include "kernel/flatten.h"

static const fv_expr *zero_row(fl *f) {
    const fv_expr *z = fv_float(f->ctx, 0);
    return fv_make(f->ctx, FV_X_SPLAT, FV_F32, f->vl, 0, NULL, &z, 1);
}
static const fv_expr *row(fl *f, const fv_obj *mem, const fv_expr *offset, const fv_expr *valid, int64_t l) {
    fv_binding b = {f->lane_leaf, fv_int(f->ctx, l)};
    const fv_expr *at = fl_simple(f, fv_subst(f->ctx, offset, &b, 1)),
                  *v = valid ? fl_simple(f, fv_subst(f->ctx, valid, &b, 1)) : NULL;
    if (v && fv_is_false(v)) return zero_row(f);
    bool sure = fv_is_true(v);
    const fv_expr *arg[3] = {at, fv_int(f->ctx, 0), v};
    const fv_expr *x = fv_make(f->ctx, FV_X_LOAD, mem->type, f->vl, sure ? 0 : 1, mem, arg, sure ? 1 : 3);
    return fl_convert(f, fl_let(f, "row", x), FV_F32);
}
bool fl_turns(fv_type t) { return t == FV_F32 || t == FV_BF16 || t == FV_F16; }
/* The two rows that exchange their blocks of `b` lanes off the diagonal. */
static const fv_expr *mix(fl *f, const fv_expr *x, const fv_expr *y, int b, bool upper) {
    const fv_expr *arg[2 + 64];
    if (x == y && x == zero_row(f)) return x;
    arg[0] = x;
    arg[1] = y;
    for (int l = 0; l < f->vl; l++) {
        int64_t from = upper ? (l & b ? f->vl + l : l + b) : (l & b ? f->vl + l - b : l);
        arg[2 + l] = fv_int(f->ctx, from);
    }
    return fl_let(f, "t", fv_make(f->ctx, FV_X_SHUFFLE, FV_F32, f->vl, 0, NULL, arg, 2 + f->vl));
}
static const fv_expr *key_of(fl *f, const fv_obj *mem, const fv_expr *offset, const fv_expr *valid, int64_t i) {
    const fv_expr *arg[2] = {offset, valid ? valid : fv_bool(f->ctx, true)};
    return fv_make(f->ctx, FV_X_GATHER, FV_F32, f->vl, 1 + i, mem, arg, 2);
}
const fv_expr *fl_turned(fl *f, const fv_obj *mem, const fv_expr *offset, const fv_expr *mask, int64_t i) {
    const fv_expr *valid = mask && f->valid ? fv_and(f->ctx, f->valid, mask) : mask ? mask : f->valid;
    const fv_expr *r[64], *found = fl_find(f, key_of(f, mem, offset, valid, i));
    if (found) return found;
    if (f->vl > 64 || (f->vl & (f->vl - 1))) return NULL;
    fv_binding b = {f->lane_leaf, fv_int(f->ctx, 0)};
    if (fl_by_lane(f, fv_subst(f->ctx, offset, &b, 1)) || (valid && fl_by_lane(f, fv_subst(f->ctx, valid, &b, 1))))
        return NULL;
    for (int l = 0; l < f->vl; l++) r[l] = row(f, mem, offset, valid, l);
    for (int s = 1; s < f->vl; s *= 2)
        for (int l = 0; l < f->vl; l++) {
            if (l & s) continue;
            const fv_expr *x = mix(f, r[l], r[l + s], s, false), *y = mix(f, r[l], r[l + s], s, true);
            r[l] = x;
            r[l + s] = y;
        }
    for (int l = 0; l < f->vl; l++) fl_remember(f, key_of(f, mem, offset, valid, l), r[l], mem);
    return r[i];
}

/* The axis along which a read that is far apart by lane is consecutive; NULL: none that fills a vector. */
fl_axis *fl_turn_along(fl *f, const fv_expr *e, fl_axis *lane, fl_axis *const *axes, int n) {
    if (!lane || lane->tile < 4 || e->i || !fl_turns(e->ref->type) || fl_operand_class(f, e, lane) < FL_STRIDED)
        return NULL;
    const fv_expr *off = fl_symbolic_offset(f, e->ref, e->arg, lane), *rest;
    for (int j = 0; j < n; j++) {
        int64_t coef;
        if (axes[j] == lane || axes[j]->tile < f->vl) continue;
        if (fv_split_affine(f->ctx, off, fl_symbol(f, axes[j]), &coef, &rest) && coef == 1) return axes[j];
    }
    return NULL;
}
/* The axis along which a group of maps may read transposed blocks; NULL: none. */
typedef struct {
    fl *f;
    const fl_group *g;
    fl_axis *axis;
} search;
static bool far_apart(const fv_expr *e, void *user) {
    search *s = user;
    if (e->op == FV_X_READ) s->axis = fl_turn_along(s->f, e, s->g->lane, s->g->axis, s->g->n_axes);
    return s->axis != NULL;
}
fl_axis *fl_turn_axis(fl *f, const fl_group *g) {
    search s = {f, g, NULL};
    for (int j = 0; j < g->n_body; j++) {
        if (g->body[j].reduces || (g->body[j].s->where && !g->body[j].s->otherwise)) return NULL;
        if (!s.axis) fv_visit(g->body[j].s->expr, far_apart, &s);
    }
    return s.axis;
}
